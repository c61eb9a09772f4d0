//! The beginning of a session that only the gateway knows of, answered from what the upstream says about itself.

use http::HeaderValue;
use portcullis_policies::kit::{
    chain::{Request, Response},
    message::{FIRST_MODERN, Message, Method},
    refusal::{Reason, Refusal},
    session::knows_pages,
};
use serde_json::{Value, json};

use super::{
    super::common::TASKS,
    client::{self, Client},
    outgoing,
    response::json_response,
};
use crate::proxy::{
    Failure, Forward,
    answer::answer_to,
    bridge::object::Object,
    headers::SESSION,
    session::{Held, Owner, Session},
    upstream::{Behalf, Sending},
};

/// The id of the gateway's own `server/discover`, as JSON text.
const DISCOVER: &str = r#""portcullis-discover""#;

/// Answers `initialize`.
pub(in crate::proxy) async fn initialize(
    forward: &Forward,
    request: &Request,
    message: &Message,
) -> Result<Response, Failure> {
    let params = Object::read(message.params().unwrap_or_default()).unwrap_or_default();
    let version = client::negotiate(params.parse::<String>("protocolVersion").as_deref());
    let told = |key| params.parse::<Value>(key).unwrap_or_default();
    let declared = client::declared(told("capabilities"), told("clientInfo"));
    let client = Client {
        session: "".into(),
        subject: Owner::of(request).subject.into(),
        version: version.into(),
        declared: declared.clone().into(),
        listens: false,
        log_level: None,
    };
    let discovered = discover(forward, request, &client).await?;
    let result = greeting(version, &discovered, forward.route());
    let owner = Owner::of(request);
    let session = Session {
        version: Some(version.to_owned()),
        opens_pages: knows_pages(version, &declared.capabilities),
        held: Held::ByGateway(declared),
        has_asides: has_news(&discovered["capabilities"]),
    };
    let id: HeaderValue = forward.sessions().seal(owner, &session).ok_or(Reason::Internal)?;
    let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, message.id().unwrap_or("null"));
    let mut response = json_response(text.into());
    response.headers_mut().insert(SESSION, id);
    Ok(response)
}

/// What the upstream says about itself to this client.
async fn discover(forward: &Forward, request: &Request, client: &Client) -> Result<Value, Failure> {
    let sending = Sending {
        headers: outgoing::headers(forward, request, &Method::Discover, None),
        message: outgoing::own(&Method::Discover, DISCOVER, "{}", client)?,
        awaiting: Some(DISCOVER),
        behalf: Behalf::of(request),
    };
    let reply = forward.upstream().post(sending).await?.reply;
    let answer = answer_to(DISCOVER, reply).await.unwrap_or_default();
    let mut answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let discovered = answer["result"].take();
    let mut versions = discovered["supportedVersions"].as_array().into_iter().flatten();
    if versions.any(|version| version == FIRST_MODERN) {
        return Ok(discovered);
    }
    let why = match &answer["error"]["message"] {
        Value::String(error) => format!("The upstream did not say what it is: {error}"),
        _ => format!("The upstream does not say that it speaks MCP {FIRST_MODERN}, nor any revision with sessions."),
    };
    Err(Refusal::new(Reason::UpstreamInvalid, why).into())
}

/// The result of `initialize`.
fn greeting(version: &str, discovered: &Value, route: &str) -> Value {
    let unnamed = || json!({ "name": route, "version": "unknown" });
    let info = &discovered["_meta"]["io.modelcontextprotocol/serverInfo"];
    let mut greeting = json!({
        "protocolVersion": version,
        "capabilities": offered(&discovered["capabilities"]),
        "serverInfo": if info.is_object() { info.clone() } else { unnamed() },
    });
    if discovered["instructions"].is_string() {
        greeting["instructions"] = discovered["instructions"].clone();
    }
    greeting
}

/// Does the upstream say when its lists change?
fn has_news(capabilities: &Value) -> bool {
    ["tools", "prompts", "resources"].into_iter().any(|kind| capabilities[kind]["listChanged"] == true)
}

/// What the upstream offers, without what cannot be kept across the eras.
fn offered(capabilities: &Value) -> Value {
    let mut capabilities = capabilities.as_object().cloned().unwrap_or_default();
    capabilities.remove("tasks");
    if let Some(Value::Object(extensions)) = capabilities.get_mut("extensions") {
        extensions.remove(TASKS);
    }
    capabilities.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tr_24_tr_30_a_client_is_greeted_with_what_the_upstream_offers_across_the_eras() {
        let discovered = json!({
            "supportedVersions": ["2026-07-28"],
            "capabilities": {
                "tools": { "listChanged": true }, "resources": { "subscribe": true }, "logging": {},
                "extensions": { TASKS: {}, "io.modelcontextprotocol/ui": {} },
            },
            "instructions": "Be kind.",
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "modern", "version": "3" } },
            "resultType": "complete", "ttlMs": 5, "cacheScope": "public",
        });
        let capabilities = json!({
            "tools": { "listChanged": true }, "resources": { "subscribe": true }, "logging": {},
            "extensions": { "io.modelcontextprotocol/ui": {} },
        });
        let greeting = |discovered: &Value| greeting("2025-06-18", discovered, "/mcp");
        assert_eq!(
            greeting(&discovered),
            json!({
                "protocolVersion": "2025-06-18", "capabilities": capabilities, "instructions": "Be kind.",
                "serverInfo": { "name": "modern", "version": "3" },
            })
        );
        let silent = json!({ "protocolVersion": "2025-06-18", "capabilities": {},
            "serverInfo": { "name": "/mcp", "version": "unknown" } });
        assert_eq!(greeting(&json!({})), silent);
    }
}
