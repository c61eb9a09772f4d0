//! HTTP/1.1 connections to an upstream, driven by the request that uses them.
//!
//! hyper-util's pooled client runs each connection in a task of its own; every head and every piece of a body then
//! crosses a channel between two tasks, and on a busy machine between two threads. Here the exchange owns its connection
//! and polls it itself: no hand-over, and everything that has arrived can be seen at once, which is what lets a burst of
//! events leave in one write. `benches/gateway` shows the difference.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use portcullis_policies::kit::credential::UpstreamCredential;
use tokio::{net::TcpStream, task::coop::unconstrained, time::Instant};

use super::{
    alarm::{Alarm, poll_piece},
    deadline::LazyTimer,
    meter::Miss,
    past::{Past, Seat, spread},
};

/// A connection at work. Of whatever it is made: one without TLS would carry the space for it otherwise.
type Driven = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// One open connection, at rest or in use by one exchange. Handed on in a box: each call takes it out of the pool, through
/// several futures and back.
pub(super) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// None once it has ended. Dropping it is what gives back a request that waits in it unsent.
    connection: Option<Driven>,
    alarm: Alarm,
    timer: LazyTimer,
    /// Whose credential crossed it. Nobody else's ever does.
    owner: Option<UpstreamCredential>,
    seat: Seat,
}

/// Why an exchange got no answer.
pub(super) enum SendError {
    /// The request was not written, and was given back: it may be sent on another connection.
    NotSent,
    /// Something may have reached the upstream.
    Unknown(hyper::Error),
    /// The answer has not begun in time.
    TooLate,
}

impl Wire {
    pub(super) async fn handshake(
        io: MaybeHttpsStream<TokioIo<TcpStream>>,
        owner: Option<&UpstreamCredential>,
        seat: Seat,
    ) -> hyper::Result<Box<Self>> {
        let (sender, connection) = match io {
            MaybeHttpsStream::Http(tcp) => drivable(tcp).await?,
            MaybeHttpsStream::Https(tls) => drivable(tls).await?,
        };
        Ok(Box::new(Self {
            sender,
            connection: Some(connection),
            alarm: Alarm::default(),
            timer: LazyTimer::default(),
            owner: owner.cloned(),
            seat,
        }))
    }

    /// Sends a request and waits for the head of its answer. Takes the request, and puts it back if it was not sent: on
    /// the way here it is never moved.
    pub(super) async fn send(
        mut self: Box<Self>,
        request: &mut Option<http::Request<Full<Bytes>>>,
        deadline: Instant,
    ) -> Result<(http::response::Parts, WireBody), SendError> {
        let Self { sender, connection, alarm, timer, seat, .. } = &mut *self;
        let Some(taken) = request.take() else { return Err(SendError::NotSent) };
        // Nobody but the connection can make it wait, and that is driven before it is asked again.
        let mut answer = pin!(unconstrained(sender.try_send_request(taken)));
        let answered = poll_fn(|context| {
            alarm.watch(context, |context| {
                match drive_until(connection, context, |context| answer.as_mut().poll(context)) {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending => timer.poll(deadline, context).map(|()| None),
                }
            })
        });
        // Whoever drops it in the middle of an exchange has given that up.
        seat.ends(Miss::Cancelled);
        let answered = answered.await;
        if !matches!(answered, Some(Ok(_))) {
            seat.ends(Miss::Error);
        }
        match answered.ok_or(SendError::TooLate)? {
            Ok(response) => {
                let (head, body) = response.into_parts();
                Ok((head, WireBody { body, wire: Some(self) }))
            }
            Err(mut error) => {
                *request = error.take_message();
                Err(if request.is_some() { SendError::NotSent } else { SendError::Unknown(error.into_error()) })
            }
        }
    }

    fn poll_data(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { connection, alarm, .. } = self;
        alarm.watch_if_rung(context, |context| drive_until(connection, context, |context| poll_piece(body, context)))
    }

    /// May a request with this credential cross it?
    fn is_of(&self, owner: Option<&UpstreamCredential>) -> bool {
        match (&self.owner, owner) {
            (None, None) => true,
            (Some(of), Some(owner)) => {
                of.is(owner) || (of.version() == owner.version() && of.connection() == owner.connection())
            }
            _ => false,
        }
    }

    /// Was its credential replaced or taken away?
    fn is_over(&self) -> bool {
        self.owner.as_ref().is_some_and(UpstreamCredential::is_over)
    }

    /// Is it open and ready for another request? At rest it is driven only if something has rung, such as its end.
    fn is_reusable(&mut self) -> bool {
        let Self { sender, connection, alarm, .. } = self;
        let _ = alarm.watch_if_rung(&mut Context::from_waker(Waker::noop()), |context| {
            drive(connection, context);
            Poll::<()>::Pending
        });
        connection.is_some() && sender.is_ready()
    }
}

async fn drivable<S>(stream: S) -> hyper::Result<(SendRequest<Full<Bytes>>, Driven)>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await?;
    Ok((sender, Box::pin(connection)))
}

