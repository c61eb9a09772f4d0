//! Sessions that end behind the gateway's back, and clients that go away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;

use super::{calling, count, methods, with_sessions};
use crate::{
    eras::{counts, error, method},
    harness::{Answer, Gate, Gateway, Received, until},
};

/// How an upstream says that it does not know a session.
type Unknown = fn(&Received) -> Answer;

async fn forgets_its_sessions(unknown: Unknown) {
    let restarted = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&restarted);
    let upstream = with_sessions(move |request| match request.header("mcp-session-id") {
        Some("session-1") if seen.load(Ordering::SeqCst) => unknown(request),
        _ => Answer::json(&request.says("done")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(calling(1, "look").of(&gateway).await.said(), "done");
    restarted.store(true, Ordering::SeqCst);
    assert_eq!(calling(2, "look").of(&gateway).await.said(), "done");
    assert_eq!(calling(3, "look").of(&gateway).await.said(), "done");
    assert_eq!((count(&upstream, "initialize"), count(&upstream, "tools/call")), (2, 4));
    assert_eq!(gateway.upstream_sessions().await, counts([("first", 1), ("error", 1), ("reused", 2)]));
}

#[tokio::test]
async fn tr_12_tr_25_a_session_that_the_upstream_has_ended_is_begun_anew() {
    forgets_its_sessions(|_| Answer::body(404, "text/plain", "gone")).await;
    forgets_its_sessions(|request| Answer::body(404, "application/json", error(request, -32001).to_string())).await;
}

#[tokio::test]
async fn tr_12_tr_25_also_if_the_upstream_calls_it_something_else() {
    forgets_its_sessions(|request| Answer::body(400, "application/json", error(request, -32000).to_string())).await;
}

#[tokio::test]
async fn tr_21_a_call_that_the_upstream_refuses_in_a_session_that_goes_on_is_sent_once() {
    let upstream = with_sessions(|request| match method(request).as_str() {
        "ping" => Answer::json(&request.result(&json!({}))),
        _ => Answer::body(400, "application/json", error(request, -32602).to_string()),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let reply = calling(1, "look").of(&gateway).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32602)));
    assert_eq!((count(&upstream, "initialize"), count(&upstream, "tools/call")), (1, 1));
}

#[tokio::test]
async fn tr_25_it_is_begun_anew_once_and_not_again_and_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let upstream = with_sessions(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Answer::body(404, "text/plain", "gone")
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(calling(1, "look").of(&gateway).await.status, 404);
    assert_eq!((count(&upstream, "initialize"), calls.load(Ordering::SeqCst)), (2, 2));
}

#[tokio::test]
async fn tr_20_a_client_that_goes_away_cancels_its_call_in_the_session() {
    let gate = Gate::new();
    let upstream = with_sessions(move |request| {
        let progress = json!({ "progressToken": "t", "progress": 1 });
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress });
        Answer::events().event(&progress).wait(&gate).event(&request.says("too late"))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let call = calling("long", "wait").meta("progressToken", json!("t"));
    let mut stream = gateway.client().await.start(&call.request()).await;
    assert_eq!(stream.message().await.unwrap()["params"]["progress"], 1);
    stream.hang_up();
    until("the upstream hears of it", || count(&upstream, "notifications/cancelled") == 1).await;
    let cancelled = upstream.requests().pop().unwrap();
    assert_eq!(cancelled.message()["params"]["requestId"], "long");
    assert_eq!(cancelled.header("mcp-session-id"), Some("session-1"));
    assert_eq!(methods(&upstream).len(), 4, "{:?}", methods(&upstream));
}

#[tokio::test]
async fn tr_20_a_call_that_was_answered_is_not_cancelled() {
    let upstream = with_sessions(|request| match request.message()["params"]["name"].as_str() {
        Some("stream") => Answer::events().event(&request.says("done")),
        _ => Answer::json(&request.says("done")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    for tool in ["stream", "look", "stream"] {
        assert_eq!(calling(1, tool).of(&gateway).await.said(), "done");
    }
    assert_eq!(count(&upstream, "notifications/cancelled"), 0);
}
