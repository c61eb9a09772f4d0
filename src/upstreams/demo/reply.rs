//! From results and faults to HTTP responses.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use super::{fault::Fault, id::Id};

/// A JSON-RPC answer. Without an id (none could be read) the member is left out: the MCP schema has no null id.
#[derive(Serialize)]
struct Answer<'a, R> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    #[serde(flatten)]
    outcome: Outcome<'a, R>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<'a, R> {
    Result(&'a R),
    Error(Value),
}

/// The text of a JSON-RPC result.
pub(super) fn result_text<R: Serialize>(id: &Id, result: &R) -> String {
    to_text(&Answer { jsonrpc: "2.0", id: Some(id), outcome: Outcome::Result(result) })
}

/// Serialises one of our own messages. They are made of strings, numbers and raw JSON, which cannot fail;
/// the fallback is there so that no path panics.
pub(super) fn to_text(message: &impl Serialize) -> String {
    serde_json::to_string(message)
        .unwrap_or_else(|_| r#"{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error"}}"#.to_owned())
}

/// A result as one JSON object.
pub(super) fn result(id: &Id, result: &Value) -> Response<Body> {
    with_body(StatusCode::OK, "application/json", result_text(id, result))
}

/// A fault as one JSON object, under its HTTP status.
pub(super) fn fault(id: Option<&Id>, fault: &Fault) -> Response<Body> {
    let mut error = json!({ "code": fault.code, "message": fault.message });
    if let (Some(data), Value::Object(members)) = (&fault.data, &mut error) {
        members.insert("data".to_owned(), data.clone());
    }
    let answer: Answer<'_, Value> = Answer { jsonrpc: "2.0", id, outcome: Outcome::Error(error) };
    with_body(fault.status, "application/json", to_text(&answer))
}

/// 202 without a body.
pub(super) fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// An answer for people, where there is no JSON-RPC message to answer.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    with_body(status, "text/plain; charset=utf-8", text)
}

/// Server-sent events. Nobody on the way may keep them back or store them.
pub(super) fn events(body: Body) -> Response<Body> {
    let mut response = with_body(StatusCode::OK, "text/event-stream", body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
