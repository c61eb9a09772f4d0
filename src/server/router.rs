//! Which path goes where.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Body;
use ipnet::IpNet;
use portcullis_policies::kit::{
    audit::{AuditLog, Entry},
    catalogue::nearest,
    chain::{Arrival, ForeignOrigin, RequestId},
    clock::Clock,
    edge::Handled,
    headers::has,
    refusal::{Addressee, Reason, Refusal},
};
use tower::ServiceExt;

use super::{
    access::{self, Access},
    hosts::Hosts,
    metrics::Metrics,
    outgoing::Outgoing,
    telemetry::Tracing,
};
use crate::{
    audit,
    config::Gateway,
    oauth::Visitor,
    pipeline::{Live, Route},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Marks the answer to a path that is none of the gateway's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoSuchPath;

/// Takes every request that comes in.
#[derive(Clone)]
pub struct Router(Arc<Inner>);

struct Inner {
    live: Arc<Live>,
    /// The gateway's own endpoints.
    own: axum::Router,
    watching: Watching,
    hosts: Hosts,
    trusted_proxies: Vec<IpNet>,
    access_log: bool,
    header_bytes: usize,
    headers: usize,
    requests: Requests,
}

/// What is told of requests.
pub(super) struct Watching {
    pub(super) metrics: Metrics,
    pub(super) tracing: Option<Tracing>,
    /// For requests that no chain sees.
    pub(super) audit: audit::Handle,
    pub(super) clock: Arc<dyn Clock>,
}

/// Numbers requests.
pub(super) struct Requests {
    process: u32,
    next: AtomicU64,
    /// The page on which errors are explained.
    help: &'static str,
}

impl Requests {
    /// `process` tells runs of the gateway apart. Errors are explained at `help`, which like the public URL lasts as long as
    /// the process does: so every request can name it, and none has to count or to copy.
    pub(super) fn new(process: u32, help: &str) -> Self {
        Self { process, next: AtomicU64::new(1), help: Box::leak(help.into()) }
    }

    fn next(&self) -> RequestId {
        RequestId::new(self.process, self.next.fetch_add(1, Ordering::Relaxed)).with_help(self.help)
    }
}

impl Router {
    pub(super) fn new(
        live: Arc<Live>,
        own: axum::Router,
        watching: Watching,
        gateway: &Gateway,
        listening: SocketAddr,
        requests: Requests,
    ) -> Self {
        Self(Arc::new(Inner {
            live,
            own,
            watching,
            hosts: Hosts::new(gateway, listening),
            trusted_proxies: gateway.trusted_proxies.clone(),
            access_log: gateway.log.access,
            header_bytes: gateway.limits.header_bytes.get() as usize,
            headers: gateway.limits.headers.get() as usize,
            requests,
        }))
    }

    /// Answers one request that came from `peer`.
    pub(super) async fn answer<B>(
        self,
        mut request: http::Request<B>,
        peer: IpAddr,
    ) -> Result<http::Response<Outgoing>, Infallible>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let this = &*self.0;
        let request_id = this.requests.next();
        if let Err(refusal) = this.admit(&request) {
            this.unrouted(&request, peer, request_id, &refusal);
            return Ok(this.refuse(&refusal, request_id));
        }
        // What this request begins on, it ends on, also if the configuration changes meanwhile.
        let generation = this.live.current();
        let Some(route) = generation.route(request.uri().path()) else {
            let known = generation.paths().to_vec();
            drop(generation);
            let address = this.client(request.headers(), peer);
            let visitor = Visitor { address, request_id: request_id.as_str().to_owned() };
            request.extensions_mut().insert(visitor);
            request.extensions_mut().insert(request_id);
            return Ok(Box::pin(this.own(request, address, request_id, &known)).await);
        };
        let Route { path, upstream, upstream_key, edge, .. } = route;
        if route.sign_in.is_some() {
            this.hosts.notice(request.uri(), request.headers());
        }
        let arrival = Arrival {
            route: Arc::clone(path),
            upstream: Arc::clone(upstream),
            upstream_key: Arc::clone(upstream_key),
            client: this.client(request.headers(), peer),
            request_id,
        };
        if this.is_foreign(&request) {
            request.extensions_mut().insert(ForeignOrigin);
        }
        let mut access = Access::begin(this.access_log, &arrival);
        let span = this.watching.tracing.as_ref().map(|tracing| tracing.begin(path, request.headers_mut()));
        request.extensions_mut().insert(arrival);
        route.tell(request.extensions_mut());
        let Handled { mut response, message } = edge.handle(request).await;
        let outcome = access::Outcome::of(&response, message.as_ref());
        let elapsed = access.end(&outcome);
        this.watching.metrics.request(path, &outcome, elapsed);
        if let Some(span) = span {
            span.end(&outcome);
        }
        if let Some(late) = response.extensions_mut().remove() {
            this.watching.metrics.will_decide(path, late);
        }
        response.headers_mut().insert(REQUEST_ID, request_id.to_header());
        Ok(response.map(Outgoing::Route))
    }
}

