//! What an upstream says on its session's own stream while a client of 2026-07-28 calls.

use serde_json::{Value, json};

use super::{Asking, answers, calling, count, elicitation, last, with_sessions};
use crate::{
    eras::{AGREED, error, method},
    harness::{Answer, Gate, Gateway, Upstream, until},
};

/// An upstream that says this on its session's own stream during each call, and answers when it may.
async fn saying_beside(said: Value, may_answer: &Gate, as_events: bool) -> Upstream {
    let (called, may_answer) = (Gate::new(), may_answer.clone());
    Upstream::new(move |request| {
        if request.head.starts_with("GET") {
            return Answer::events().wait(&called).event(&said).then_silence();
        }
        match (method(request).as_str(), request.header("mcp-session-id")) {
            ("initialize", None) => {
                let server = json!({ "name": "scripted", "version": "1" });
                let capabilities = json!({ "tools": {}, "logging": {} });
                let result = json!({ "protocolVersion": AGREED, "capabilities": capabilities, "serverInfo": server });
                Answer::json(&request.result(&result)).header("Mcp-Session-Id", "session-1")
            }
            (_, None) => Answer::status(400),
            ("tools/call", _) => {
                called.open();
                if as_events {
                    Answer::events().wait(&may_answer).event(&request.says("done"))
                } else {
                    Answer::json(&request.says("done")).behind(&may_answer)
                }
            }
            ("logging/setLevel", _) => Answer::json(&request.result(&json!({}))),
            // The answer to what was asked.
            ("", _) => {
                may_answer.open();
                Answer::status(202)
            }
            _ => Answer::status(202),
        }
    })
    .await
}

fn gets(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|request| request.head.starts_with("GET")).count()
}

#[tokio::test]
async fn tr_18_tr_25_log_messages_beside_a_call_come_before_its_answer_if_they_were_asked_for() {
    let log =
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "x" } });
    let may_answer = Gate::new();
    let upstream = saying_beside(log, &may_answer, false).await;
    let gateway = Gateway::before(&upstream).await;
    may_answer.open();
    let quiet = calling(1, "look").of(&gateway).await;
    assert_eq!((quiet.messages().len(), gets(&upstream)), (1, 0), "nothing can come for this client");
    may_answer.open();
    let loud = calling(2, "look").meta("io.modelcontextprotocol/logLevel", json!("info")).of(&gateway).await;
    let methods: Vec<_> = loud.messages().iter().map(|message| message["method"].clone()).collect();
    assert_eq!((methods, gets(&upstream)), (vec![json!("notifications/message"), Value::Null], 1));
    assert_eq!(last(&loud)["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn tr_18_tr_25_what_is_asked_beside_a_call_is_asked_of_its_client() {
    let question = json!({ "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } });
    let question = json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": question });
    let upstream = saying_beside(question, &Gate::new(), true).await;
    let gateway = Gateway::before(&upstream).await;
    let call = calling(1, "greet").able(json!({ "elicitation": {} }));
    let needed = last(&call.of(&gateway).await)["result"].clone();
    let (key, asked) = needed["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(asked["params"]["message"], "Who?");
    let accepted = json!({ "action": "accept", "content": {} });
    let mut retry = call.param("requestState", needed["requestState"].clone());
    retry.message["id"] = json!(2);
    let done = retry.param("inputResponses", json!({ (key.as_str()): accepted })).of(&gateway).await;
    assert_eq!(last(&done)["result"]["content"][0]["text"], "done");
    assert_eq!(answers(&upstream), [json!({ "jsonrpc": "2.0", "id": "q", "result": accepted })]);
    assert_eq!((count(&upstream, "tools/call"), gets(&upstream)), (1, 1));
}

#[tokio::test]
async fn tr_21_an_answer_to_the_call_itself_says_nothing_about_its_session_whatever_its_status() {
    let upstream = with_sessions(|request| match method(request).as_str() {
        "ping" => Answer::json(&request.result(&json!({}))),
        _ => Answer::body(404, "application/json", error(request, -32000).to_string()),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let reply = calling(1, "look").of(&gateway).await;
    assert_eq!(reply.json()["error"]["code"], -32000);
    assert_eq!((count(&upstream, "initialize"), count(&upstream, "tools/call")), (1, 1), "it was sent once");
}

#[tokio::test]
async fn fault_an_upstream_that_asks_very_much_is_answered_in_parts() {
    const ASKED: u64 = 20;
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = with_sessions(move |request| {
        if method(request).is_empty() {
            script.open();
            return Answer::status(202);
        }
        let answer = (0..ASKED).fold(Answer::events(), |answer, id| answer.event(&elicitation(id, "Who?")));
        (0..ASKED).fold(answer, |answer, _| answer.wait(&script)).event(&request.says("done"))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let mut call: Asking = calling(1, "greet").able(json!({ "elicitation": {} }));
    let mut parts = Vec::new();
    let done = loop {
        let result = last(&call.of(&gateway).await)["result"].clone();
        let Some(requests) = result["inputRequests"].as_object() else { break result };
        parts.push(requests.len());
        let accepted = json!({ "action": "accept", "content": {} });
        let responses: Value = requests.keys().map(|key| (key.clone(), accepted.clone())).collect();
        call = call.param("requestState", result["requestState"].clone()).param("inputResponses", responses);
        assert!(parts.len() < 10, "{parts:?}");
    };
    assert_eq!((done["content"][0]["text"].as_str(), parts), (Some("done"), vec![16, 4]));
    until("all were answered", || answers(&upstream).len() == 20).await;
}
