//! Asking people to open a page (URL mode elicitation), of clients that can send them there.

use serde_json::{Value, json};

use crate::kit::{
    chain::Request,
    message::Message,
    refusal::{Reason, Refusal},
    session,
};

/// Where clients of 2026-07-28 say what they can do.
const CAPABILITIES: &str = "/_meta/io.modelcontextprotocol~1clientCapabilities";

/// A page that somebody is asked to open.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Names the question.
    pub id: &'a str,
    /// Where it is.
    pub url: &'a str,
    /// Why, for people.
    pub message: &'a str,
}

/// Can the client of this request send people to a page? Those of 2026-07-28 say so each time, older ones when their session
/// begins.
pub fn opens_pages(request: &Request) -> bool {
    match request.body().message() {
        Some(message) if message.is_modern() => declared_in(message),
        Some(_) => session::opens_pages(request),
        None => false,
    }
}

/// Did this client of 2026-07-28 declare that it can?
pub fn declared_in(message: &Message) -> bool {
    let params = message.params().filter(|_| message.is_modern());
    let params: Value = params.and_then(|params| serde_json::from_str(params).ok()).unwrap_or_default();
    params.pointer(CAPABILITIES).is_some_and(declares_pages)
}

/// Do capabilities of a client, of either era, say so?
pub fn declares_pages(capabilities: &Value) -> bool {
    capabilities.pointer("/elicitation/url").is_some_and(Value::is_object)
}

impl Page<'_> {
    /// `-32042`, which MCP has in 2025-11-25.
    pub fn required(&self, reason: Reason) -> Refusal {
        let elicitation = json!({ "mode": "url", "elicitationId": self.id, "url": self.url, "message": self.message });
        Refusal::new(reason, self.message.to_owned()).with_data("elicitations", json!([elicitation]))
    }
}

/// Tells a client of 2025-11-25 that what a page was for is done.
pub fn complete(id: &str) -> String {
    let params = json!({ "elicitationId": id });
    json!({ "jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": params }).to_string()
}
