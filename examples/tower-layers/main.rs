//! The policies as Tower layers in a program of your own: no gateway, and no `routes.json`.
//!
//! An axum program has an MCP server of its own at `/mcp`, a function in this file, and puts three policies in front of
//! it. `README.md` beside this file says how to run it and what to see.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
use portcullis_policies::{
    capability_filter::CapabilityFilter,
    kit::{
        chain::{Arrival, Inbound, Request, RequestId, Response, RouteService, answered, refuse, stack},
        edge::{Edge, EdgeLimits},
        host::Host,
        message::{Message, Method},
        policy::Problem,
        reply::Reply,
    },
    layer,
    rate_limit::RateLimit,
    timeout::Timeout,
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app().map_err(|problems| format!("{problems:#?}"))?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
    println!("http://{}/mcp", listener.local_addr()?);
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}

/// The whole program, as a router.
pub(crate) fn app() -> Result<Router, Vec<Problem>> {
    let next = Arc::new(AtomicU64::new(1));
    let mcp = edge()?.map_request(move |request| with_arrival(request, &next));
    Ok(Router::new().route("/", get(|| async { "MCP is at /mcp\n" })).route_service("/mcp", mcp))
}

/// The policies, first one outermost, around the server.
fn edge() -> Result<Edge, Vec<Problem>> {
    let host = Host::default();
    let chain = stack(vec![
        layer::<RateLimit>(&json!({ "rateLimitBy": "ip", "requestsAllowed": 3, "timeWindowMinutes": 1 }), &host)?,
        layer::<Timeout>(&json!({ "seconds": 5 }), &host)?,
        layer::<CapabilityFilter>(&json!({ "tools": ["add"] }), &host)?,
    ]);
    Ok(Edge::new(chain.layer(RouteService::from_fn(|request| answered(serve(&request)))), EdgeLimits::default()))
}

/// Policies that count or judge by address read it here; so do the ids in answers and logs.
fn with_arrival(mut request: http::Request<Body>, next: &AtomicU64) -> http::Request<Body> {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() {
        let request_id = RequestId::new(std::process::id(), next.fetch_add(1, Ordering::Relaxed));
        request.extensions_mut().insert(Arrival {
            route: "/mcp".into(),
            upstream: "demo".into(),
            upstream_key: "demo".into(),
            client: peer.ip(),
            request_id,
        });
    }
    request
}

/// The server: what arrives here has been read strictly and has passed every policy.
fn serve(request: &Request) -> Response {
    match request.body() {
        Inbound::Message(message) => respond(message),
        Inbound::Refused(refusal) => refuse(request, refusal.clone()),
    }
}

fn respond(message: &Message) -> Response {
    let Some(id) = message.id() else { return accepted() };
    let outcome = match message.method() {
        Some(Method::Initialize) => format!(r#""result":{}"#, hello()),
        Some(Method::ListTools) => format!(r#""result":{}"#, json!({ "tools": [tool("add"), tool("erase")] })),
        Some(Method::CallTool) => format!(r#""result":{}"#, call(message)),
        _ => format!(r#""error":{}"#, json!({ "code": -32601, "message": "This server has tools only." })),
    };
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},{outcome}}}"#);
    let mut response = Response::new(Reply::Full(answer.into()));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// Notifications get no answer.
fn accepted() -> Response {
    let mut response = Response::default();
    *response.status_mut() = http::StatusCode::ACCEPTED;
    response
}

fn hello() -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "adder", "version": "1.0.0" },
    })
}

fn tool(name: &str) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object" } })
}

fn call(message: &Message) -> Value {
    let params: Value = message.params().and_then(|params| serde_json::from_str(params).ok()).unwrap_or_default();
    let numbers = params["arguments"]["numbers"].as_array().into_iter().flatten();
    let sum: f64 = numbers.filter_map(Value::as_f64).sum();
    json!({ "content": [{ "type": "text", "text": format!("The sum is {sum}.") }] })
}
