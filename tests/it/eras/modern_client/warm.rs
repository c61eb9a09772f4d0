//! Sessions that the gateway keeps warm.

use serde_json::json;
use tokio::task::JoinSet;

use super::{Asking, asking, calling, count, methods, with_sessions};
use crate::{
    eras::{AGREED, counts, method, welcome},
    harness::{Answer, Gate, Gateway, Route, Setup, Upstream, until},
};

#[tokio::test]
async fn tr_25_a_client_without_sessions_pays_one_handshake_and_none_after() {
    let upstream = with_sessions(|request| Answer::json(&request.says("done"))).await;
    let gateway = Gateway::before(&upstream).await;
    for id in 0..20 {
        let reply = calling(id, "look").of(&gateway).await;
        assert_eq!((reply.said().as_str(), &reply.json()["id"]), ("done", &json!(id)));
        assert_eq!(reply.header("mcp-session-id"), None, "sessions are none of this client's business");
    }
    let mut expected = vec!["initialize".to_owned(), "notifications/initialized".to_owned()];
    expected.extend(vec!["tools/call".to_owned(); 20]);
    assert_eq!(methods(&upstream), expected);
    assert_eq!(gateway.upstream_sessions().await, counts([("first", 1), ("reused", 19)]));

    let call = upstream.requests().pop().unwrap();
    assert_eq!(call.header("mcp-protocol-version"), Some(AGREED));
    assert_eq!((call.header("mcp-method"), call.header("mcp-name")), (None, None));
    let asked = json!({ "name": "look", "arguments": {} });
    assert_eq!(call.message(), json!({ "jsonrpc": "2.0", "id": 19, "method": "tools/call", "params": asked }));
    let requests = upstream.requests();
    let hello = requests.iter().find(|request| method(request) == "initialize").unwrap().message();
    assert_eq!(hello["params"]["clientInfo"]["name"], "story", "the upstream hears who the client says it is");
}

#[tokio::test]
async fn tr_25_a_hundred_calls_at_once_open_one_session() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| match method(request).as_str() {
        "initialize" => Answer::json(&welcome(request)).header("Mcp-Session-Id", "one").behind(&script),
        "notifications/initialized" => Answer::status(202),
        _ if request.header("mcp-session-id").is_none() => Answer::status(400),
        _ => Answer::json(&request.says("done")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let mut calls = JoinSet::new();
    for id in 0..100 {
        let mut client = gateway.client().await;
        calls.spawn(async move { client.ask(&calling(id, "look").request()).await.said() });
    }
    until("somebody begins a session", || count(&upstream, "initialize") == 1).await;
    gate.open();
    let said = calls.join_all().await;
    assert!(said.iter().all(|said| said == "done"));
    assert_eq!((count(&upstream, "initialize"), count(&upstream, "tools/call")), (1, 100));
}

#[tokio::test]
async fn tr_22_calls_with_the_same_id_at_once_keep_it_in_sessions_of_their_own() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = with_sessions(move |request| Answer::json(&request.says("done")).behind(&script)).await;
    let gateway = Gateway::before(&upstream).await;
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let mut client = gateway.client().await;
        calls.spawn(async move { client.ask(&calling("same", "look").request()).await.json()["id"].clone() });
    }
    until("both are there", || count(&upstream, "tools/call") == 2).await;
    let calls_seen: Vec<_> =
        upstream.requests().into_iter().filter(|request| method(request) == "tools/call").collect();
    let mut sessions: Vec<_> = calls_seen.iter().filter_map(|call| call.header("mcp-session-id")).collect();
    sessions.sort_unstable();
    assert_eq!(sessions, ["session-1", "session-2"]);
    gate.open();
    gate.open();
    assert_eq!(calls.join_all().await, [json!("same"), json!("same")]);
    assert_eq!(gateway.upstream_sessions().await, counts([("first", 1), ("busy", 1)]));
}

#[tokio::test]
async fn tr_25_clients_that_can_do_other_things_and_other_routes_have_sessions_of_their_own() {
    let upstream = with_sessions(|request| Answer::json(&request.says("done"))).await;
    let route = Route::to(&upstream);
    let gateway = Setup::new().route("/mcp", route.clone()).route("/other", route).start().await;
    let plain = calling(1, "look");
    let able = plain.clone().able(json!({ "elicitation": {} }));
    let all: [Asking; 3] = [plain.clone(), able, plain.on("/other")];
    for _ in 0..2 {
        for call in &all {
            assert_eq!(call.of(&gateway).await.said(), "done");
        }
    }
    assert_eq!((count(&upstream, "initialize"), count(&upstream, "tools/call")), (3, 6));
}

#[tokio::test]
async fn tr_25_an_upstream_that_keeps_no_sessions_is_greeted_once_too() {
    let upstream = Upstream::new(|request| match (method(request).as_str(), request.header("mcp-protocol-version")) {
        ("initialize", _) => Answer::json(&welcome(request)),
        (_, Some("2026-07-28")) => Answer::status(400),
        ("notifications/initialized", _) => Answer::status(202),
        _ => Answer::json(&request.says("done")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    for _ in 0..3 {
        assert_eq!(calling(1, "look").of(&gateway).await.said(), "done");
    }
    let greetings = upstream.requests().iter().filter(|request| method(request) == "initialize").count();
    assert_eq!(greetings, 1);
}

#[tokio::test]
async fn tr_25_a_session_that_has_rested_is_closed() {
    let upstream = with_sessions(|request| Answer::json(&request.says("done"))).await;
    let route = Route::to(&upstream).clock("idleSession", 0.2);
    let gateway = Setup::new().route("/mcp", route).with_background().start().await;
    calling(1, "look").of(&gateway).await;
    let is_closing = |upstream: &Upstream| {
        let requests = upstream.requests();
        let last = requests.last().unwrap();
        last.head.starts_with("DELETE") && last.header("mcp-session-id") == Some("session-1")
    };
    until("the session is closed", || is_closing(&upstream)).await;
    assert_eq!(asking(2, "tools/list", &json!({})).of(&gateway).await.status, 200);
    assert_eq!(count(&upstream, "initialize"), 2);
    assert_eq!(gateway.upstream_sessions().await, counts([("first", 1), ("idle", 1)]));
}
