//! HTTP/1.1 connections to an upstream, driven by the request that uses them.
//!
//! hyper-util's pooled client runs each connection in a task of its own; every head and every piece of a body then
//! crosses a channel between two tasks, and on a busy machine between two threads. Here the exchange owns its connection
//! and polls it itself: no hand-over, and everything that has arrived can be seen at once, which is what lets a burst of
//! events leave in one write. `benches/gateway` shows the difference.

use std::{
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Connection, SendRequest},
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::Instant};

type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// One open connection, at rest or in use by one exchange.
pub(super) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<Io, Full<Bytes>>>>,
    closed: bool,
}

/// Why an exchange got no answer.
pub(super) enum SendError {
    /// The request was not written: it may be sent on another connection.
    NotSent(Box<http::Request<Full<Bytes>>>),
    /// Something may have reached the upstream.
    Unknown(hyper::Error),
}

impl Wire {
    pub(super) async fn handshake(io: Io) -> hyper::Result<Self> {
        let (sender, connection) = hyper::client::conn::http1::Builder::new().handshake(io).await?;
        Ok(Self { sender, connection: Box::pin(connection), closed: false })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        mut self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<WireBody>, SendError> {
        let mut answer = Box::pin(self.sender.try_send_request(request));
        let answer = std::future::poll_fn(|context| {
            self.drive(context);
            // Only `drive` can complete the answer, so nobody needs to be woken for it.
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending if self.closed => answer.as_mut().poll(context),
                poll => poll,
            }
        })
        .await;
        match answer {
            Ok(response) => Ok(response.map(|body| WireBody { body, wire: Some(self) })),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => SendError::NotSent(Box::new(request)),
                None => SendError::Unknown(error.into_error()),
            }),
        }
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.closed && self.connection.as_mut().poll(context).is_ready() {
            self.closed = true;
        }
    }

    /// Is it open and ready for another request?
    fn is_reusable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.closed && self.sender.is_ready()
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("closed", &self.closed).finish_non_exhaustive()
    }
}

/// An answer's body, with the connection that it comes from. Dropping it before its end closes the connection, which is
/// how the upstream learns that the client has gone.
#[derive(Debug)]
pub(super) struct WireBody {
    body: Incoming,
    wire: Option<Wire>,
}

impl WireBody {
    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Bytes>>> {
        loop {
            let mut frame = self.poll_ready_frame();
            if frame.is_pending()
                && let Some(wire) = &mut self.wire
            {
                wire.drive(context);
                frame = self.poll_ready_frame();
                if frame.is_pending() && self.wire.as_ref().is_some_and(|wire| wire.closed) {
                    return self.poll_frame(context).map(|frame| frame.map(data_or_error));
                }
            }
            match frame {
                // Trailers mean nothing in MCP.
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {}
                frame => return frame.map(|frame| frame.map(data_or_error)),
            }
        }
    }

    fn poll_ready_frame(&mut self) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Gives the connection back once the body has ended.
    pub(super) fn finish(&mut self, pool: &Pool) {
        if let Some(mut wire) = self.wire.take()
            && wire.is_reusable()
        {
            pool.put(wire);
        }
    }
}

fn data_or_error(frame: hyper::Result<Frame<Bytes>>) -> hyper::Result<Bytes> {
    frame.map(|frame| frame.into_data().unwrap_or_default())
}

/// Connections at rest, ready for the next request to the same upstream.
///
/// They rest for at most [`Pool::REST`]: common servers close after five seconds, and a request that meets a closing
/// connection has an unknown outcome.
#[derive(Debug, Default)]
pub(super) struct Pool {
    resting: Mutex<Vec<Resting>>,
}

#[derive(Debug)]
struct Resting {
    wire: Wire,
    since: Instant,
}

impl Pool {
    const REST: Duration = Duration::from_secs(4);
    const MOST: usize = 256;

    /// The connection used last, if it is still good.
    pub(super) fn take(&self) -> Option<Wire> {
        loop {
            let Resting { mut wire, since } = lock(&self.resting).pop()?;
            if since.elapsed() < Self::REST && wire.is_reusable() {
                return Some(wire);
            }
        }
    }

    fn put(&self, wire: Wire) {
        let mut resting = lock(&self.resting);
        if resting.len() < Self::MOST {
            resting.push(Resting { wire, since: Instant::now() });
        }
    }

    /// Closes connections that have rested long enough. To be called every second or so.
    pub(super) fn sweep(&self) {
        let mut resting = lock(&self.resting);
        let old = resting.iter().take_while(|resting| resting.since.elapsed() >= Self::REST).count();
        let closing: Vec<_> = resting.drain(..old).collect();
        drop(resting);
        drop(closing);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Did the connection fail because of TLS?
pub(super) fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = error.source();
    }
    false
}
