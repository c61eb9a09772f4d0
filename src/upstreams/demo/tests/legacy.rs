//! A client of 2025-11-25 or before.

use super::*;

#[tokio::test]
async fn initialize_keeps_a_legacy_version_that_both_speak() {
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        assert_eq!(negotiated(version).await, version);
    }
}

#[tokio::test]
async fn initialize_offers_the_newest_legacy_version_otherwise() {
    for version in ["2024-11-05", "2026-07-28", "1.0"] {
        assert_eq!(negotiated(version).await, "2025-11-25", "{version}");
    }
}

async fn negotiated(version: &str) -> Value {
    let params =
        json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let answer = DemoServer::new().post(&[], &body.to_string()).await;
    assert_eq!(answer.headers.get("mcp-session-id"), None, "no session is minted");
    let result = answer.result();
    assert_eq!(result["serverInfo"]["name"], "portcullis-demo");
    assert_eq!(result["capabilities"], json!({ "completions": {}, "prompts": {}, "resources": {}, "tools": {} }));
    result["protocolVersion"].clone()
}

#[tokio::test]
async fn initialize_without_a_version_is_refused() {
    assert_eq!(DemoServer::new().legacy("initialize", json!({})).await.code(), -32602);
}

#[tokio::test]
async fn notifications_and_responses_are_accepted_without_a_body() {
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#,
    ] {
        let answer = DemoServer::new().post(&[], body).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::ACCEPTED, ""), "{body}");
    }
}

#[tokio::test]
async fn a_client_without_the_version_header_is_served() {
    let answer = DemoServer::new().post(&[], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await;
    assert_eq!(answer.result()["tools"].as_array().map(Vec::len), Some(8));
}

#[tokio::test]
async fn nothing_modern_is_said_to_a_legacy_client() {
    let server = DemoServer::new();
    for (method, params) in [
        ("ping", json!({})),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/read", json!({ "uri": "note://1" })),
        ("tools/call", json!({ "name": "list_notes" })),
    ] {
        let result = server.legacy(method, params).await.result();
        for member in ["resultType", "ttlMs", "cacheScope", "_meta"] {
            assert_eq!(result.get(member), None, "{method}: {member}");
        }
    }
}

#[tokio::test]
async fn modern_methods_and_those_not_offered_are_unknown_under_200() {
    for method in ["server/discover", "subscriptions/listen", "logging/setLevel", "resources/subscribe", "x"] {
        let answer = DemoServer::new().legacy(method, json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::OK, -32601), "{method}");
    }
}

#[tokio::test]
async fn a_missing_resource_has_the_legacy_code() {
    let answer = DemoServer::new().legacy("resources/read", json!({ "uri": "note://99" })).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, -32002));
    assert_eq!(answer.json()["error"]["data"]["uri"], "note://99");
}
