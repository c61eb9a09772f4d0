//! Sessions: what the gateway seals into their ids, and how they end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::{AGREED, begin, error, method, welcome, within};
use crate::harness::{
    Answer, Browser, Gate, Gateway, OAuthClient, Place, Process, Received, Request, Route, Setup, Tokens, Upstream,
    call, initialize, list_tools, modern, notification, until,
};

/// An upstream that opens a session for whoever asks, and answers in it as scripted.
async fn keeping_sessions(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Upstream {
    Upstream::new(move |request| match method(request).as_str() {
        "initialize" => Answer::json(&welcome(request)).header("Mcp-Session-Id", "upstream-session-1"),
        _ => script(request),
    })
    .await
}

fn a_call() -> Value {
    call("a-1", "look", &json!({}))
}

#[tokio::test]
async fn tr_13_what_was_agreed_on_is_told_also_for_a_client_that_does_not_repeat_it() {
    let upstream = keeping_sessions(|request| Answer::json(&request.says("done"))).await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    assert_eq!(upstream.only_request().header("mcp-protocol-version"), None, "nothing was agreed on yet");
    upstream.forget();
    assert_eq!(gateway.ask(&within(&session, &a_call())).await.said(), "done");
    let request = upstream.only_request();
    assert_eq!(request.header("mcp-protocol-version"), Some(AGREED));
    assert_eq!(request.header("mcp-session-id"), Some("upstream-session-1"));
    upstream.forget();
    // Whoever does repeat it is taken at their word.
    gateway.ask(&within(&session, &a_call()).header("Mcp-Protocol-Version", "2025-11-25")).await;
    assert_eq!(upstream.only_request().header("mcp-protocol-version"), Some("2025-11-25"));
}

#[tokio::test]
async fn tr_13_a_session_that_begins_on_a_stream_is_told_the_same_and_loses_no_event() {
    let upstream = Upstream::new(|request| match method(request).as_str() {
        "initialize" => Answer::events()
            .header("Mcp-Session-Id", "upstream-session-1")
            .event(&notification("notifications/message"))
            .event(&welcome(request)),
        _ => Answer::json(&request.says("done")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let hello = gateway.post(&initialize(1)).await;
    assert_eq!(hello.header("content-type"), Some("text/event-stream"));
    let messages = hello.messages();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(messages[0]["method"], "notifications/message");
    assert_eq!(messages[1]["result"]["protocolVersion"], AGREED);
    upstream.forget();
    gateway.ask(&within(hello.header("mcp-session-id").unwrap(), &a_call())).await;
    assert_eq!(upstream.only_request().header("mcp-protocol-version"), Some(AGREED));
}

#[tokio::test]
async fn fault_tr_13_an_upstream_that_asks_whether_anybody_is_there_before_it_answers_is_told() {
    let asked = Gate::new();
    let is_told = asked.clone();
    let upstream = Upstream::new(move |request| match method(request).as_str() {
        "initialize" => Answer::events()
            .header("Mcp-Session-Id", "upstream-session-1")
            .event(&json!({ "jsonrpc": "2.0", "id": "p-1", "method": "ping" }))
            .wait(&asked)
            .event(&welcome(request)),
        _ => {
            if request.message() == json!({ "jsonrpc": "2.0", "id": "p-1", "result": {} }) {
                is_told.open();
            }
            Answer::status(202)
        }
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let messages = gateway.post(&initialize(1)).await.messages();
    assert_eq!(messages.len(), 1, "nobody answers it twice: {messages:?}");
    assert_eq!(messages[0]["result"]["protocolVersion"], AGREED);
    assert_eq!(upstream.requests()[1].header("mcp-session-id"), Some("upstream-session-1"));
}

#[tokio::test]
async fn tr_11_tr_13_where_the_upstream_has_no_session_there_is_none_and_no_version_is_made_up() {
    let upstream = Upstream::new(|request| match method(request).as_str() {
        "initialize" => Answer::json(&welcome(request)),
        _ => Answer::json(&request.says("done")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let hello = gateway.post(&initialize(1)).await;
    assert_eq!((hello.status, hello.header("mcp-session-id")), (200, None));
    upstream.forget();
    assert_eq!(gateway.post(&a_call()).await.said(), "done");
    assert_eq!(upstream.only_request().header("mcp-protocol-version"), None, "the server assumes 2025-03-26");
}

/// An upstream that names the session in each of its answers, as the official servers do, and listens to what is said beside
/// them. From the second call on it names another one.
async fn naming_sessions() -> Upstream {
    let calls = AtomicUsize::new(0);
    Upstream::new(move |request| {
        if request.head.starts_with("GET ") {
            return Answer::events().then_silence();
        }
        let (answer, id) = match method(request).as_str() {
            "initialize" => {
                let mut welcome = welcome(request);
                welcome["result"]["capabilities"]["logging"] = json!({});
                (Answer::json(&welcome), "upstream-session-1")
            }
            _ if calls.fetch_add(1, Ordering::SeqCst) == 0 => {
                (Answer::json(&request.says("done")), "upstream-session-1")
            }
            _ => (Answer::json(&request.says("moved")), "upstream-session-2"),
        };
        answer.header("Mcp-Session-Id", id)
    })
    .await
}

#[tokio::test]
async fn tr_11_tr_13_tr_18_a_session_stays_what_it_is_where_the_upstream_names_it_in_every_answer() {
    let upstream = naming_sessions().await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    let reply = gateway.ask(&within(&session, &a_call())).await;
    assert_eq!((reply.said().as_str(), reply.header("mcp-session-id")), ("done", None), "the client knows it");
    // The upstream goes on under another name: its client is told, and nothing of what was agreed on is lost.
    let reply = gateway.ask(&within(&session, &a_call())).await;
    let moved = reply.header("mcp-session-id").unwrap().to_owned();
    let is_heard = |id: &str| {
        let mut gets = upstream.requests().into_iter().filter(|request| request.head.starts_with("GET "));
        gets.any(|request| request.header("mcp-session-id") == Some(id))
    };
    until("the gateway listens", || is_heard("upstream-session-1")).await;
    upstream.forget();
    assert_eq!(gateway.ask(&within(&moved, &a_call())).await.said(), "moved");
    let request = upstream.requests().into_iter().find(|request| request.head.starts_with("POST ")).unwrap();
    assert_eq!(request.header("mcp-session-id"), Some("upstream-session-2"));
    assert_eq!(request.header("mcp-protocol-version"), Some(AGREED));
    until("the gateway listens there", || is_heard("upstream-session-2")).await;
}

#[tokio::test]
async fn tr_11_only_what_begins_with_initialize_is_a_session() {
    let upstream = Upstream::new(|request| Answer::json(&request.says("done")).header("Mcp-Session-Id", "s-1")).await;
    let gateway = Gateway::before(&upstream).await;
    for message in [Request::post("/mcp", &a_call()), modern("/mcp", 1, "look")] {
        let reply = gateway.ask(&message).await;
        assert_eq!((reply.said().as_str(), reply.header("mcp-session-id")), ("done", None));
    }
}

#[tokio::test]
async fn tr_12_fault_a_session_that_the_upstream_has_ended_is_unknown_and_another_one_begins() {
    for gone in [
        |request: &Received| Answer::body(404, "application/json", error(request, -32001).to_string()),
        |_: &Received| Answer::body(404, "text/plain", "Not Found: Session not found"),
        |_: &Received| Answer::status(404),
    ] {
        let is_over = Arc::new(AtomicBool::new(true));
        let over = Arc::clone(&is_over);
        let upstream = keeping_sessions(move |request| {
            if over.load(Ordering::SeqCst) { gone(request) } else { Answer::json(&request.says("again")) }
        })
        .await;
        let gateway = Gateway::before(&upstream).await;
        let session = begin(&gateway).await;
        let reply = gateway.ask(&within(&session, &a_call())).await;
        assert_eq!((reply.status, reply.reason().as_str()), (404, "unknown_session"));
        let told = reply.json();
        assert_eq!((&told["id"], &told["error"]["code"]), (&json!("a-1"), &json!(-32600)));
        assert_eq!(upstream.count(), 2, "the call went out once");
        // What its client does now.
        is_over.store(false, Ordering::SeqCst);
        let session = begin(&gateway).await;
        assert_eq!(gateway.ask(&within(&session, &a_call())).await.said(), "again");
    }
}

/// Refuses what is in no session that it knows with 400, as `server-everything` does.
async fn misreporting(status: u16) -> (Upstream, Arc<AtomicBool>) {
    let is_known = Arc::new(AtomicBool::new(true));
    let known = Arc::clone(&is_known);
    let upstream = keeping_sessions(move |request| match (known.load(Ordering::SeqCst), method(request).as_str()) {
        (true, "resources/read") => Answer::body(status, "application/json", error(request, -32602).to_string()),
        (true, "ping") => Answer::events().event(&request.result(&json!({}))),
        (true, _) => Answer::json(&request.says("done")),
        (false, _) => {
            let message = "Bad Request: No valid session ID provided";
            let error = json!({ "jsonrpc": "2.0", "error": { "code": -32000, "message": message }, "id": null });
            Answer::body(status, "application/json", error.to_string())
        }
    })
    .await;
    (upstream, is_known)
}

#[tokio::test]
async fn tr_12_fault_an_upstream_that_says_400_to_an_ended_session_is_understood() {
    for status in [400, 410, 422] {
        let (upstream, is_known) = misreporting(status).await;
        let gateway = Gateway::before(&upstream).await;
        let session = begin(&gateway).await;
        assert_eq!(gateway.ask(&within(&session, &a_call())).await.said(), "done");
        is_known.store(false, Ordering::SeqCst);
        upstream.forget();
        let reply = gateway.ask(&within(&session, &a_call())).await;
        assert_eq!((reply.status, reply.reason().as_str()), (404, "unknown_session"), "{status}");
        assert_eq!(reply.json()["id"], "a-1");
        let asked: Vec<_> = upstream.requests().iter().map(method).collect();
        assert_eq!(asked, ["tools/call", "ping"], "{status}");
        let ping = upstream.requests().remove(1);
        assert_eq!(ping.header("mcp-session-id"), Some("upstream-session-1"));
        assert_eq!(ping.header("mcp-protocol-version"), Some(AGREED));
        assert_eq!(gateway.ask(&within(&session, &notification("notifications/x"))).await.status, 404);
    }
}

#[tokio::test]
async fn tr_12_what_the_upstream_does_not_like_in_a_session_that_goes_on_stays_as_it_said_it() {
    let (upstream, _) = misreporting(400).await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    upstream.forget();
    let read = json!({ "jsonrpc": "2.0", "id": 5, "method": "resources/read", "params": { "uri": "test://x" } });
    let reply = gateway.ask(&within(&session, &read)).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json(), json!({ "jsonrpc": "2.0", "id": 5, "error": { "code": -32602, "message": "no" } }));
    assert_eq!(upstream.requests().iter().map(method).collect::<Vec<_>>(), ["resources/read", "ping"]);
}

#[tokio::test]
async fn tr_12_who_may_call_and_trouble_say_nothing_about_a_session() {
    for status in [403, 429, 500, 503] {
        let upstream = keeping_sessions(move |request| {
            Answer::body(status, "application/json", error(request, -32000).to_string())
        })
        .await;
        let gateway = Gateway::before(&upstream).await;
        let session = begin(&gateway).await;
        let reply = gateway.ask(&within(&session, &a_call())).await;
        assert_eq!((reply.status, upstream.count()), (status, 2));
    }
}

#[tokio::test]
async fn tr_12_a_method_that_the_upstream_lacks_ends_no_session() {
    let upstream =
        keeping_sessions(|request| Answer::body(404, "application/json", error(request, -32601).to_string())).await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    let reply = gateway.ask(&within(&session, &list_tools(3))).await;
    assert_eq!(reply.status, 200, "an older client takes 404 for the end of its session");
    assert_eq!((&reply.json()["id"], &reply.json()["error"]["code"]), (&json!(3), &json!(-32601)));
}

#[tokio::test]
async fn tr_13_a_revision_that_has_no_sessions_or_is_none_is_not_told_as_agreed_on() {
    for said in [json!("2026-07-28"), json!("9".repeat(2_000)), json!("latest"), json!(5)] {
        let version = said.clone();
        let upstream = Upstream::new(move |request| match method(request).as_str() {
            "initialize" => {
                let mut welcome = welcome(request);
                welcome["result"]["protocolVersion"] = version.clone();
                Answer::json(&welcome).header("Mcp-Session-Id", "upstream-session-1")
            }
            _ => Answer::json(&request.says("done")),
        })
        .await;
        let gateway = Gateway::before(&upstream).await;
        let session = begin(&gateway).await;
        assert!(session.len() < 400, "{said}");
        upstream.forget();
        assert_eq!(gateway.ask(&within(&session, &a_call())).await.said(), "done");
        assert_eq!(upstream.only_request().header("mcp-protocol-version"), None, "{said}");
    }
}

#[tokio::test]
async fn tr_14_two_sessions_of_one_person_each_see_what_is_theirs() {
    let opened = AtomicUsize::new(0);
    let upstream = Upstream::new(move |request| match method(request).as_str() {
        "initialize" => {
            let id = format!("upstream-session-{}", opened.fetch_add(1, Ordering::SeqCst));
            Answer::json(&welcome(request)).header("Mcp-Session-Id", &id)
        }
        _ => {
            let own = format!("of-{}", request.header("mcp-session-id").unwrap());
            let tools: Vec<_> = ["look", &own, "hidden"].map(|name| json!({ "name": name, "inputSchema": {} })).into();
            Answer::json(&request.result(&json!({ "tools": tools })))
        }
    })
    .await;
    let route = Route::to(&upstream).policy("mcp-capability-filter", &json!({ "tools": ["look", { "glob": "of-*" }] }));
    let gateway = Gateway::with(route).await;
    let sessions = [begin(&gateway).await, begin(&gateway).await];
    for _ in 0..2 {
        for (number, session) in sessions.iter().enumerate() {
            let reply = gateway.ask(&within(session, &list_tools(1))).await.json();
            let names: Vec<_> = reply["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
            assert_eq!(names, ["look", format!("of-upstream-session-{number}").as_str()]);
        }
    }
}

/// A gateway on which people sign in, in front of this upstream.
fn signed_in(upstream: &Upstream) -> Setup {
    let route = || Route::to(upstream).policy("dev-login", &json!({}));
    let setup = Setup::new().route("/mcp", route()).route("/other", route());
    setup.gateway("publicUrl", json!("http://localhost:9"))
}

/// A person with a token.
struct Person {
    token: String,
}

impl Person {
    async fn sign_in(gateway: &Place, name: &str) -> Self {
        let client = OAuthClient::register(gateway).await;
        let mut browser = Browser::at(gateway);
        let code = client.code(&mut browser, "/mcp", name).await;
        let tokens = Tokens::of(&client.redeem(gateway, &code).await);
        Self { token: tokens.access }
    }

    async fn begin(&self, gateway: &Place) -> String {
        let reply = gateway.ask(&Request::post("/mcp", &initialize(1)).bearer(&self.token)).await;
        reply.header("mcp-session-id").unwrap().to_owned()
    }

    async fn goes_on(&self, gateway: &Place, session: &str) -> u16 {
        gateway.ask(&within(session, &a_call()).bearer(&self.token)).await.status
    }
}

async fn node(upstream: &Upstream) -> (Process, Place) {
    let process = signed_in(upstream).spawn();
    let place = process.place().await;
    (process, place)
}

#[tokio::test]
async fn sb_05_tr_11_nobody_goes_on_with_a_session_of_somebody_else() {
    let upstream = keeping_sessions(|request| Answer::json(&request.says("done"))).await;
    let (_process, gateway) = node(&upstream).await;
    let (ada, bob) = (Person::sign_in(&gateway, "ada").await, Person::sign_in(&gateway, "bob").await);
    let session = ada.begin(&gateway).await;
    assert_eq!(ada.goes_on(&gateway, &session).await, 200);
    upstream.forget();
    let reply = gateway.ask(&within(&session, &a_call()).bearer(&bob.token)).await;
    assert_eq!((reply.status, reply.reason().as_str()), (404, "unknown_session"));
    assert_eq!(gateway.ask(&within(&session, &a_call())).await.status, 401, "a session says who nobody is");
    let mut forged = session.clone().into_bytes();
    forged[20] ^= 1;
    assert_eq!(ada.goes_on(&gateway, std::str::from_utf8(&forged).unwrap()).await, 404);
    assert_eq!(upstream.count(), 0, "nothing of it reached the upstream");
}

#[tokio::test]
async fn tr_11_fault_restart_a_session_outlives_the_process_and_is_good_at_another_node() {
    let upstream = keeping_sessions(|request| Answer::json(&request.says("done"))).await;
    let (mut one, gateway) = node(&upstream).await;
    let ada = Person::sign_in(&gateway, "ada").await;
    let session = ada.begin(&gateway).await;
    let two = one.again();
    let other = two.place().await;
    assert_eq!(ada.goes_on(&other, &session).await, 200, "another node");
    assert_eq!(upstream.requests().pop().unwrap().header("mcp-session-id"), Some("upstream-session-1"));
    one.signal("TERM");
    until("the gateway ends", || one.has_ended()).await;
    let after = one.again();
    assert_eq!(ada.goes_on(&after.place().await, &session).await, 200, "after a restart");
}

#[tokio::test]
async fn tr_11_fault_restart_without_a_key_of_its_own_a_gateway_forgets_sessions_and_says_so() {
    let upstream = keeping_sessions(|request| Answer::json(&request.says("done"))).await;
    let mut before = Setup::new().route("/mcp", Route::to(&upstream)).spawn();
    let hello = before.post(&initialize(1)).await;
    let session = hello.header("mcp-session-id").unwrap().to_owned();
    assert_eq!(before.ask(&within(&session, &a_call())).await.status, 200);
    before.signal("TERM");
    until("the gateway ends", || before.has_ended()).await;
    let after = before.again();
    let reply = after.ask(&within(&session, &a_call())).await;
    assert_eq!((reply.status, reply.reason().as_str()), (404, "unknown_session"));
}
