//! What leaves the gateway: an answer of a chain, or one of the gateway's own pages.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portcullis_policies::kit::reply::Reply;

/// The body of any answer.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// From a route.
    Route(Reply),
    /// From the gateway itself.
    Own(axum::body::Body),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Route(reply) => match Pin::new(reply).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
                Poll::Ready(Some(Err(never))) => match never {},
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
            Self::Own(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Route(reply) => reply.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Route(reply) => reply.size_hint(),
            Self::Own(body) => body.size_hint(),
        }
    }
}
