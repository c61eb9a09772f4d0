//! Accepting connections.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
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
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{assemble::Assembly, draining::Draining, impatient::Impatient, shutdown::Shutdown};
use crate::{
    config::ListenerLimits,
    proxy::{ConnectionTimer, Quiet, QuietBody},
};

/// Opens the listener.
pub async fn bind(address: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until told to stop, then lets calls in flight end.
pub async fn serve(listener: TcpListener, assembly: Assembly, mut shutdown: Shutdown) {
    let Assembly { router, metrics, tls, gateway, .. } = assembly;
    let server = Arc::new(server(&gateway.limits));
    let most = gateway.limits.connections.get();
    let room = Arc::new(Semaphore::new(most as usize));
    let handshake = Duration::from_secs(gateway.limits.handshake_seconds.get().into());
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.begun() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly. Those in use will come back; asking at once would only spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            tokio::spawn(turn_away(stream, handshake));
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (server, router, metrics) = (Arc::clone(&server), router.clone(), metrics.clone());
        let (tls, mut stopping) = (tls.clone(), shutdown.clone());
        tokio::spawn(async move {
            metrics.connection(1);
            match tls {
                // Boxed: the task would carry the space for both ways otherwise.
                None => {
                    let version = tokio::select! {
                        () = stopping.begun() => None,
                        version = timeout(server.patience, version_of(&stream)) => version.ok(),
                    };
                    match version {
                        Some(version) => Box::pin(converse(&server, version, stream, router, peer, stopping)).await,
                        None => tracing::debug!(%peer, "no request came"),
                    }
                }
                Some(tls) => match Box::pin(timeout(handshake, TlsAcceptor::from(tls.config()).accept(stream))).await {
                    Ok(Ok(stream)) => {
                        let version =
                            if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Version::H2 } else { Version::H1 };
                        Box::pin(converse(&server, version, stream, router, peer, stopping)).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                },
            }
            metrics.connection(-1);
            drop(permit);
        });
    }
    drop(listener);
    let drain = Duration::from_secs(gateway.drain_seconds.into());
    // Whoever has all places is the last one here.
    if timeout(drain, room.acquire_many(most)).await.is_err() {
        tracing::warn!(seconds = gateway.drain_seconds, "calls were still in flight when the time to drain was over");
    }
}

/// Bytes of a connection's read buffer at most: a message of 64 KiB and its head arrive in one piece and are not copied.
const BUFFER: usize = 128 << 10;

/// Headers that hyper takes at most unless it is told otherwise, and then it clears so many places for each request. The
/// router sees to smaller limits.
const MANY_HEADERS: u32 = 100;

/// How connections are served.
struct Server {
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
    /// How long a new connection may keep us waiting for its first request.
    patience: Duration,
    /// How long a client may leave what is sent to it unread.
    unread: Duration,
}

fn server(limits: &ListenerLimits) -> Server {
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
    Server {
        http1: server.clone().http1_only(),
        http2: server.http2_only(),
        patience,
        unread: Duration::from_secs(limits.unread_seconds.get().into()),
    }
}

impl Server {
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

async fn converse<S>(
    server: &Server,
    version: Version,
    stream: S,
    router: super::Router,
    peer: SocketAddr,
    stopping: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
    let mut patience = pin!(sleep(server.patience));
    // hyper's own timeout is one of HTTP/1.
    let ended = poll_fn(|context| match Pin::new(&mut connection).poll(context) {
        Poll::Pending if !asked.load(Ordering::Relaxed) => patience.as_mut().poll(context).map(|()| None),
        ended => ended.map(Some),
    });
    match ended.await {
        Some(Err(error)) => tracing::debug!(error, %peer, "connection ended"),
        Some(Ok(())) => {}
        None => tracing::debug!(%peer, "no request came"),
    }
}

/// Says 503 to one connection too many, and that is all it gets.
async fn turn_away(mut stream: TcpStream, patience: Duration) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let _ = timeout(patience, async {
        let _ = stream.write_all(ANSWER).await;
        let _ = stream.shutdown().await;
    })
    .await;
}
