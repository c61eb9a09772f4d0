//! Where a route's messages go: a server behind HTTP/1.1 or HTTP/2, or one inside this process.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Uri, header::TRANSFER_ENCODING};
use http_body::Body;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use portcullis_policies::kit::{
    credential::UpstreamCredential,
    refusal::{Reason, Refusal},
};
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

use super::{
    clocks::Clocks,
    headers::Template,
    http2::Clients,
    meter::{Meter, Miss, Use},
    past::Seat,
    wire::{Pool, SendError, Wire, WireBody},
};
use crate::fault::{Class, Fault};

/// A server inside this process.
pub type LocalServer = Arc<dyn Fn(http::Request<Bytes>) -> LocalAnswer + Send + Sync>;
/// Its answer to come.
pub type LocalAnswer = Pin<Box<dyn Future<Output = http::Response<axum::body::Body>> + Send>>;

/// Whose certificates an upstream may show.
#[derive(Clone)]
pub struct Trust(rustls::ClientConfig);

impl Trust {
    /// Trusts what the configuration says.
    pub fn new(config: rustls::ClientConfig) -> Self {
        Self(config)
    }
}

/// Opens connections to upstreams that are trusted alike.
#[derive(Clone)]
pub struct Connector {
    tls: rustls::ClientConfig,
    tcp: HttpConnector,
    meter: Meter,
}

impl Connector {
    /// Gives each TCP connection `patience` to open; `meter` counts them.
    pub fn new(trust: &Trust, patience: Duration, meter: Meter) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(patience));
        Self { tls: trust.0.clone(), tcp, meter }
    }
}

/// A route's upstream, ready to be sent to.
pub enum Endpoint {
    /// HTTP/1.1.
    Http1(Box<Http1>),
    /// HTTP/2: one connection for all exchanges of a credential.
    Http2(Box<Http2>),
    /// A server in this process.
    Local(Local),
}

/// A server behind HTTP/1.1: as many connections as there are exchanges at once.
pub struct Http1 {
    connector: HttpsConnector<HttpConnector>,
    /// Scheme and authority.
    origin: Uri,
    /// Path and query, as requested.
    path: Uri,
    template: Template,
    /// Connections at rest.
    pool: Arc<Pool>,
    meter: Meter,
}

/// A server behind HTTP/2.
pub struct Http2 {
    clients: Clients,
    /// The full address.
    uri: Uri,
}

/// A server in this process.
#[derive(Clone)]
pub struct Local(pub LocalServer);

/// An upstream's answer: its head, and its body to come.
pub(super) struct Answered {
    pub(super) head: http::response::Parts,
    pub(super) body: UpstreamBody,
}

impl Endpoint {
    /// A server at `uri` that speaks HTTP/1.1.
    pub fn http1(connector: Connector, uri: Uri) -> Self {
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let builder = HttpsConnectorBuilder::new().with_tls_config(connector.tls).https_or_http();
        Self::Http1(Box::new(Http1 {
            connector: builder.enable_http1().wrap_connector(connector.tcp),
            template: Template::http1(HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static(""))),
            path: path.parse().unwrap_or_default(),
            origin: uri,
            pool: Arc::default(),
            meter: connector.meter,
        }))
    }

    /// A server at `uri` that speaks HTTP/2 (by ALPN, or with prior knowledge over plain TCP).
    pub fn http2(connector: Connector, uri: Uri) -> Self {
        let builder = HttpsConnectorBuilder::new().with_tls_config(connector.tls).https_or_http();
        let clients = Clients::new(builder.enable_http2().wrap_connector(connector.tcp), connector.meter);
        Self::Http2(Box::new(Http2 { clients, uri }))
    }

    /// What every request to it says.
    pub(super) fn template(&self) -> &Template {
        match self {
            Self::Http1(http1) => &http1.template,
            Self::Http2 { .. } | Self::Local(_) => Template::usual(),
        }
    }

    /// Posts one message, or asks for a stream (GET), at most once, and waits for the head of the answer.
    ///
    /// No two credentials share a connection: what an upstream makes of one, it cannot take for another's.
    pub(super) async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        message: Bytes,
        credential: Option<&UpstreamCredential>,
        clocks: &Clocks,
    ) -> Result<Answered, Refusal> {
        match self {
            Self::Http1(http1) => http1.send(method, headers, message, credential, clocks).await,
            Self::Http2(http2) => {
                let Http2 { clients, uri } = &**http2;
                let client = clients.client(credential);
                let mut request = request_to(uri.clone(), method, headers, Full::new(message));
                *request.version_mut() = http::Version::HTTP_2;
                let sent = timeout(clocks.first_byte, Box::pin(client.request(request))).await;
                let response = sent.map_err(|_| no_answer())?.map_err(|error| client_refusal(&error))?;
                let (head, body) = response.into_parts();
                Ok(Answered { head, body: UpstreamBody::Stream(axum::body::Body::new(body)) })
            }
            Self::Local(Local(server)) => {
                let request = request_to(Uri::from_static("/"), method, headers, message);
                let answer = timeout(clocks.first_byte, server(request)).await;
                let (head, body) = answer.map_err(|_| no_answer())?.into_parts();
                Ok(Answered { head, body: UpstreamBody::Stream(body) })
            }
        }
    }

    /// Closes connections that have rested long enough, or whose credential is over. To be called every second or so.
    pub fn sweep(&self) {
        match self {
            Self::Http1(http1) => http1.pool.sweep(),
            Self::Http2(http2) => http2.clients.sweep(),
            Self::Local(_) => {}
        }
    }
}

