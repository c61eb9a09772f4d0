//! The sample server, seen from a client. One file per part of the story; here is the client.

mod legacy;
mod modern;
mod notes;
mod streams;
mod transport;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::DemoServer;

/// Longer than anything here takes, so that a broken test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    async fn read(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("the body can be read").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("the body is text");
        Self { status: head.status, headers: head.headers, text }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the body is JSON")
    }

    fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().expect("the answer is an error")
    }

    fn result(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        let result = self.json()["result"].clone();
        assert!(result.is_object(), "{}", self.text);
        result
    }
}

impl DemoServer {
    /// Posts a body with `headers` besides the content type.
    async fn post_raw(&self, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        let mut request = Request::builder().method(Method::POST).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).expect("a sound request");
        timeout(PATIENCE, self.handle(request)).await.expect("an answer in time")
    }

    async fn post(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer::read(self.post_raw(headers, body).await).await
    }

    /// A legacy request, as a client of 2025-11-25 sends it after `initialize`.
    async fn legacy(&self, method: &str, params: Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.post(&[("mcp-protocol-version", "2025-11-25")], &body.to_string()).await
    }

    /// A modern request with everything that 2026-07-28 wants.
    async fn modern(&self, method: &str, params: Value) -> Answer {
        Answer::read(self.modern_raw(method, params).await).await
    }

    async fn modern_raw(&self, method: &str, params: Value) -> Response<Body> {
        let body = modern_body(method, params);
        let params = &body["params"];
        let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default();
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", name)];
        self.post_raw(&headers, &body.to_string()).await
    }

    /// Calls a tool in the modern era.
    async fn tool(&self, name: &str, arguments: Value) -> Value {
        self.modern("tools/call", json!({ "name": name, "arguments": arguments })).await.result()
    }
}

/// The body of a modern request; `_meta` members in `params` are kept.
fn modern_body(method: &str, mut params: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// The next piece of a stream exactly as it was sent, or nothing at its end.
async fn next_piece(body: &mut Body) -> Option<String> {
    let frame = timeout(PATIENCE, body.frame()).await.expect("an event in time")?;
    let data = frame.expect("a sound stream").into_data().expect("data");
    Some(String::from_utf8(data.to_vec()).expect("text"))
}

/// The next event of a stream.
async fn next_event(body: &mut Body) -> Value {
    let piece = next_piece(body).await.expect("one more event");
    let json = piece.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n"));
    serde_json::from_str(json.expect("one event with one data line")).expect("JSON")
}
