//! What a layer costs that only passes a request on: `RouteService` beside nested boxed Tower services.
//!
//! `cargo bench --bench chain`.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use divan::{AllocProfiler, Bencher, black_box};
use http::{HeaderName, HeaderValue};
use portcullis_policies::{
    kit::{
        chain::{
            Arrival, Inbound, Request, RequestId, Response, RouteLayer, RouteService, answered, around, gate, stack,
        },
        credential::{
            Connections, CredentialRefused, NoCredential, Obtaining, UpstreamCredential, UpstreamTarget, Wanted,
        },
        host::{Caller, Host},
        json::Limits,
        message::Message,
        refusal::Reason,
        reply::Reply,
    },
    layer,
    token_exchange::TokenExchange,
    upstream_auth_retry::UpstreamAuthRetry,
};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const LAYERS: [usize; 5] = [0, 1, 5, 10, 20];

fn request() -> Request {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
    let message = Message::read(call.into(), &Limits::MESSAGE).expect("a message");
    Request::new(Inbound::Message(message))
}

/// Nothing in these chains waits, so one poll is the whole call.
fn finish(answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => unreachable!("nothing waits"),
    }
}

fn route(layers: usize, layer: &RouteLayer) -> RouteService {
    let end = RouteService::from_fn(|_| answered(Response::new(Reply::Empty)));
    stack(vec![layer.clone(); layers]).layer(end)
}

fn run(bencher: Bencher<'_, '_>, chain: &RouteService) {
    bencher.with_inputs(request).bench_values(|request| finish(black_box(chain).run(request)));
}

#[divan::bench(args = LAYERS)]
fn route_service_of_gates(bencher: Bencher<'_, '_>, layers: usize) {
    run(bencher, &route(layers, &gate(|_| Ok(()))));
}

#[divan::bench(args = LAYERS)]
fn route_service_of_arounds(bencher: Bencher<'_, '_>, layers: usize) {
    let passing = around(|request, next: RouteService| async move {
        let Ok(response) = next.run(request).await;
        response
    });
    run(bencher, &route(layers, &passing));
}

type Boxed = BoxCloneSyncService<Request, Response, Infallible>;

/// As a layer is usually written: the rest of the chain is cloned into the future.
fn boxed(layers: usize) -> Boxed {
    let end = BoxCloneSyncService::new(service_fn(|_| async { Ok(Response::new(Reply::Empty)) }));
    (0..layers).fold(end, |inner, _| {
        BoxCloneSyncService::new(service_fn(move |request| {
            let inner = inner.clone();
            async move { inner.oneshot(request).await }
        }))
    })
}

#[divan::bench(args = LAYERS)]
fn nested_box_clone_sync_services(bencher: Bencher<'_, '_>, layers: usize) {
    let chain = boxed(layers);
    bencher.with_inputs(request).bench_values(|request| {
        let mut service = black_box(&chain).clone();
        finish(service.call(request))
    });
}

/// Has a credential at once, as from a cache.
#[derive(Debug)]
struct AtHand(UpstreamCredential);

impl Connections for AtHand {
    fn obtain<'a>(&'a self, _: Wanted<'a>, _: Option<&'a str>) -> Obtaining<'a> {
        Obtaining::Ready(Ok(self.0.clone()))
    }

    fn renew<'a>(&'a self, wanted: Wanted<'a>, _: &'a CredentialRefused, inbound: Option<&'a str>) -> Obtaining<'a> {
        self.obtain(wanted, inbound)
    }

    fn give_up<'a>(
        &'a self,
        _: Wanted<'a>,
        _: &'a CredentialRefused,
    ) -> Pin<Box<dyn Future<Output = NoCredential> + Send + 'a>> {
        Box::pin(async { Reason::CredentialUnavailable.into() })
    }

    fn suspect(&self, _: &CredentialRefused) {}
}

/// A small call with the headers and facts that the gateway's calls have.
fn call_of_somebody() -> Request {
    let mut request = request();
    for (name, value) in [
        ("host", "gateway.example.com"),
        ("user-agent", "node"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("content-length", "88"),
        ("authorization", "Bearer mcpa_0123456789abcdef0123456789abcdef"),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-session-id", "0a1b2c3d-0123456789abcdef"),
    ] {
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let facts = request.extensions_mut();
    facts.insert(Arrival {
        route: "/mcp/linear".into(),
        upstream: "mcp.linear.app".into(),
        upstream_key: "https://mcp.linear.app/mcp".into(),
        client,
        request_id: RequestId::new(0, 1),
    });
    facts.insert(UpstreamTarget("https://mcp.linear.app/mcp".into()));
    facts.insert(Caller::new("https://issuer.example.com|alice"));
    request
}

/// What a call costs more whose credential is at hand: alone, and with somebody outside who would send it once more.
#[divan::bench(args = ["nothing", "credential", "credential and retry"])]
fn a_credential_at_hand(bencher: Bencher<'_, '_>, which: &str) {
    let headers = vec![(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer upstream"))];
    let at_hand = AtHand(UpstreamCredential::new("connection", 1, headers));
    let host = Host { connections: Some(Arc::new(at_hand)), ..Host::default() };
    let options = serde_json::json!({ "id": "linear", "displayName": "Linear" });
    let credential = || layer::<TokenExchange>(&options, &host).expect("the options are right");
    let retry = || layer::<UpstreamAuthRetry>(&serde_json::json!({}), &host).expect("the options are right");
    let layers = match which {
        "nothing" => Vec::new(),
        "credential" => vec![credential()],
        _ => vec![retry(), credential()],
    };
    let end = RouteService::from_fn(|_| answered(Response::new(Reply::Empty)));
    let chain = stack(layers).layer(end);
    bencher.with_inputs(call_of_somebody).bench_values(|request| finish(black_box(&chain).run(request)));
}
