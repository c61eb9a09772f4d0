//! Clients of 2026-07-28, and an upstream that only knows sessions.

mod asked;
mod beside;
mod ended;
mod listen;
mod translated;
mod warm;

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{method, welcome};
use crate::harness::{Answer, Gateway, Received, Reply, Request, Upstream};

/// An upstream with sessions: `initialize` opens one, and without one nothing is answered. In it, requests are answered as
/// scripted.
async fn with_sessions(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Upstream {
    let opened = AtomicUsize::new(0);
    Upstream::new(move |request| {
        if !request.head.starts_with("POST") {
            return Answer::status(if request.head.starts_with("DELETE") { 200 } else { 405 });
        }
        match (method(request).as_str(), request.header("mcp-session-id")) {
            ("initialize", None) => {
                let id = format!("session-{}", opened.fetch_add(1, Ordering::SeqCst) + 1);
                Answer::json(&welcome(request)).header("Mcp-Session-Id", &id)
            }
            (_, None) => Answer::body(400, "application/json", super::error(request, -32000).to_string()),
            (notification, _) if notification.starts_with("notifications/") => Answer::status(202),
            _ => script(request),
        }
    })
    .await
}

/// A request of 2026-07-28 to `/mcp`, in the making.
#[derive(Clone)]
struct Asking {
    path: &'static str,
    message: Value,
}

fn asking(id: impl Into<Value>, method: &str, params: &Value) -> Asking {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "story", "version": "1" },
    });
    Asking { path: "/mcp", message: json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params }) }
}

fn calling(id: impl Into<Value>, tool: &str) -> Asking {
    asking(id, "tools/call", &json!({ "name": tool, "arguments": {} }))
}

impl Asking {
    fn on(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    fn meta(mut self, key: &str, value: Value) -> Self {
        self.message["params"]["_meta"][key] = value;
        self
    }

    fn param(mut self, key: &str, value: Value) -> Self {
        self.message["params"][key] = value;
        self
    }

    /// Its client can be asked these.
    fn able(self, capabilities: Value) -> Self {
        self.meta("io.modelcontextprotocol/clientCapabilities", capabilities)
    }

    fn request(&self) -> Request {
        let (method, params) = (self.message["method"].as_str().unwrap(), &self.message["params"]);
        let version = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str().unwrap();
        let name = if method == "tasks/get" { &params["taskId"] } else { &params["name"] };
        let name = name.as_str().or(params["uri"].as_str());
        let request = Request::post(self.path, &self.message)
            .header("Mcp-Protocol-Version", version)
            .header("Mcp-Method", method);
        name.map_or(request.clone(), |name| request.header("Mcp-Name", name))
    }

    async fn of(&self, gateway: &Gateway) -> Reply {
        gateway.ask(&self.request()).await
    }
}

/// What reached the upstream in sessions, by method.
fn methods(upstream: &Upstream) -> Vec<String> {
    let posts = upstream.requests().into_iter().filter(|request| request.head.starts_with("POST"));
    posts.filter(is_in_session).map(|request| method(&request)).collect()
}

fn is_in_session(request: &Received) -> bool {
    request.header("mcp-session-id").is_some() || method(request) == "initialize"
}

fn count(upstream: &Upstream, wanted: &str) -> usize {
    methods(upstream).iter().filter(|method| *method == wanted).count()
}

/// The last message of an answer.
fn last(reply: &Reply) -> Value {
    reply.messages().pop().unwrap_or_else(|| panic!("no message: {reply:?}"))
}

/// A question of the upstream.
fn elicitation(id: u64, message: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let params = json!({ "message": message, "requestedSchema": schema });
    json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params })
}

/// The client's answers to requests of the upstream, as they reached it.
fn answers(upstream: &Upstream) -> Vec<Value> {
    let is_answer = |request: &Received| request.head.starts_with("POST") && request.message()["method"].is_null();
    upstream.requests().iter().filter(|request| is_answer(request)).map(Received::message).collect()
}
