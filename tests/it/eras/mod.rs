//! Stories about the two eras of MCP: sessions, up to 2025-11-25, and requests that stand for themselves, since 2026-07-28.

mod aside;
mod explained;
mod first_contact;
mod legacy_client;
mod listen;
mod modern_client;
mod polling;
mod reuse;
mod served;
mod sessions;
mod translated;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Gateway, Received, Request, Upstream, initialize};

/// The revision that scripted upstreams agree on, whatever they are offered.
const AGREED: &str = "2025-06-18";

/// How often what, as metrics count it.
fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.map(|(name, count)| (name.to_owned(), count)).into()
}

/// What an upstream with sessions says to `initialize`.
fn welcome(request: &Received) -> Value {
    let server = json!({ "name": "scripted", "version": "1" });
    request.result(&json!({ "protocolVersion": AGREED, "capabilities": { "tools": {} }, "serverInfo": server }))
}

/// What an upstream without sessions says of itself.
fn introduction(request: &Received, versions: &[&str]) -> Value {
    request.result(&json!({ "resultType": "complete", "supportedVersions": versions, "capabilities": { "tools": {} } }))
}

/// A JSON-RPC error for this request.
fn error(request: &Received, code: i64) -> Value {
    json!({ "jsonrpc": "2.0", "id": request.message()["id"], "error": { "code": code, "message": "no" } })
}

/// The method that an upstream was asked for.
fn method(request: &Received) -> String {
    request.message()["method"].as_str().unwrap_or_default().to_owned()
}

/// What an upstream was asked for, in order.
fn methods(upstream: &Upstream) -> Vec<String> {
    upstream.requests().iter().map(method).collect()
}

/// Begins a session on `/mcp`, and gives the id that the client got.
async fn begin(gateway: &Gateway) -> String {
    let reply = gateway.post(&initialize(1)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.header("mcp-session-id").unwrap().to_owned()
}

/// A message of a session on `/mcp`.
fn within(session: &str, message: &Value) -> Request {
    Request::post("/mcp", message).header("Mcp-Session-Id", session)
}

/// A request that stands for itself, of this revision, on `/mcp`.
fn alone(version: &str, method: &str) -> Request {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": { "_meta": meta } });
    Request::post("/mcp", &message).header("Mcp-Protocol-Version", version).header("Mcp-Method", method)
}
