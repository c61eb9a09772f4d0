//! Upstreams that close a call's stream before its end and expect to be asked for the rest (MCP 2025-11-25). Their clients
//! only post, so the gateway asks.

use serde_json::{Value, json};

use super::{begin, method, welcome, within};
use crate::harness::{Answer, Gateway, Received, Request, Upstream, call};

/// An upstream with sessions: what it says to calls, and to requests for the rest.
async fn polled(
    calls: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    rest: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> Upstream {
    Upstream::new(move |request| match request.head.split(' ').next() {
        Some("GET") => rest(request.header("last-event-id").unwrap_or_default()),
        _ if method(request) == "initialize" => {
            Answer::json(&welcome(request)).header("Mcp-Session-Id", "upstream-session-1")
        }
        _ => calls(request),
    })
    .await
}

/// What opens a stream that will be polled.
fn primer(id: &str) -> Answer {
    Answer::events().write(format!("id: {id}\nretry: 50\ndata: \n\n"))
}

fn numbered(answer: Answer, id: &str, message: &Value) -> Answer {
    answer.write(format!("id: {id}\nevent: message\ndata: {message}\n\n"))
}

fn progress(step: u64) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "t", "progress": step } })
}

fn done() -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [{ "type": "text", "text": "done" }] } })
}

fn a_call(session: &str) -> Request {
    within(session, &call(7, "long", &json!({})))
}

fn gets(upstream: &Upstream) -> Vec<Received> {
    upstream.requests().into_iter().filter(|request| request.head.starts_with("GET ")).collect()
}

fn posts(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|request| request.head.starts_with("POST ")).count()
}

#[tokio::test]
async fn tr_16_a_stream_that_the_upstream_closes_early_goes_on_where_the_client_waits() {
    let upstream = polled(
        |_| primer("e-1"),
        |last| match last {
            "e-1" => numbered(numbered(Answer::events(), "e-2", &progress(1)), "e-3", &progress(2)),
            "e-3" => numbered(Answer::events(), "e-4", &done()).then_silence(),
            other => panic!("asked for what comes after {other}"),
        },
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    upstream.forget();
    let reply = gateway.ask(&a_call(&session)).await;
    assert_eq!(reply.messages(), [progress(1), progress(2), done()]);
    assert_eq!(posts(&upstream), 1, "the call itself is sent once");
    for get in gets(&upstream) {
        assert_eq!(get.header("mcp-session-id"), Some("upstream-session-1"));
        assert_eq!(get.header("mcp-protocol-version"), Some(super::AGREED));
        assert_eq!(get.header("accept"), Some("text/event-stream"));
        assert_eq!((get.header("content-type"), get.header("content-length")), (None, None));
    }
}

#[tokio::test]
async fn tr_16_fault_a_stream_that_breaks_in_the_middle_goes_on_after_its_last_event() {
    let upstream = polled(
        |_| numbered(Answer::events(), "e-1", &progress(1)).write("id: e-2\ndata: {\"jsonrpc\"").then_reset(),
        |last| {
            assert_eq!(last, "e-1", "an event that was cut was not received");
            numbered(Answer::events(), "e-2", &done())
        },
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    assert_eq!(gateway.ask(&a_call(&session)).await.messages(), [progress(1), done()]);
}

#[tokio::test]
async fn tr_16_an_answer_to_somebody_else_s_call_does_not_end_this_one() {
    let upstream = polled(
        |_| primer("e-1"),
        |_| numbered(numbered(Answer::events(), "e-2", &crate::harness::result(8, &json!({}))), "e-3", &done()),
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    assert_eq!(gateway.ask(&a_call(&session)).await.messages(), [done()]);
}

#[tokio::test]
async fn tr_16_fault_an_upstream_that_will_not_give_the_rest_leaves_the_outcome_unknown() {
    for (calls, status, asked) in [(primer("e-1"), 405, 1), (primer("e-1"), 404, 1), (Answer::events(), 200, 0)] {
        let upstream = polled(move |_| calls.clone(), move |_| Answer::status(status)).await;
        let gateway = Gateway::before(&upstream).await;
        let session = begin(&gateway).await;
        let reply = gateway.ask(&a_call(&session)).await;
        assert_eq!((reply.reason(), reply.outcome()), ("upstream_truncated".to_owned(), json!("unknown")));
        assert_eq!(gets(&upstream).len(), asked);
    }
}

#[tokio::test]
async fn tr_21_fault_a_call_is_never_posted_again_however_often_its_rest_is_asked_for() {
    let upstream = polled(|_| primer("e-1"), |_| Answer::status(503)).await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    upstream.forget();
    let reply = gateway.ask(&a_call(&session)).await;
    assert_eq!((reply.reason(), reply.outcome()), ("upstream_truncated".to_owned(), json!("unknown")));
    assert_eq!((posts(&upstream), gets(&upstream).len()), (1, 5));
}

#[tokio::test]
async fn tr_17_a_client_that_cannot_resume_sees_nothing_of_resuming() {
    let upstream = polled(
        |_| {
            let answer = primer("e-1").write(": still here\n\n").write("id: e-2\r\ndata: {\"jsonrpc\":\"2.0\",\r\n");
            let answer = answer.write("data: \"method\":\"notifications/x\"}\r\nretry: 9\r\n\r\n");
            numbered(answer.write(": with a comment\nid: e-3\n\n"), "e-4", &done())
        },
        |_| panic!("nothing was missing"),
    )
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    let text = gateway.ask(&a_call(&session)).await.text().to_owned();
    let comments = ": still here\n\n";
    let joined = "data: {\"jsonrpc\":\"2.0\",\ndata: \"method\":\"notifications/x\"}\n\n: with a comment\n\n";
    // The LF after the last CR belongs to a line end that was complete without it.
    let text = text.replace("\n\n\n", "\n\n");
    assert_eq!(text, format!("{comments}{joined}event: message\ndata: {}\n\n", done()));
}