impl Http1 {
    /// Uses a resting connection if one is still open, else a new one. Only a request of which nothing was written moves
    /// on to another connection.
    async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        message: Bytes,
        credential: Option<&UpstreamCredential>,
        clocks: &Clocks,
    ) -> Result<Answered, Refusal> {
        let mut request = Some(request_to(self.path.clone(), method, headers, Full::new(message)));
        let mut now = Instant::now();
        loop {
            let resting = self.pool.take(credential, now);
            let is_new = resting.is_err();
            let wire = match resting {
                Ok(wire) => wire,
                Err((seat, miss)) => {
                    // Boxed, like everything that is rare and large here: each call carries the space for it otherwise.
                    let wire = Box::pin(connect(self.connector.clone(), self.origin.clone(), credential, seat, clocks));
                    let wire = wire.await?;
                    self.meter.connection(Use::Opened(miss));
                    now = Instant::now();
                    wire
                }
            };
            let sent = wire.send(&mut request, now + clocks.first_byte).await;
            if !is_new && !matches!(sent, Err(SendError::NotSent)) {
                self.meter.connection(Use::Reused);
            }
            match sent {
                Ok((head, body)) => {
                    return Ok(Answered { head, body: UpstreamBody::Wire(body, Arc::downgrade(&self.pool)) });
                }
                Err(SendError::NotSent) if is_new => return Err(Reason::UpstreamUnreachable.into()),
                Err(SendError::NotSent) => {}
                Err(SendError::Unknown(error)) => return Err(unknown_outcome(&error)),
                Err(SendError::TooLate) => return Err(no_answer()),
            }
        }
    }
}

fn no_answer() -> Refusal {
    let message = "The upstream did not begin to answer within `clocks.firstByte` of the route.";
    Refusal::new(Reason::UpstreamTimeout, message).with_data("outcome", "unknown")
}

fn unknown_outcome(error: &hyper::Error) -> Refusal {
    tracing::warn!(%error, "the upstream's answer did not come");
    let refusal =
        if error.is_parse() { Fault::NotHttp.refusal(Reason::UpstreamInvalid) } else { Reason::UpstreamClosed.into() };
    refusal.with_data("outcome", "unknown")
}

async fn connect(
    connector: HttpsConnector<HttpConnector>,
    origin: Uri,
    credential: Option<&UpstreamCredential>,
    seat: Seat,
    clocks: &Clocks,
) -> Result<Box<Wire>, Refusal> {
    seat.ends(Miss::Error);
    let opening = timeout(clocks.connect + clocks.tls, connector.oneshot(origin));
    // Whether the name, the connection or the handshake took the time is not known here, so no cause is named.
    let opened = opening.await.map_err(|_| Refusal::from(Reason::UpstreamConnectTimeout))?;
    let io = opened.map_err(|error| connect_refusal(&*error))?;
    seat.ends(Miss::Cancelled);
    Wire::handshake(io, credential, seat).await.map_err(|_| Reason::UpstreamUnreachable.into())
}

fn connect_refusal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let fault = Fault::of_connecting(error);
    tracing::warn!(error, fault = fault.code(), remedy = fault.fix(), "no connection to the upstream");
    fault.refusal(match fault {
        Fault::ConnectionTimedOut => Reason::UpstreamConnectTimeout,
        _ if fault.class() == Class::Tls => Reason::UpstreamTls,
        _ => Reason::UpstreamUnreachable,
    })
}

fn client_refusal(error: &hyper_util::client::legacy::Error) -> Refusal {
    if error.is_connect() {
        connect_refusal(error)
    } else {
        tracing::warn!(%error, "the upstream's answer did not come");
        Refusal::from(Reason::UpstreamClosed).with_data("outcome", "unknown")
    }
}