impl Inner {
    fn admit<B>(&self, request: &http::Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if bytes > self.header_bytes || headers.len() > self.headers {
            return Err(Refusal::from(Reason::HeadersTooLarge).closing());
        }
        headers.iter().try_for_each(|(name, value)| check_demand(name, value))?;
        if is_probe(request.uri().path()) {
            return Ok(()); // asked by machines that know us by whatever name
        }
        self.hosts.check(request.uri(), headers)
    }

    fn is_foreign<B>(&self, request: &http::Request<B>) -> bool {
        let headers = request.headers();
        if !has(headers, &header::ORIGIN) {
            return false;
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or(request.uri().authority().map(http::uri::Authority::as_str));
        let own = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| self.hosts.is_own_origin(origin, host));
        !headers.get_all(header::ORIGIN).iter().all(own)
    }

    /// The client's address: the peer's, unless the peer is a trusted proxy; then the last one in `X-Forwarded-For` that
    /// is not a trusted proxy itself. One that cannot be read is nobody's: never the proxy's own, which may be let in.
    fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let peer = peer.to_canonical();
        let trusted = |address: &IpAddr| self.trusted_proxies.iter().any(|net| net.contains(address));
        if !trusted(&peer) {
            return peer;
        }
        let lines = headers.get_all("x-forwarded-for").iter();
        let hops: Vec<_> = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
        for hop in hops.into_iter().rev() {
            let hop = std::str::from_utf8(hop.trim_ascii()).ok().and_then(|hop| hop.parse::<IpAddr>().ok());
            match hop.map(|hop| hop.to_canonical()) {
                Some(hop) if trusted(&hop) => {}
                Some(hop) => return hop,
                None => return IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            }
        }
        peer
    }

    async fn own<B>(
        &self,
        request: http::Request<B>,
        address: IpAddr,
        request_id: RequestId,
        known: &[Arc<str>],
    ) -> http::Response<Outgoing>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = request.uri().path().to_owned();
        let mut response = match self.own.clone().oneshot(request.map(axum::body::Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if response.extensions().get::<NoSuchPath>().is_none() {
            if let Some(reason) = response.extensions().get() {
                self.watching.metrics.refused(*reason);
            }
            response.headers_mut().insert(REQUEST_ID, request_id.to_header());
            return response.map(Outgoing::Own);
        }
        let refusal = Refusal::from(Reason::RouteNotFound).closing();
        self.write_down(&path, address, request_id, &refusal);
        self.refuse(
            &match nearest(&path, known.iter().map(|path| &**path)) {
                Some(near) => refusal.with_remedy(format!("Did you mean {near}?")),
                None => refusal,
            },
            request_id,
        )
    }

    /// Writes down a request that is refused before its path is looked at.
    fn unrouted<B>(&self, request: &http::Request<B>, peer: IpAddr, request_id: RequestId, refusal: &Refusal) {
        self.write_down(request.uri().path(), self.client(request.headers(), peer), request_id, refusal);
    }

    /// Where routes are audited, so is what reaches none.
    fn write_down(&self, path: &str, address: IpAddr, request_id: RequestId, refusal: &Refusal) {
        let Watching { audit, clock, .. } = &self.watching;
        if self.live.current().audits() {
            audit.note(Entry::unrouted(clock.now(), request_id, path, address, refusal));
        }
    }

    fn refuse(&self, refusal: &Refusal, request_id: RequestId) -> http::Response<Outgoing> {
        self.watching.metrics.refused(refusal.reason());
        let to = Addressee { id: None, request_id: Some(&request_id) };
        let mut response = refusal.clone().answer(to).map(Outgoing::Route);
        response.headers_mut().insert(REQUEST_ID, request_id.to_header());
        response
    }
}

/// What the HTTP library lets pass and the gateway cannot meet.
fn check_demand(name: &HeaderName, value: &HeaderValue) -> Result<(), Refusal> {
    let is = |met: &[u8]| value.as_bytes().eq_ignore_ascii_case(met);
    let (status, message) = match *name {
        header::TRANSFER_ENCODING if !is(b"chunked") => {
            (StatusCode::NOT_IMPLEMENTED, "The only `Transfer-Encoding` that the gateway takes is `chunked`.")
        }
        header::EXPECT if !is(b"100-continue") => {
            (StatusCode::EXPECTATION_FAILED, "The only `Expect` that the gateway meets is `100-continue`.")
        }
        _ => return Ok(()),
    };
    Err(Refusal::new(Reason::BadRequest, message).with_status(status).closing())
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}
