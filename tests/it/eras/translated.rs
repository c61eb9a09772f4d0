//! First contact with an upstream of the other era: what it costs, what is remembered, and what happens when it is replaced.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use super::{alone, error, introduction, method, methods, welcome, within};
use crate::harness::{Answer, Gateway, Received, Route, Setup, Upstream, call, initialize, list_tools, modern};

/// Knows nothing but sessions, and says so as `server-everything` does.
fn with_sessions(request: &Received) -> Answer {
    match (method(request).as_str(), request.header("mcp-session-id")) {
        ("initialize", _) => Answer::json(&welcome(request)).header("Mcp-Session-Id", "upstream-session-1"),
        (_, None) => Answer::body(400, "application/json", error(request, -32000).to_string()),
        ("notifications/initialized", _) => Answer::status(202),
        _ => Answer::json(&request.says("in a session")),
    }
}

/// Knows nothing but 2026-07-28.
fn without_sessions(request: &Received) -> Answer {
    let version = &request.message()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
    match method(request).as_str() {
        _ if *version != "2026-07-28" => Answer::body(400, "application/json", error(request, -32602).to_string()),
        "server/discover" => Answer::json(&introduction(request, &["2026-07-28"])),
        "tools/list" => {
            let tools = json!([{ "name": "look", "inputSchema": { "type": "object" } }]);
            let result = json!({ "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private" });
            Answer::json(&request.result(&result))
        }
        _ => {
            let content = json!([{ "type": "text", "text": "alone" }]);
            Answer::json(&request.result(&json!({ "resultType": "complete", "content": content })))
        }
    }
}

/// An upstream that is one thing first, and the other after a while.
async fn replaced(first: fn(&Received) -> Answer, then: fn(&Received) -> Answer) -> (Upstream, Arc<AtomicBool>) {
    let is_new = Arc::new(AtomicBool::new(false));
    let new = Arc::clone(&is_new);
    let script = move |request: &Received| if new.load(Ordering::SeqCst) { then(request) } else { first(request) };
    (Upstream::new(script).await, is_new)
}

#[tokio::test]
async fn tr_25_a_client_of_2026_07_28_costs_an_upstream_with_sessions_one_question_once() {
    let upstream = Upstream::new(with_sessions).await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.said(), "in a session");
    let first = ["tools/call", "server/discover", "initialize", "notifications/initialized", "tools/call"];
    assert_eq!(methods(&upstream), first);
    upstream.forget();
    for id in 2..5 {
        assert_eq!(gateway.ask(&modern("/mcp", id, "look")).await.said(), "in a session");
    }
    assert_eq!(methods(&upstream), ["tools/call"; 3]);
}

#[tokio::test]
async fn tr_24_tr_25_a_client_that_begins_with_a_question_of_its_own_costs_no_more() {
    let upstream = Upstream::new(with_sessions).await;
    let setup = Setup::new().route("/mcp", Route::to(&upstream));
    let gateway = setup.route("/modern", Route::to(&upstream).era("modern")).start().await;
    let discovered = gateway.ask(&alone("2026-07-28", "server/discover")).await.json();
    let served = json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]);
    assert_eq!(discovered["result"]["supportedVersions"], served, "what clients of either era may speak here");
    let first = ["server/discover", "server/discover", "initialize", "notifications/initialized"];
    assert_eq!(methods(&upstream), first, "what is learnt for all is what the gateway itself was told");
    let discovered = gateway.ask(&alone("2026-07-28", "server/discover").target("/modern")).await.json();
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]));
}

#[tokio::test]
async fn tr_24_a_revision_that_cannot_be_translated_is_refused_with_those_that_can() {
    let upstream = Upstream::new(with_sessions).await;
    let gateway = Gateway::before(&upstream).await;
    for _ in 0..2 {
        let reply = gateway.ask(&alone("2027-03-01", "tools/list")).await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "unsupported_version"));
        let told = reply.json();
        assert_eq!((&told["id"], &told["error"]["code"]), (&json!(7), &json!(-32022)));
        assert_eq!(told["error"]["data"]["requested"], "2027-03-01");
        let supported = json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]);
        assert_eq!(told["error"]["data"]["supported"], supported);
    }
    assert_eq!(methods(&upstream), ["tools/list", "server/discover"]);
}

