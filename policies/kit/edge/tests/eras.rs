//! Each client is refused in the words of its own era.

use super::*;

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// A list of tools, asked for in 2026-07-28 with this `_meta`.
fn modern(meta: &Value) -> http::Request<Full<Bytes>> {
    let message = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
    let mut request = post(text(&message.to_string()));
    for (name, value) in [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")] {
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    request
}

/// The status of a refusal for this reason, and its JSON-RPC code.
async fn refused(reason: Reason, request: http::Request<Full<Bytes>>) -> (u16, i64) {
    let gateway = Gateway::behind(&gate(move |_| Err(reason.into())), EdgeLimits::default());
    let outcome = gateway.take(request).await;
    assert_eq!(outcome.reason(), Some(reason.code()));
    (outcome.response.status.as_u16(), outcome.body["error"]["code"].as_i64().unwrap())
}

#[tokio::test]
async fn tr_06_tr_24_no_reason_is_given_in_words_of_the_other_era() {
    for reason in Reason::ALL {
        let (_, code) = refused(*reason, modern(&serde_json::json!({ VERSION: "2026-07-28", CAPABILITIES: {} }))).await;
        assert!(code != -32002 && code != -32042 && !(-32019..=-32000).contains(&code), "{reason:?}: {code}");
        let (status, code) = refused(*reason, post(text(CALL))).await;
        assert!(!(-32099..=-32020).contains(&code) || code == -32042, "{reason:?}: {code}");
        // A 404 tells an older client that its session has ended, which only one reason means; two are given on no route.
        let ends_a_session = matches!(reason, Reason::UnknownSession | Reason::RouteNotFound | Reason::UnknownId);
        assert_eq!(status == 404, ends_a_session, "{reason:?}");
    }
}

#[tokio::test]
async fn tr_24_tr_30_a_request_of_2026_07_28_says_which_revision_it_is_and_what_its_client_can_do() {
    let gateway = Gateway::new(EdgeLimits::default());
    let whole = serde_json::json!({ VERSION: "2026-07-28", CAPABILITIES: { "elicitation": {} } });
    assert!(gateway.take(modern(&whole)).await.executed.is_some());
    for meta in [
        serde_json::json!({ CAPABILITIES: {} }),
        serde_json::json!({ VERSION: "2026-07-28" }),
        serde_json::json!({ VERSION: "2026-07-28", CAPABILITIES: null }),
        serde_json::json!({ VERSION: "2026-07-28", CAPABILITIES: [] }),
        serde_json::json!({ VERSION: 1, CAPABILITIES: {} }),
    ] {
        let outcome = gateway.take(modern(&meta)).await;
        assert_eq!((outcome.reason(), outcome.executed.is_some()), (Some("invalid_params"), false), "{meta}");
        assert_eq!((outcome.response.status.as_u16(), &outcome.body["error"]["code"]), (400, &(-32602).into()));
        assert_eq!(outcome.body["id"], 1);
    }
}

#[tokio::test]
async fn tr_08_what_headers_of_no_known_parameter_say_is_forwarded_and_not_believed() {
    let meta = serde_json::json!({ VERSION: "2026-07-28", CAPABILITIES: {} });
    let mut request = modern(&meta);
    request.headers_mut().insert("mcp-param-count", HeaderValue::from_static("42.0"));
    request.headers_mut().insert("mcp-param-region", HeaderValue::from_static("=?base64?ZcO8?="));
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let copy = Arc::clone(&seen);
    let layer = gate(move |request| {
        copy.lock().unwrap().clone_from(request.headers());
        Ok(())
    });
    assert!(Gateway::behind(&layer, EdgeLimits::default()).take(request).await.executed.is_some());
    let seen = seen.lock().unwrap();
    assert!(seen["mcp-param-count"] == "42.0" && seen["mcp-param-region"] == "=?base64?ZcO8?=");
}