/// Drives the connection until `goal`, which only the connection can bring about, is reached or must be waited for. The
/// goal rings for nobody: it is asked after each turn of the connection.
fn drive_until<T>(
    connection: &mut Option<Driven>,
    context: &mut Context<'_>,
    mut goal: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let unheard = &mut Context::from_waker(Waker::noop());
    let reached = goal(unheard);
    if reached.is_ready() {
        return reached;
    }
    drive(connection, context);
    goal(unheard)
}

fn drive(connection: &mut Option<Driven>, context: &mut Context<'_>) {
    if connection.as_mut().is_some_and(|connection| connection.as_mut().poll(context).is_ready()) {
        *connection = None;
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("open", &self.connection.is_some()).finish_non_exhaustive()
    }
}

/// An answer's body, with the connection that it comes from. Dropping it before its end closes the connection, which is
/// how the upstream learns that the client has gone.
#[derive(Debug)]
pub(super) struct WireBody {
    body: Incoming,
    wire: Option<Box<Wire>>,
}

impl WireBody {
    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Bytes>>> {
        let Self { body, wire } = self;
        loop {
            let frame = match wire {
                Some(wire) => wire.poll_data(body, context),
                None => poll_piece(body, context),
            };
            match frame {
                // Trailers mean nothing in MCP.
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {}
                Poll::Ready(Some(Err(error))) => {
                    if let Some(wire) = wire {
                        wire.seat.ends(Miss::Error);
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                frame => return frame.map(|frame| frame.map(data_or_error)),
            }
        }
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Has everything come?
    pub(super) fn has_ended(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Gives the connection back once the body has ended.
    pub(super) fn finish(&mut self, pool: &Pool) {
        let Some(mut wire) = self.wire.take() else { return };
        // Mostly it waits for another request already: its last turn went on past the body's end.
        if wire.sender.is_ready() {
            wire.alarm.rest();
        }
        if wire.is_reusable() {
            pool.put(wire);
        } else {
            wire.seat.ends(Miss::Error);
        }
    }
}

fn data_or_error(frame: hyper::Result<Frame<Bytes>>) -> hyper::Result<Bytes> {
    frame.map(|frame| frame.into_data().unwrap_or_default())
}

/// Connections at rest, ready for the next request to the same upstream with the same credential.
///
/// They rest for at most [`Pool::REST`]: common servers close after five seconds, and a request that meets a closing
/// connection has an unknown outcome. Credentials are spread over shelves, so that a thousand people who take turns find
/// their connections again, and quickly.
#[derive(Debug, Default)]
pub(super) struct Pool {
    shelves: [Mutex<Vec<Resting>>; Self::SHELVES],
    past: Past,
}

#[derive(Debug)]
struct Resting {
    wire: Box<Wire>,
    since: Instant,
}

impl Pool {
    const REST: Duration = Duration::from_secs(4);
    const SHELVES: usize = 16;
    /// On one shelf.
    const MOST: usize = 256;

    /// The connection with this credential that was used last, if it is still good; otherwise the place of one that is to
    /// be opened, and why it has to be.
    pub(super) fn take(&self, owner: Option<&UpstreamCredential>, now: Instant) -> Result<Box<Wire>, (Seat, Miss)> {
        loop {
            let mut shelf = self.shelf(owner);
            let Some(at) = shelf.iter().rposition(|resting| resting.wire.is_of(owner)) else {
                drop(shelf);
                return Err(self.past.enter(name_of(owner), owner.map_or(0, UpstreamCredential::version)));
            };
            let Resting { mut wire, since } = shelf.remove(at);
            drop(shelf);
            let is_fresh = now - since < Self::REST;
            if is_fresh && wire.is_reusable() {
                return Ok(wire);
            }
            wire.seat.ends(if is_fresh { Miss::Error } else { Miss::Idle });
        }
    }

    fn put(&self, wire: Box<Wire>) {
        if wire.is_over() {
            return;
        }
        // Whatever is dropped from here has rested too long.
        wire.seat.ends(Miss::Idle);
        let mut shelf = self.shelf(wire.owner.as_ref());
        // One of somebody who calls now is worth more than one of somebody who has not called for a while.
        let oldest = (shelf.len() >= Self::MOST).then(|| shelf.remove(0));
        shelf.push(Resting { wire, since: Instant::now() });
        drop(shelf);
        drop(oldest);
    }

    /// Where connections with this credential rest. Names of connections are drawn by chance, so their letters spread.
    fn shelf(&self, owner: Option<&UpstreamCredential>) -> MutexGuard<'_, Vec<Resting>> {
        lock(&self.shelves[spread(name_of(owner)) % Self::SHELVES])
    }

    /// Closes connections that have rested long enough, or whose credential is over. To be called every second or so.
    pub(super) fn sweep(&self) {
        for shelf in &self.shelves {
            let mut resting = lock(shelf);
            let is_closed = |resting: &mut Resting| resting.wire.is_over() || resting.since.elapsed() >= Self::REST;
            let closing: Vec<_> = resting.extract_if(.., is_closed).collect();
            drop(resting);
            drop(closing);
        }
    }
}

/// The connection that a credential is of; nothing without one.
fn name_of(owner: Option<&UpstreamCredential>) -> &str {
    owner.map(UpstreamCredential::connection).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