#[tokio::test]
async fn tr_25_fault_an_upstream_with_sessions_that_gives_them_up_is_noticed() {
    let (upstream, is_new) = replaced(with_sessions, without_sessions).await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.said(), "in a session");
    is_new.store(true, Ordering::SeqCst);
    upstream.forget();
    // What it made of this call is not known, so the call fails and is not sent the other way.
    let failed = gateway.ask(&modern("/mcp", 2, "look")).await;
    assert_eq!((failed.status, failed.reason().as_str()), (502, "upstream_invalid"), "{failed:?}");
    assert_eq!(methods(&upstream).iter().filter(|method| *method == "tools/call").count(), 1);
    assert_eq!(gateway.ask(&modern("/mcp", 3, "look")).await.said(), "alone");
    upstream.forget();
    assert_eq!(gateway.ask(&modern("/mcp", 9, "look")).await.said(), "alone");
    assert_eq!(methods(&upstream), ["tools/call"]);
}

#[tokio::test]
async fn fault_tr_25_a_call_that_may_have_been_run_is_not_sent_again_through_a_session() {
    for code in [-32000, -32602, -32603] {
        let upstream =
            Upstream::new(move |request| match (method(request).as_str(), request.header("mcp-session-id")) {
                ("tools/call", None) => Answer::json(&error(request, code)),
                _ => with_sessions(request),
            })
            .await;
        let gateway = Gateway::before(&upstream).await;
        let reply = gateway.ask(&modern("/mcp", "x", "look")).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_i64()), (200, Some(code)));
        assert_eq!(methods(&upstream), ["tools/call"], "{code}");
    }
}

#[tokio::test]
async fn tr_25_a_client_with_sessions_costs_an_upstream_without_two_questions_once() {
    let upstream = Upstream::new(without_sessions).await;
    let gateway = Gateway::before(&upstream).await;
    let hello = gateway.post(&initialize(1)).await;
    assert_eq!(hello.json()["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(methods(&upstream), ["initialize", "server/discover", "server/discover"]);
    upstream.forget();
    let session = hello.header("mcp-session-id").unwrap();
    assert_eq!(gateway.ask(&within(session, &list_tools(2))).await.json()["result"]["tools"][0]["name"], "look");
    assert_eq!(gateway.ask(&within(session, &call(3, "look", &json!({})))).await.said(), "alone");
    assert_eq!(methods(&upstream), ["tools/list", "tools/call"]);
    upstream.forget();
    assert_eq!(gateway.post(&initialize(4)).await.status, 200);
    assert_eq!(methods(&upstream), ["server/discover"]);
}

#[tokio::test]
async fn tr_25_fault_an_upstream_without_sessions_that_gets_them_is_noticed() {
    let (upstream, is_new) = replaced(without_sessions, with_sessions).await;
    let gateway = Gateway::before(&upstream).await;
    let hello = gateway.post(&initialize(1)).await;
    let before = hello.header("mcp-session-id").unwrap().to_owned();
    is_new.store(true, Ordering::SeqCst);
    let hello = gateway.post(&initialize(2)).await;
    assert_eq!(hello.json()["result"]["protocolVersion"], super::AGREED, "the upstream's own answer");
    let session = hello.header("mcp-session-id").unwrap();
    assert_eq!(gateway.ask(&within(session, &call(3, "look", &json!({})))).await.said(), "in a session");
    // Whoever has a session of before begins another one.
    assert_eq!(gateway.ask(&within(&before, &call(4, "look", &json!({})))).await.status, 404);
}

#[tokio::test]
async fn tr_25_fault_an_upstream_without_sessions_that_gets_them_is_noticed_by_a_client_that_has_none() {
    let (upstream, is_new) = replaced(without_sessions, with_sessions).await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.said(), "alone");
    is_new.store(true, Ordering::SeqCst);
    upstream.forget();
    assert_eq!(gateway.ask(&modern("/mcp", 2, "look")).await.said(), "in a session");
    let ended = upstream.requests().into_iter().filter(|request| request.head.starts_with("DELETE ")).count();
    assert_eq!(ended, 1, "the session that was begun to see whether there are any");
}
