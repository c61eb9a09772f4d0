//! A connection of a client: which HTTP it speaks, and the requests on it.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{draining::Draining, impatient::Impatient, router::Router, shutdown::Shutdown, tls::Tls};
use crate::{
    config::ListenerLimits,
    proxy::{ConnectionTimer, Quiet, QuietBody},
};

/// Bytes of a connection's read buffer at most: a message of 64 KiB and its head arrive in one piece and are not copied.
const BUFFER: usize = 128 << 10;

/// Headers that hyper takes at most unless it is told otherwise, and then it clears so many places for each request. The
/// router sees to smaller limits.
const MANY_HEADERS: u32 = 100;

/// How connections are served.
pub(super) struct Server {
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
    /// How long a new connection may keep us waiting for its first request.
    patience: Duration,
    /// How long a client may leave what is sent to it unread.
    unread: Duration,
}

impl Server {
    pub(super) fn new(limits: &ListenerLimits) -> Self {
        let patience = Duration::from_secs(limits.header_seconds.get().into());
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            // Needs a timer, which each connection has for itself: see `Server::builder`.
            .header_read_timeout(patience)
            .max_buf_size(BUFFER);
        if limits.headers.get() > MANY_HEADERS {
            server.http1().max_headers(limits.headers.get() as usize);
        }
        server
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.http2_streams.get())
            .max_header_list_size(limits.header_bytes.get())
            .initial_stream_window_size(64 << 10)
            .initial_connection_window_size(1 << 20)
            .keep_alive_interval(Duration::from_secs(30));
        Self {
            http1: server.clone().http1_only(),
            http2: server.http2_only(),
            patience,
            unread: Duration::from_secs(limits.unread_seconds.get().into()),
        }
    }

    /// For one connection, with a timer of its own.
    fn builder(&self, version: Version) -> auto::Builder<TokioExecutor> {
        let mut builder = match version {
            Version::H1 => self.http1.clone(),
            Version::H2 => self.http2.clone(),
        };
        builder.http1().timer(ConnectionTimer::default());
        builder
    }
}

/// What a client speaks.
#[derive(Clone, Copy, Debug)]
enum Version {
    H1,
    H2,
}

/// Looks at a client's first bytes without taking them. hyper-util can tell the two apart too, but it reads the bytes, and
/// then every connection keeps a buffer of twice the size.
async fn version_of(stream: &TcpStream) -> Version {
    const PREFACE: &[u8; PREFACE_LENGTH] = b"PRI * HTTP/2.0";
    const PREFACE_LENGTH: usize = 14;
    let mut seen = [0; PREFACE_LENGTH];
    loop {
        match stream.peek(&mut seen).await {
            Ok(PREFACE_LENGTH) if seen == *PREFACE => return Version::H2,
            Ok(some) if some > 0 && seen[..some] == PREFACE[..some] => {}
            // Whatever is wrong, reading will find it too.
            _ => return Version::H1,
        }
        // What is there is there at once; only time brings more.
        sleep(Duration::from_millis(5)).await;
    }
}

/// A client that has just connected, and who serves it.
pub(super) struct Newcomer {
    pub(super) server: Arc<Server>,
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    pub(super) stopping: Shutdown,
}

impl Newcomer {
    /// Serves it until one of both ends the connection.
    ///
    /// The parts are boxed: the task, which lasts as long, would carry the space of all of them.
    pub(super) async fn in_plain(mut self, stream: TcpStream) {
        match Box::pin(self.version(&stream)).await {
            Some(version) => Box::pin(converse(self, version, stream)).await,
            None => tracing::debug!(peer = %self.peer, "no request came"),
        }
    }

    /// The same, after a handshake of TLS that takes `patience` at most.
    pub(super) async fn encrypted(self, stream: TcpStream, tls: &Tls, patience: Duration) {
        if let Some(stream) = Box::pin(shake_hands(stream, tls, patience, self.peer)).await {
            let version = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Version::H2 } else { Version::H1 };
            Box::pin(converse(self, version, stream)).await;
        }
    }

    /// What the client speaks, if it speaks in time.
    async fn version(&mut self, stream: &TcpStream) -> Option<Version> {
        tokio::select! {
            () = self.stopping.begun() => None,
            version = timeout(self.server.patience, version_of(stream)) => version.ok(),
        }
    }
}

/// In a box, for what TLS remembers is large, and would be moved from place to place.
async fn shake_hands(
    stream: TcpStream,
    tls: &Tls,
    patience: Duration,
    peer: SocketAddr,
) -> Option<Box<TlsStream<TcpStream>>> {
    match timeout(patience, TlsAcceptor::from(tls.config()).accept(stream)).await {
        Ok(Ok(stream)) => return Some(Box::new(stream)),
        Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
    None
}

async fn converse<S>(newcomer: Newcomer, version: Version, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Newcomer { server, router, peer, stopping } = newcomer;
    let asked = Arc::new(AtomicBool::new(false));
    let first = Arc::clone(&asked);
    let service = service_fn(move |request: http::Request<Incoming>| {
        first.store(true, Ordering::Relaxed);
        let router = router.clone();
        let request = request.map(match version {
            Version::H1 => QuietBody::Http1,
            Version::H2 => QuietBody::Http2,
        });
        // Boxed: hyper keeps the space of a call for as long as its stream is open, and a stream needs little of it.
        Box::pin(router.answer(request, peer.ip()))
    });
    let stream = TokioIo::new(Impatient::new(stream, server.unread));
    // A temporary: a variable would stay as long as the connection.
    let connection = server.builder(version).serve_connection(stream, service).into_owned();
    let mut connection = Quiet::new(Draining::new(connection, stopping));
    // Given back as soon as there is a request: connections last.
    let mut patience = Some(Box::pin(sleep(server.patience)));
    // hyper's own timeout is one of HTTP/1.
    let ended = poll_fn(|context| match Pin::new(&mut connection).poll(context) {
        Poll::Pending if asked.load(Ordering::Relaxed) => {
            patience = None;
            Poll::Pending
        }
        Poll::Pending => {
            patience.as_mut().map_or(Poll::Pending, |patience| patience.as_mut().poll(context).map(|()| None))
        }
        ended @ Poll::Ready(_) => ended.map(Some),
    });
    match ended.await {
        Some(Err(error)) => tracing::debug!(error, %peer, "connection ended"),
        Some(Ok(())) => {}
        None => tracing::debug!(%peer, "no request came"),
    }
}
