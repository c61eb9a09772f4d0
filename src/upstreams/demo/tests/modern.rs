//! A client of 2026-07-28.

use super::*;

const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

#[tokio::test]
async fn discover_names_the_versions_and_capabilities() {
    let result = DemoServer::new().modern("server/discover", json!({})).await.result();
    assert_eq!(result["supportedVersions"], json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]));
    assert_eq!(result["capabilities"]["resources"], json!({ "subscribe": true, "listChanged": true }));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "portcullis-demo");
}

#[tokio::test]
async fn every_result_is_complete_and_cacheable_ones_say_for_how_long() {
    let server = DemoServer::new();
    for (method, params, scope) in [
        ("server/discover", json!({}), Some("public")),
        ("tools/list", json!({}), Some("public")),
        ("prompts/list", json!({}), Some("public")),
        ("resources/templates/list", json!({}), Some("public")),
        ("resources/list", json!({}), Some("private")),
        ("resources/read", json!({ "uri": "note://1" }), Some("private")),
        ("prompts/get", json!({ "name": "summarize_notes" }), None),
        ("tools/call", json!({ "name": "echo", "arguments": { "text": "hi" } }), None),
    ] {
        let result = server.modern(method, params).await.result();
        assert_eq!(result["resultType"], "complete", "{method}");
        assert_eq!(result.get("cacheScope").and_then(Value::as_str), scope, "{method}");
        assert_eq!(result.get("ttlMs").is_some(), scope.is_some(), "{method}");
    }
}

#[tokio::test]
async fn a_request_without_its_meta_is_refused() {
    let headers = [VERSION, ("mcp-method", "tools/list")];
    let version_only = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    for body in [r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, version_only] {
        let answer = DemoServer::new().post(&headers, body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, -32602), "{body}");
    }
}

#[tokio::test]
async fn an_unknown_version_is_answered_with_those_we_speak() {
    for version in ["2099-01-01", "1900-01-01", "latest"] {
        let body = modern_body("tools/list", json!({})).to_string().replace("2026-07-28", version);
        let headers = [("mcp-protocol-version", version), ("mcp-method", "tools/list")];
        let answer = DemoServer::new().post(&headers, &body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, -32022));
        let data = &answer.json()["error"]["data"];
        assert_eq!(data["requested"], version);
        assert_eq!(data["supported"][0], "2026-07-28");
    }
}

#[tokio::test]
async fn headers_that_contradict_the_body_are_refused() {
    let body = modern_body("tools/call", json!({ "name": "echo", "arguments": { "text": "hi" } })).to_string();
    let method = ("mcp-method", "tools/call");
    let name = ("mcp-name", "echo");
    let cases: &[&[(&str, &str)]] = &[
        &[method, name],
        &[("mcp-protocol-version", "2025-11-25"), method, name],
        &[VERSION, VERSION, method, name],
        &[VERSION, name],
        &[VERSION, ("mcp-method", "tools/list"), name],
        &[VERSION, ("mcp-method", "Tools/Call"), name],
        &[VERSION, method],
        &[VERSION, method, ("mcp-name", "list_notes")],
        &[VERSION, method, ("mcp-name", "ECHO")],
        &[VERSION, method, name, name],
        &[VERSION, method, ("mcp-name", "=?base64?ZWNobw=?=")],
        &[VERSION, method, ("mcp-name", "=?BASE64?ZWNobw==?=")],
    ];
    for headers in cases {
        let answer = DemoServer::new().post(headers, &body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, -32020), "{headers:?}");
    }
}

#[tokio::test]
async fn a_name_may_be_wrapped_in_base64_and_padded_with_blanks() {
    let body = modern_body("tools/call", json!({ "name": "echo", "arguments": { "text": "hi" } })).to_string();
    for name in ["echo", "  echo\t", "=?base64?ZWNobw==?="] {
        let headers = [VERSION, ("mcp-method", "tools/call"), ("mcp-name", name)];
        assert_eq!(DemoServer::new().post(&headers, &body).await.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn a_call_without_a_name_is_refused_for_the_name() {
    let answer = DemoServer::new().modern("tools/call", json!({})).await;
    assert_eq!(answer.code(), -32602);
}

#[tokio::test]
async fn legacy_methods_are_not_found() {
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/get"] {
        let answer = DemoServer::new().modern(method, json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, -32601), "{method}");
    }
}

#[tokio::test]
async fn a_missing_resource_is_an_invalid_param() {
    let answer = DemoServer::new().modern("resources/read", json!({ "uri": "note://99" })).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, -32602));
}

#[tokio::test]
async fn notifications_are_accepted_and_responses_are_not() {
    let server = DemoServer::new();
    let notification = server.post(&[VERSION], r#"{"jsonrpc":"2.0","method":"notifications/x"}"#).await;
    assert_eq!(notification.status, StatusCode::ACCEPTED);
    let response = server.post(&[VERSION], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).await;
    assert_eq!((response.status, response.code()), (StatusCode::BAD_REQUEST, -32600));
}
