//! What an upstream says beside its answers, on a stream of its own that clients which only post never ask for.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::{AGREED, begin, method, within};
use crate::harness::{Answer, Gate, Gateway, Received, Request, Upstream, call, notification, pause, until};

fn log(text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": text } })
}

fn question(id: u64, method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method })
}

fn a_call(session: &str) -> Request {
    within(session, &call(7, "look", &json!({})))
}

/// An upstream that has something to say of its own accord: each session's stream is what `own` makes of its id, and what
/// comes of calls is up to `calls`.
async fn talkative(
    own: impl Fn(&str) -> Answer + Send + Sync + 'static,
    calls: impl Fn(&Received) -> Answer + Send + Sync + 'static,
) -> Upstream {
    let sessions = AtomicUsize::new(0);
    Upstream::new(move |request| {
        if request.head.starts_with("GET ") {
            return own(request.header("mcp-session-id").unwrap_or_default());
        }
        match request.message().get("method").and_then(Value::as_str) {
            Some("initialize") => {
                let capabilities = json!({ "logging": {}, "tools": { "listChanged": true } });
                let server = json!({ "name": "scripted", "version": "1" });
                let result = json!({ "protocolVersion": AGREED, "capabilities": capabilities, "serverInfo": server });
                let session = format!("session-{}", 1 + sessions.fetch_add(1, Ordering::SeqCst));
                Answer::json(&request.result(&result)).header("Mcp-Session-Id", &session)
            }
            Some(method) if !method.starts_with("notifications/") => calls(request),
            _ => Answer::status(202),
        }
    })
    .await
}

/// Begins a session, as far as its client can.
async fn join(gateway: &Gateway) -> String {
    let session = begin(gateway).await;
    let reply = gateway.ask(&within(&session, &notification("notifications/initialized"))).await;
    assert_eq!((reply.status, reply.text()), (202, ""));
    session
}

/// What reached the upstream beside calls: the responses to its own requests.
fn responses(upstream: &Upstream) -> Vec<Value> {
    let messages = upstream.requests().into_iter().filter(|request| !request.body.is_empty());
    messages.map(|request| request.message()).filter(|message| message.get("method").is_none()).collect()
}

fn gets(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|request| request.head.starts_with("GET ")).count()
}

