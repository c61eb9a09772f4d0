//! A client's request as an upstream of 2026-07-28 takes it: with `_meta`, and with the headers that repeat it.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_policies::kit::{
    chain::Request,
    json::Flaw,
    message::{FIRST_MODERN, Message, Method},
    refusal::{Reason, Refusal},
};

use super::client::Client;
use crate::proxy::{Forward, bridge::object::Object, headers};

const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What a request has in `params` only when it is asked again, or in revisions that had tasks: from clients of before,
/// it would mean something else behind the gateway than it does to them.
const NOT_THEIRS: [&str; 3] = ["inputResponses", "requestState", "task"];

/// A request that is asked again, with what its upstream wanted to know.
#[derive(Debug)]
pub(super) struct Again {
    /// The new request's id, as JSON text.
    pub(super) id: String,
    /// `inputResponses`, as JSON text; none if nothing was asked.
    pub(super) responses: Option<String>,
    /// `requestState`, as JSON text, exactly as it came.
    pub(super) state: Option<String>,
}

/// The message for the upstream.
pub(super) fn message(original: &[u8], client: &Client, again: Option<&Again>) -> Result<Bytes, Refusal> {
    let text = std::str::from_utf8(original).unwrap_or_default();
    let built = build(text, client, again);
    built.map_err(|flaw| Refusal::new(Reason::AmbiguousJson, flaw.to_string()))
}

fn build(text: &str, client: &Client, again: Option<&Again>) -> Result<Bytes, Flaw> {
    let mut message = Object::read(text)?;
    let params = message.take("params").unwrap_or_default();
    let mut params = Object::read(&params)?;
    let meta = params.take("_meta").unwrap_or_default();
    let mut meta = Object::read(&meta)?;
    for (key, value) in client.meta() {
        meta.set(key, value);
    }
    for key in NOT_THEIRS {
        params.take(key);
    }
    params.set("_meta", meta.to_json());
    if let Some(Again { id, responses, state }) = again {
        message.set("id", id);
        let members = [("inputResponses", responses), ("requestState", state)];
        for (key, value) in members.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            params.set(key, value);
        }
    }
    message.set("params", params.to_json());
    Ok(message.to_json().into())
}

/// A request of the gateway's own. `id` and `params` are JSON text; `_meta` is put into the params.
pub(super) fn own(method: &Method, id: &str, params: &str, client: &Client) -> Result<Bytes, Refusal> {
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
    message(text.as_bytes(), client, None)
}

/// The headers of a request on behalf of `request`, for this method and target.
pub(super) fn headers(forward: &Forward, request: &Request, method: &Method, target: Option<&str>) -> HeaderMap {
    let mut mcp = vec![
        (headers::VERSION, HeaderValue::from_static(FIRST_MODERN)),
        (headers::METHOD, header_value(method.name())),
    ];
    mcp.extend(target.map(|target| (NAME, header_value(target))));
    headers::own(forward.0.upstream.endpoint.template(), request, &mcp)
}

/// What `Mcp-Name` repeats, where there is such a header.
pub(super) fn target(message: &Message) -> Option<&str> {
    let named = matches!(message.method(), Some(Method::CallTool | Method::GetPrompt | Method::ReadResource));
    message.target().filter(|_| named).map(|(_, target)| target)
}

/// Text as the value of a header: as it is, or in Base64 where a header cannot hold it or it would be taken for Base64
/// (MCP 2026-07-28, "Value Encoding").
pub(super) fn header_value(text: &str) -> HeaderValue {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) && text.trim_matches([' ', '\t']) == text;
    let taken_for_base64 = text.starts_with("=?base64?") && text.ends_with("?=");
    if plain
        && !taken_for_base64
        && let Ok(value) = HeaderValue::from_str(text)
    {
        return value;
    }
    let encoded = format!("=?base64?{}?=", BASE64_STANDARD.encode(text));
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::proxy::bridge::legacy_client::client::declared;

    fn client() -> Client {
        let declared = declared(json!({ "roots": {} }), json!({ "name": "story", "version": "1" }));
        Client {
            session: "s".into(),
            subject: "ada".into(),
            version: "2025-06-18".into(),
            declared: declared.into(),
            listens: false,
            log_level: Some("info"),
        }
    }

    fn sent(original: &str, again: Option<&Again>) -> Value {
        serde_json::from_slice(&message(original.as_bytes(), &client(), again).unwrap()).unwrap()
    }

    #[test]
    fn tr_25_a_request_says_for_itself_what_the_session_stood_for() {
        let original = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"t","arguments":{"n":1.0},
            "_meta":{"progressToken":7,"io.modelcontextprotocol/clientCapabilities":{"sampling":{}}},"task":{"ttl":1}}}"#;
        let params = json!({
            "name": "t", "arguments": { "n": 1.0 },
            "_meta": {
                "progressToken": 7,
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "story", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": { "roots": {} },
                "io.modelcontextprotocol/logLevel": "info",
            },
        });
        assert_eq!(
            sent(original, None),
            json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": params })
        );
        assert!(sent(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, None)["params"]["_meta"].is_object());
        assert!(sent(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#, None)["params"].is_object());
    }

    #[test]
    fn sb_04_what_only_an_upstream_gives_is_not_taken_from_a_client() {
        let forged = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t",
            "requestState":"mine","inputResponses":{"a":{}}}}"#;
        let params = &sent(forged, None)["params"];
        assert_eq!((params.get("requestState"), params.get("inputResponses")), (None, None));
        let again =
            Again { id: "\"again\"".into(), responses: Some(r#"{"a":{"action":"accept"}}"#.into()), state: None };
        let again = sent(forged, Some(&again));
        assert_eq!((&again["id"], again["params"].get("requestState")), (&json!("again"), None));
        assert_eq!(again["params"]["inputResponses"], json!({ "a": { "action": "accept" } }));
    }

    #[test]
    fn tr_28_a_header_holds_any_text() {
        let held = |text| header_value(text).to_str().unwrap().to_owned();
        assert_eq!(held("us-west1"), "us-west1");
        assert_eq!(held("Hello, 世界"), "=?base64?SGVsbG8sIOS4lueVjA==?=");
        assert_eq!(held(" padded "), "=?base64?IHBhZGRlZCA=?=");
        assert_eq!(held("line1\nline2"), "=?base64?bGluZTEKbGluZTI=?=");
        assert_eq!(held("=?base64?literal?="), "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
        assert_eq!(held(""), "");
    }
}
