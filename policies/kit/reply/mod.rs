//! What goes back to the client: one message, or a stream of events.
//!
//! The stream stays a stream of *events* until it leaves the gateway. Policies look at messages, not at bytes that may be
//! cut anywhere, and framing is done once, by [`EventReader`].

mod answer;
mod event;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

pub use self::{
    answer::{Answer, AnswerKind},
    event::{Event, EventLimits, EventReader, TooLong},
};

/// Events that are ready at once leave in one write; past this many bytes they leave as they are.
const MERGE_BYTES: usize = 32 << 10;

/// The body of an answer.
#[derive(Default)]
pub enum Reply {
    /// Nothing: 202 to a notification, a preflight's answer.
    #[default]
    Empty,
    /// A complete body, normally one JSON-RPC message.
    Full(Bytes),
    /// An event stream. Boxed at the seam: a source is a connection to an upstream, or a policy's view of another.
    Events(Box<dyn EventSource>),
}

/// Gives the events of one stream, in order.
///
/// A source never fails: what goes wrong behind it is its last event, a JSON-RPC error with the caller's id.
pub trait EventSource: Send + 'static {
    /// The next event; none when the stream has ended, and none ever after.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>>;
}

impl Reply {
    /// Applies `edit` to each event of a stream; an event for which it gives none is dropped. Other bodies stay.
    #[must_use]
    pub fn map_events<F>(self, edit: F) -> Self
    where
        F: FnMut(Event) -> Option<Event> + Send + 'static,
    {
        match self {
            Self::Events(source) => Self::Events(Box::new(Mapped { source, edit })),
            other => other,
        }
    }
}

struct Mapped<F> {
    source: Box<dyn EventSource>,
    edit: F,
}

impl<F> EventSource for Mapped<F>
where
    F: FnMut(Event) -> Option<Event> + Send + 'static,
{
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            match ready!(self.source.poll_event(context)) {
                None => return Poll::Ready(None),
                Some(event) => {
                    if let Some(event) = (self.edit)(event) {
                        return Poll::Ready(Some(event));
                    }
                }
            }
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Events(source) => poll_merged(&mut **source, context).map(|bytes| bytes.map(Frame::data).map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// Everything that is there already, as one piece: a burst of events is one write, a lone event is not copied.
fn poll_merged(source: &mut dyn EventSource, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
    let Some(first) = ready!(source.poll_event(context)) else { return Poll::Ready(None) };
    let Poll::Ready(Some(second)) = source.poll_event(context) else { return Poll::Ready(Some(first.into_raw())) };
    let mut merged = BytesMut::with_capacity(4 * (first.raw().len() + second.raw().len()));
    merged.extend_from_slice(first.raw());
    merged.extend_from_slice(second.raw());
    while merged.len() < MERGE_BYTES {
        // An end seen here is seen again by the next call: sources are fused.
        let Poll::Ready(Some(event)) = source.poll_event(context) else { break };
        merged.extend_from_slice(event.raw());
    }
    Poll::Ready(Some(merged.freeze()))
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Events(_) => f.write_str("Events"),
        }
    }
}
