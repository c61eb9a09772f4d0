//! HTTP/2 connections to an upstream: one for all exchanges of a credential.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use moka::sync::Cache;
use portcullis_policies::kit::credential::UpstreamCredential;
use tokio::{net::TcpStream, time::Instant};
use tower::{BoxError, Service};

use super::{
    meter::{Meter, Miss, Use},
    past::{Past, Seat},
};

/// For which a connection may rest.
const REST: Duration = Duration::from_mins(1);

/// A client for each credential in use, so that each has a connection of its own.
pub(super) struct Clients {
    connector: HttpsConnector<HttpConnector>,
    meter: Meter,
    past: Past,
    /// For requests without a credential.
    common: OneClient,
    own: Cache<(Box<str>, i64), (UpstreamCredential, OneClient)>,
}

impl Clients {
    const MOST: u64 = 256;

    pub(super) fn new(connector: HttpsConnector<HttpConnector>, meter: Meter) -> Self {
        // What is left out keeps its connection as long as an exchange uses it.
        let own = Cache::builder().max_capacity(Self::MOST).time_to_idle(REST).support_invalidation_closures().build();
        let past = Past::default();
        let common = OneClient::new(connector.clone(), meter.clone(), past.enter("", 0));
        Self { connector, meter, past, common, own }
    }

    /// The one for requests with this credential.
    pub(super) fn client(&self, credential: Option<&UpstreamCredential>) -> OneClient {
        let Some(credential) = credential else { return self.common.clone() };
        let key = (credential.connection().into(), credential.version());
        self.own.get_with(key, || (credential.clone(), self.open(credential))).1
    }

    fn open(&self, credential: &UpstreamCredential) -> OneClient {
        let entry = self.past.enter(credential.connection(), credential.version());
        OneClient::new(self.connector.clone(), self.meter.clone(), entry)
    }

    /// Closes connections that have rested long enough, or whose credential is over.
    pub(super) fn sweep(&self) {
        // Fails only where closures are not supported, which they are.
        let _ = self.own.invalidate_entries_if(|_, (credential, _)| credential.is_over());
        self.own.run_pending_tasks();
    }
}

/// hyper-util's client, which keeps one connection, and opens another one when that has ended.
#[derive(Clone)]
pub(super) struct OneClient {
    client: Client<Watched, Full<Bytes>>,
    line: Arc<Line>,
}

impl OneClient {
    fn new(connector: HttpsConnector<HttpConnector>, meter: Meter, entry: (Seat, Miss)) -> Self {
        let line = Arc::new(Line::new(meter, entry));
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            // A peer that has vanished is noticed before every call has timed out on it.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(REST)
            .retry_canceled_requests(false)
            .build(Watched { connector, line: Arc::clone(&line) });
        Self { client, line }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn request(&self, request: http::Request<Full<Bytes>>) -> Result<http::Response<Incoming>, Error> {
        let sent = self.client.request(request).await;
        if sent.is_ok() {
            self.line.used();
        }
        sent
    }
}

/// The connections of one client, one after the other.
#[derive(Debug)]
struct Line {
    meter: Meter,
    _seat: Seat,
    /// Why the first is opened.
    first: Miss,
    has_opened: AtomicBool,
    /// Opened for a request that has not been counted.
    is_fresh: AtomicBool,
    since: Instant,
    /// When it was used last, in milliseconds.
    last_use: AtomicU64,
}

impl Line {
    fn new(meter: Meter, (seat, first): (Seat, Miss)) -> Self {
        // A client that is gone was left out because nobody, or others more often, had use for it.
        seat.ends(Miss::Idle);
        let (has_opened, is_fresh) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { meter, _seat: seat, first, has_opened, is_fresh, since: Instant::now(), last_use: AtomicU64::new(0) }
    }

    fn opened(&self) {
        let miss = match self.has_opened.swap(true, Ordering::Relaxed) {
            false => self.first,
            true if self.has_rested() => Miss::Idle,
            true => Miss::Error,
        };
        self.meter.connection(Use::Opened(miss));
        self.is_fresh.store(true, Ordering::Relaxed);
    }

    fn used(&self) {
        self.last_use.store(self.now(), Ordering::Relaxed);
        if !self.is_fresh.swap(false, Ordering::Relaxed) {
            self.meter.connection(Use::Reused);
        }
    }

    /// Long enough to have been closed for that.
    fn has_rested(&self) -> bool {
        let rested = self.now().saturating_sub(self.last_use.load(Ordering::Relaxed));
        Duration::from_millis(rested) >= REST
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A connector whose connections are counted.
#[derive(Clone)]
struct Watched {
    connector: HttpsConnector<HttpConnector>,
    line: Arc<Line>,
}

impl Service<Uri> for Watched {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (opening, line) = (self.connector.call(uri), Arc::clone(&self.line));
        Box::pin(async move {
            let io = opening.await?;
            line.opened();
            Ok(io)
        })
    }
}
