//! The event streams of the played MCP server, each event a chunk of its own.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Interval, interval_at};

/// `count` progress notifications and then the response: the first at once, each later one `pace` after the one
/// before it, or back to back without a pace.
pub(crate) struct Events {
    sent: u32,
    count: u32,
    pace: Option<Interval>,
    last: Bytes,
}

impl Events {
    pub(crate) fn new(count: u32, pace: Option<Duration>, last: &str) -> Self {
        let pace = pace.map(|pace| interval_at(Instant::now() + pace, pace));
        Self { sent: 0, count, pace, last: event(last) }
    }

    fn next(&mut self) -> Bytes {
        self.sent += 1;
        if self.sent > self.count { self.last.clone() } else { event(&progress(self.sent)) }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent > self.count {
            return Poll::Ready(None);
        }
        let follows = self.sent > 0;
        if let Some(pace) = self.pace.as_mut().filter(|_| follows) {
            ready!(pace.poll_tick(cx));
        }
        Poll::Ready(Some(Ok(Frame::data(self.next()))))
    }
}

fn event(data: &str) -> Bytes {
    format!("event: message\ndata: {data}\n\n").into()
}

fn progress(number: u32) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"bench","progress":{number}}}}}"#
    )
}