fn request_to<B>(uri: Uri, method: Method, headers: HeaderMap, body: B) -> http::Request<B> {
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// A body to come from an upstream.
#[derive(Debug)]
pub(super) enum UpstreamBody {
    /// With the connection that it comes from, and the pool that the connection goes back to.
    Wire(WireBody, Weak<Pool>),
    /// From HTTP/2, or from inside this process.
    Stream(axum::body::Body),
}

fn give_back(body: &mut WireBody, pool: &Weak<Pool>) {
    // Without a pool, the configuration that had it has been replaced.
    if let Some(pool) = pool.upgrade() {
        body.finish(&pool);
    }
}

/// The body broke off.
#[derive(Debug)]
pub(super) struct Broken;

/// Some of a body; nothing at its end.
type Piece = Option<Result<Bytes, Broken>>;

fn known(piece: Piece) -> Result<Option<Bytes>, Refusal> {
    piece.transpose().map_err(|Broken| Reason::UpstreamTruncated.into())
}

impl UpstreamBody {
    /// The next piece, in the sizes in which they came.
    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Piece> {
        match self {
            Self::Wire(body, pool) => body.poll_data(context).map(|data| match data {
                Some(data) => Some(data.map_err(|_| Broken)),
                None => {
                    give_back(body, pool);
                    None
                }
            }),
            Self::Stream(body) => loop {
                match std::task::ready!(Pin::new(&mut *body).poll_frame(context)) {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                    Some(Err(_)) => return Poll::Ready(Some(Err(Broken))),
                    None => return Poll::Ready(None),
                }
            },
        }
    }

    /// Gives the connection back if everything has come, without waiting to be told that nothing more does.
    fn finish_early(&mut self) -> bool {
        match self {
            Self::Wire(body, pool) if body.has_ended() => {
                give_back(body, pool);
                true
            }
            _ => false,
        }
    }

    /// Would a body that broke off be noticed? Otherwise the end of the connection is all that ends it, as it is under any
    /// transfer coding but plain `chunked`.
    pub(super) fn says_where_it_ends(&self, headers: &HeaderMap) -> bool {
        let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        match self {
            Self::Wire(body, _) => body.length().is_some() || headers.get(TRANSFER_ENCODING).is_some_and(chunked),
            Self::Stream(_) => true,
        }
    }

    /// The whole body, at most `limit` bytes of it.
    pub(super) async fn collect(mut self, limit: usize, clocks: &Clocks) -> Result<Bytes, Refusal> {
        if self.length().is_some_and(|length| length > limit as u64) {
            return Err(Reason::UpstreamTooLarge.into());
        }
        // Mostly it has come with the head. What has not is waited for on the heap: each call carries the space otherwise.
        let first = poll_fn(|context| Poll::Ready(self.poll_data(context))).await;
        match first {
            Poll::Ready(Some(Ok(whole))) if whole.len() <= limit && self.finish_early() => Ok(whole),
            first => {
                let rest = within(clocks.total, Box::pin(self.rest(first, limit, clocks)));
                rest.await.unwrap_or_else(|| Err(Reason::UpstreamTimeout.into()))
            }
        }
    }

    /// Goes on after a first look at what is there.
    async fn rest(mut self, first: Poll<Piece>, limit: usize, clocks: &Clocks) -> Result<Bytes, Refusal> {
        let first = match first {
            Poll::Ready(first) => known(first)?,
            Poll::Pending => self.piece(clocks).await?,
        };
        let Some(first) = first else { return Ok(Bytes::new()) };
        let left = self.length().and_then(|length| usize::try_from(length).ok());
        let Some(second) = self.piece(clocks).await? else {
            return if first.len() > limit { Err(Reason::UpstreamTooLarge.into()) } else { Ok(first) };
        };
        let announced = left.map(|left| first.len() + left);
        let mut whole = BytesMut::with_capacity(announced.unwrap_or(4 * (first.len() + second.len())));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while whole.len() <= limit {
            match self.piece(clocks).await? {
                Some(piece) => whole.extend_from_slice(&piece),
                None => return Ok(whole.freeze()),
            }
        }
        Err(Reason::UpstreamTooLarge.into())
    }

    async fn piece(&mut self, clocks: &Clocks) -> Result<Option<Bytes>, Refusal> {
        let next = within(clocks.idle_json, poll_fn(|context| self.poll_data(context))).await.ok_or_else(|| {
            let message = "The upstream's answer stopped for longer than `clocks.idleJson` of the route.";
            Refusal::new(Reason::UpstreamTimeout, message)
        })?;
        known(next)
    }

    fn length(&self) -> Option<u64> {
        match self {
            Self::Wire(body, _) => body.length(),
            Self::Stream(body) => body.size_hint().exact(),
        }
    }
}

/// A timeout for what mostly is there already: only what must be waited for is worth a timer.
async fn within<F: Future>(patience: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(output) => Some(output),
        Poll::Pending => timeout(patience, future).await.ok(),
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http1(http1) => write!(f, "Http1({})", http1.origin),
            Self::Http2(http2) => write!(f, "Http2({})", http2.uri),
            Self::Local(_) => f.write_str("Local"),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}