#[tokio::test]
async fn tr_18_what_an_upstream_logs_beside_a_call_reaches_the_client_in_it_and_before_its_answer() {
    let (logs, answers) = (Gate::new(), Gate::new());
    let (own, call) = (logs.clone(), answers.clone());
    let upstream = talkative(
        move |_| Answer::events().wait(&own).event(&log("one")).wait(&own).event(&log("two")).then_silence(),
        move |request| Answer::events().wait(&call).event(&request.says("done")),
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = join(&gateway).await;
    until("the gateway listens", || gets(&upstream) == 1).await;
    let mut stream = gateway.client().await.start(&a_call(&session)).await;
    logs.open();
    assert_eq!(stream.message().await.unwrap(), log("one"));
    // The second one and the answer leave the upstream at the same time.
    logs.open();
    answers.open();
    assert_eq!(stream.message().await.unwrap(), log("two"));
    assert_eq!(stream.message().await.unwrap()["id"], 7);
    assert_eq!(stream.message().await, None);
}

#[tokio::test]
async fn tr_18_what_comes_between_calls_goes_out_with_the_next_one_also_where_its_answer_is_json() {
    let logs = Gate::new();
    let own = logs.clone();
    let upstream = talkative(
        move |_| Answer::events().wait(&own).write("id: 1\nretry: 9\n").event(&log("news")).then_silence(),
        |request| Answer::json(&request.says("done")),
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = join(&gateway).await;
    let reply = gateway.ask(&a_call(&session)).await;
    assert_eq!(reply.header("content-type"), Some("application/json"), "there was no news");
    until("the gateway listens", || gets(&upstream) == 1).await;
    logs.open();
    pause(50).await;
    let reply = gateway.ask(&a_call(&session)).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!((&reply.messages()[0], reply.said().as_str()), (&log("news"), "done"));
    assert!(!reply.text().contains("id: 1"), "{reply:?}");
    assert_eq!(gateway.ask(&a_call(&session)).await.messages().len(), 1, "it is told once");
}

#[tokio::test]
async fn tr_18_an_upstream_without_a_stream_of_its_own_is_asked_once_for_each_session() {
    for status in [405, 404, 400, 409] {
        let upstream = talkative(move |_| Answer::status(status), |request| Answer::json(&request.says("done"))).await;
        let gateway = Gateway::before(&upstream).await;
        let session = join(&gateway).await;
        until("the gateway asks", || gets(&upstream) == 1).await;
        for _ in 0..3 {
            assert_eq!(gateway.ask(&a_call(&session)).await.said(), "done");
        }
        assert_eq!(gets(&upstream), 1, "{status}");
    }
}

#[tokio::test]
async fn tr_18_fault_a_stream_that_breaks_is_gone_on_with_after_its_last_event() {
    let asked = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&asked);
    let upstream = talkative(
        move |_| match times.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::events().write(format!("id: e-1\nretry: 50\ndata: {}\n\n", log("one"))).then_reset(),
            _ => Answer::events().event(&log("two")).then_silence(),
        },
        |request| Answer::json(&request.says("done")),
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = join(&gateway).await;
    until("the gateway asks again", || asked.load(Ordering::SeqCst) == 2).await;
    pause(50).await;
    let messages = gateway.ask(&a_call(&session)).await.messages();
    assert_eq!(messages[..2], [log("one"), log("two")]);
    let last = upstream.requests().into_iter().filter(|request| request.head.starts_with("GET ")).nth(1).unwrap();
    assert_eq!(last.header("last-event-id"), Some("e-1"));
}

#[tokio::test]
async fn tr_18_an_upstream_that_asks_whether_anybody_is_there_gets_its_answer_also_between_calls() {
    let upstream = talkative(
        |_| Answer::events().event(&question(41, "ping")).then_silence(),
        |request| Answer::json(&request.says("done")),
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    join(&gateway).await;
    until("it is answered", || !responses(&upstream).is_empty()).await;
    assert_eq!(responses(&upstream), [json!({ "jsonrpc": "2.0", "id": 41, "result": {} })]);
}

#[tokio::test]
async fn tr_18_tr_19_what_an_upstream_asks_beside_its_answers_is_asked_in_the_next_call_and_answered_once() {
    let answers = Gate::new();
    let call = answers.clone();
    let upstream = talkative(
        |_| Answer::events().event(&question(5, "roots/list")).then_silence(),
        move |request| Answer::events().wait(&call).event(&request.says("done")),
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = join(&gateway).await;
    let mut stream = gateway.client().await.start(&a_call(&session)).await;
    assert_eq!(stream.message().await.unwrap(), question(5, "roots/list"));

    let unasked = crate::harness::result(6, &json!({ "roots": [] }));
    let reply = gateway.ask(&within(&session, &unasked)).await;
    assert_eq!((reply.status, reply.reason().as_str()), (400, "unasked_response"));
    let asked = crate::harness::result(5, &json!({ "roots": [] }));
    let reply = gateway.ask(&within(&session, &asked)).await;
    assert_eq!((reply.status, reply.text()), (202, ""));
    assert_eq!(responses(&upstream), [asked]);
    answers.open();
    assert_eq!(stream.message().await.unwrap()["id"], 7);
}

#[tokio::test]
async fn tr_19_a_question_on_a_call_s_own_stream_is_answered_by_a_post_of_its_own() {
    let answers = Gate::new();
    let call = answers.clone();
    let upstream = talkative(
        |_| Answer::status(405),
        move |request| {
            Answer::events().event(&question(9, "elicitation/create")).wait(&call).event(&request.says("done"))
        },
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = join(&gateway).await;
    let mut stream = gateway.client().await.start(&a_call(&session)).await;
    assert_eq!(stream.message().await.unwrap(), question(9, "elicitation/create"));
    for (id, status) in [(9, 202), (10, 400)] {
        let response = crate::harness::result(id, &json!({ "action": "decline" }));
        assert_eq!(gateway.ask(&within(&session, &response)).await.status, status);
    }
    answers.open();
    assert_eq!(stream.message().await.unwrap()["id"], 7);
    assert_eq!(responses(&upstream).len(), 1);
}

#[tokio::test]
async fn tr_19_a_response_to_what_another_node_may_have_asked_is_passed_on() {
    for has_peers in [true, false] {
        let upstream = talkative(
            |_| Answer::status(405),
            |request| Answer::events().event(&question(9, "elicitation/create")).event(&request.says("done")),
        )
        .await;
        let gateway = Gateway::before(&upstream).await;
        if has_peers {
            gateway.expect_peers();
        }
        let session = join(&gateway).await;
        // What this node has asked is known to it, and 10 is nothing that it has asked.
        assert_eq!(gateway.ask(&a_call(&session)).await.messages()[0], question(9, "elicitation/create"));
        let response = crate::harness::result(10, &json!({ "action": "decline" }));
        let reply = gateway.ask(&within(&session, &response)).await;
        if has_peers {
            assert_eq!((reply.status, responses(&upstream)), (202, vec![response]));
        } else {
            assert_eq!((reply.status, reply.reason().as_str()), (400, "unasked_response"));
            assert_eq!(responses(&upstream), [] as [Value; 0]);
        }
    }
}

#[tokio::test]
async fn tr_19_fault_restart_a_response_to_what_this_process_did_not_live_to_see_is_passed_on() {
    let upstream = talkative(|_| Answer::status(405), |request| Answer::json(&request.says("done"))).await;
    let gateway = Gateway::before(&upstream).await;
    let session = join(&gateway).await;
    // It has carried nothing of this session, so the question may be of before.
    let response = crate::harness::result(9, &json!({ "action": "decline" }));
    assert_eq!(gateway.ask(&within(&session, &response)).await.status, 202);
    assert_eq!(responses(&upstream), [response]);
}

#[tokio::test]
async fn sb_05_what_comes_for_one_session_goes_into_no_other_one_s_calls() {
    let upstream = talkative(
        |session| Answer::events().event(&log(session)).then_silence(),
        |request| Answer::json(&request.says("done")),
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let (one, other) = (join(&gateway).await, join(&gateway).await);
    until("the gateway listens twice", || gets(&upstream) == 2).await;
    pause(50).await;
    for (session, own) in [(other, "session-2"), (one, "session-1")] {
        let messages = gateway.ask(&a_call(&session)).await.messages();
        assert_eq!(messages[0], log(own));
        assert_eq!(messages.len(), 2);
    }
}

#[tokio::test]
async fn tr_18_a_session_in_which_nothing_can_come_is_not_listened_to() {
    let upstream = Upstream::new(|request| match method(request).as_str() {
        "initialize" => Answer::json(&super::welcome(request)).header("Mcp-Session-Id", "quiet"),
        "tools/call" => Answer::json(&request.says("done")),
        _ => Answer::status(202),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = join(&gateway).await;
    assert_eq!(gateway.ask(&a_call(&session)).await.said(), "done");
    assert_eq!(gets(&upstream), 0);
}
