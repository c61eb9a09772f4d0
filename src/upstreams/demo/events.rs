//! Server-sent events, written by one future and sent as they are written.
//!
//! The future lives inside the response body: it runs when the client reads and is dropped when the client
//! goes away. Nothing is spawned, so nothing can be left behind.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use futures_core::Stream;
use http::Response;
use serde::Serialize;
use tokio::sync::mpsc;

use super::reply;

/// A JSON-RPC notification to the client.
#[derive(Serialize)]
struct Notification<P> {
    jsonrpc: &'static str,
    method: &'static str,
    params: P,
}

/// The writing end of a stream of events.
pub(super) struct Events(mpsc::Sender<String>);

impl Events {
    /// Sends a notification.
    pub(super) async fn notify<P: Serialize>(&self, method: &'static str, params: P) {
        self.message(reply::to_text(&Notification { jsonrpc: "2.0", method, params })).await;
    }

    /// Sends a JSON-RPC message. JSON text has no raw line breaks, so one `data:` line holds it.
    pub(super) async fn message(&self, json: String) {
        self.write(format!("data: {json}\n\n")).await;
    }

    /// Sends a comment, which clients skip: it keeps a quiet connection alive.
    pub(super) async fn keep_alive(&self) {
        self.write(": still here\n\n".to_owned()).await;
    }

    /// The receiver lives in the same body as the caller of this, so it cannot be gone before us.
    async fn write(&self, event: String) {
        let _ = self.0.send(event).await;
    }
}

/// A response whose events are what `work` writes. It ends when `work` does.
pub(super) fn respond<F>(work: impl FnOnce(Events) -> F) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    // Room for one: the work waits until its last event was taken.
    let (sender, written) = mpsc::channel(1);
    let work = Some(Box::pin(work(Events(sender))) as Pin<Box<_>>);
    reply::events(Body::from_stream(Running { work, written }))
}

/// The work and what it has written so far.
struct Running {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    written: mpsc::Receiver<String>,
}

impl Stream for Running {
    type Item = Result<String, Infallible>;

    /// Lets the work write, then hands over what it wrote. Finished work drops its sender, which ends the stream.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(context).is_ready()
        {
            self.work = None;
        }
        self.written.poll_recv(context).map(|event| event.map(Ok))
    }
}
