//! What an upstream asks of people in the middle of a call.

use serde_json::{Value, json};

use super::{Asking, answers, calling, count, elicitation, last, with_sessions};
use crate::{
    eras::{counts, method, welcome},
    harness::{Answer, Gate, Gateway, Route, Setup, Upstream, until},
};

/// An upstream that asks this in the middle of each call, and goes on after as many answers.
async fn asking_for(asked: Vec<Value>) -> Upstream {
    let gate = Gate::new();
    with_sessions(move |request| {
        if request.message()["method"].is_null() {
            gate.open();
            return Answer::status(202);
        }
        let answer = asked.iter().fold(Answer::events(), Answer::event);
        asked.iter().fold(answer, |answer, _| answer.wait(&gate)).event(&request.says("done"))
    })
    .await
}

fn able(call: Asking) -> Asking {
    call.able(json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} }))
}

/// The retry of a call that needs input, with these answers.
fn again(call: &Asking, id: u64, needed: &Value, responses: Value) -> Asking {
    let mut retry = call.clone().param("requestState", needed["requestState"].clone());
    retry.message["id"] = id.into();
    retry.param("inputResponses", responses)
}

fn accepted() -> Value {
    json!({ "action": "accept", "content": { "name": "Ada" } })
}

#[tokio::test]
async fn tr_25_what_an_upstream_asks_is_asked_of_the_client_and_the_call_goes_on() {
    let upstream = asking_for(vec![elicitation(0, "Who?")]).await;
    let gateway = Gateway::before(&upstream).await;
    let call = able(calling(1, "greet"));
    let needed = last(&call.of(&gateway).await);
    assert_eq!((&needed["id"], &needed["result"]["resultType"]), (&json!(1), &json!("input_required")));
    let requests = needed["result"]["inputRequests"].as_object().unwrap();
    let (key, asked) = requests.iter().next().unwrap();
    assert_eq!((asked["method"].as_str(), &asked["params"]["message"]), (Some("elicitation/create"), &json!("Who?")));
    assert!(asked.get("id").is_none());

    let retry = again(&call, 2, &needed["result"], json!({ (key.as_str()): accepted() }));
    let done = last(&retry.of(&gateway).await);
    assert_eq!((&done["id"], &done["result"]["content"][0]["text"]), (&json!(2), &json!("done")));
    assert_eq!(done["result"]["resultType"], "complete");
    assert_eq!(answers(&upstream), [json!({ "jsonrpc": "2.0", "id": 0, "result": accepted() })]);
    assert_eq!(count(&upstream, "tools/call"), 1, "the upstream was called once");
    assert_eq!(count(&upstream, "notifications/cancelled"), 0);
}

#[tokio::test]
async fn tr_25_what_is_asked_at_once_is_one_result_and_what_is_not_answered_is_asked_again() {
    let sampling =
        json!({ "jsonrpc": "2.0", "id": "s", "method": "sampling/createMessage", "params": { "maxTokens": 5 } });
    let roots = json!({ "jsonrpc": "2.0", "id": "r", "method": "roots/list" });
    let upstream = asking_for(vec![elicitation(3, "Who?"), sampling, roots]).await;
    let gateway = Gateway::before(&upstream).await;
    let call = able(calling(1, "greet"));
    let needed = last(&call.of(&gateway).await)["result"].clone();
    let requests = needed["inputRequests"].as_object().unwrap().clone();
    let keys: Vec<_> = requests.keys().cloned().collect();
    let asked: Vec<_> = requests.values().map(|request| request["method"].as_str().unwrap()).collect();
    assert_eq!(asked, ["elicitation/create", "sampling/createMessage", "roots/list"]);

    let some = json!({ (keys[0].as_str()): { "action": "decline" }, (keys[1].as_str()): { "model": "m" } });
    let still = last(&again(&call, 2, &needed, some).of(&gateway).await);
    assert_eq!(still["id"], 2);
    let still = &still["result"];
    assert_eq!(still["inputRequests"].as_object().unwrap().keys().collect::<Vec<_>>(), [&keys[2]]);
    let rest = json!({ (keys[2].as_str()): { "roots": [] } });
    assert_eq!(again(&call, 3, still, rest).of(&gateway).await.said(), "done");
    let given: Vec<_> = answers(&upstream).iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(given, [json!(3), json!("s"), json!("r")]);
    assert_eq!(answers(&upstream)[0]["result"], json!({ "action": "decline" }));
}

#[tokio::test]
async fn tr_25_a_call_may_need_input_more_than_once() {
    let gate = Gate::new();
    let upstream = with_sessions(move |request| {
        if request.message()["method"].is_null() {
            gate.open();
            return Answer::status(202);
        }
        let ask = |answer: Answer, id| answer.event(&elicitation(id, "Who?")).wait(&gate);
        let progress = json!({ "progressToken": "first", "progress": 1 });
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress });
        ask(ask(Answer::events(), 1).event(&progress), 2).event(&request.says("done"))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let call = able(calling(1, "greet")).meta("progressToken", json!("first"));
    let needed = last(&call.of(&gateway).await)["result"].clone();
    let retry = again(&call, 2, &needed, json!({ "1": accepted() })).meta("progressToken", json!("second"));
    let messages = retry.of(&gateway).await.messages();
    assert_eq!(messages[0]["params"]["progressToken"], "second", "{messages:?}");
    assert_eq!(messages[1]["result"]["resultType"], "input_required");
    let retry = again(&call, 3, &messages[1]["result"], json!({ "2": accepted() }));
    assert_eq!(retry.of(&gateway).await.said(), "done");
}

#[tokio::test]
async fn tr_30_sb_13_what_a_client_did_not_declare_is_not_asked_of_it_and_the_upstream_does_not_wait() {
    let page = json!({ "mode": "url", "url": "https://pages.test", "message": "Open", "elicitationId": "e" });
    let page = json!({ "jsonrpc": "2.0", "id": 5, "method": "elicitation/create", "params": page });
    let upstream = asking_for(vec![page]).await;
    let gateway = Gateway::before(&upstream).await;
    for capabilities in [json!({}), json!({ "elicitation": { "form": {} } })] {
        upstream.forget();
        assert_eq!(calling(1, "greet").able(capabilities).of(&gateway).await.said(), "done");
        let answers = answers(&upstream);
        assert_eq!((&answers[0]["id"], &answers[0]["error"]["code"]), (&json!(5), &json!(-32601)));
    }
    let needed = last(&able(calling(1, "greet")).of(&gateway).await);
    assert_eq!(needed["result"]["inputRequests"]["1"]["params"]["url"], "https://pages.test");
}

#[tokio::test]
async fn tr_18_a_ping_is_answered_by_the_gateway() {
    let ping = json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" });
    let upstream = asking_for(vec![ping]).await;
    let gateway = Gateway::before(&upstream).await;
    let messages = calling(1, "greet").of(&gateway).await.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(answers(&upstream), [json!({ "jsonrpc": "2.0", "id": 9, "result": {} })]);
}

#[tokio::test]
async fn sb_04_an_answer_is_taken_once_and_only_for_the_call_that_waits_for_it() {
    let upstream = asking_for(vec![elicitation(0, "Who?")]).await;
    let route = Route::to(&upstream);
    let gateway = Setup::new().route("/mcp", route.clone()).route("/other", route).start().await;
    let call = able(calling(1, "greet"));
    let needed = last(&call.of(&gateway).await)["result"].clone();
    let retry = again(&call, 2, &needed, json!({ "1": accepted() }));

    let elsewhere = retry.clone().on("/other").of(&gateway).await;
    let mut other_tool = retry.clone();
    other_tool.message["params"]["name"] = "delete".into();
    let changed = retry.clone().param("arguments", json!({ "amount": 1000 }));
    let made_up = retry.clone().param("requestState", json!("bm90aGluZw"));
    assert_eq!(elsewhere.reason(), "call_not_waiting");
    for wrong in [other_tool, changed, made_up] {
        let reply = wrong.of(&gateway).await;
        assert_eq!((reply.reason().as_str(), &reply.json()["error"]["code"]), ("call_not_waiting", &json!(-32602)));
    }
    assert!(answers(&upstream).is_empty());

    assert_eq!(retry.of(&gateway).await.said(), "done");
    assert_eq!(retry.of(&gateway).await.reason(), "call_not_waiting");
    assert_eq!(answers(&upstream).len(), 1);
}

#[tokio::test]
async fn sb_04_who_takes_too_long_must_begin_again_and_the_upstream_does_not_wait() {
    let upstream = asking_for(vec![elicitation(0, "Who?")]).await;
    let route = Route::to(&upstream).clock("input", 0.1);
    let gateway = Setup::new().route("/mcp", route).with_background().start().await;
    let call = able(calling(1, "greet"));
    let needed = last(&call.of(&gateway).await)["result"].clone();
    until("the call is given up", || count(&upstream, "notifications/cancelled") == 1).await;
    let reply = again(&call, 2, &needed, json!({ "1": accepted() })).of(&gateway).await;
    assert_eq!(reply.reason(), "call_not_waiting");
}

#[tokio::test]
async fn sb_04_another_process_says_that_the_call_must_be_begun_again() {
    let upstream = asking_for(vec![elicitation(0, "Who?")]).await;
    let (one, other) = (Gateway::before(&upstream).await, Gateway::before(&upstream).await);
    let call = able(calling(1, "greet"));
    let needed = last(&call.of(&one).await)["result"].clone();
    let reply = again(&call, 2, &needed, json!({ "1": accepted() })).of(&other).await;
    assert_eq!(reply.reason(), "call_not_waiting");
    assert!(reply.text().contains("Begin the call again"), "{reply:?}");
}

#[tokio::test]
async fn sb_04_a_call_that_waits_at_another_node_is_begun_again_and_counted_as_its() {
    let upstream = asking_for(vec![elicitation(0, "Who?")]).await;
    let (one, other) = (Gateway::before(&upstream).await, Gateway::before(&upstream).await);
    one.shares_a_key_with(&other);
    let call = able(calling(1, "greet"));
    let needed = last(&call.of(&one).await)["result"].clone();
    let reply = again(&call, 2, &needed, json!({ "1": accepted() })).of(&other).await;
    assert_eq!(reply.reason(), "call_not_waiting");
    assert_eq!(other.upstream_sessions().await, counts([]));
    assert_eq!(last(&call.of(&other).await)["result"]["resultType"], "input_required");
    assert_eq!(other.upstream_sessions().await, counts([("other_node", 1)]));
    assert_eq!(one.upstream_sessions().await, counts([("first", 1)]));
}

#[tokio::test]
async fn tr_25_nobody_is_asked_for_an_upstream_that_keeps_no_session_to_be_answered_in() {
    let upstream = Upstream::new(|request| match (method(request).as_str(), request.header("mcp-protocol-version")) {
        ("initialize", _) => Answer::json(&welcome(request)),
        (_, Some("2026-07-28")) => Answer::status(400),
        ("tools/call", _) => {
            let ping = json!({ "jsonrpc": "2.0", "id": "there?", "method": "ping" });
            Answer::events().event(&ping).event(&elicitation(0, "Who?")).then_silence()
        }
        _ => Answer::status(202),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    for call in [able(calling(1, "greet")), calling(1, "greet")] {
        let error = last(&call.of(&gateway).await);
        assert_eq!((&error["id"], &error["error"]["data"]["reason"]), (&json!(1), &json!("unanswerable")));
        assert!(error["error"]["message"].as_str().unwrap().contains("session"), "{error}");
        assert!(error["error"]["data"]["requestId"].is_string(), "{error}");
    }
    upstream.close_idle();
    until("its calls are given up", || upstream.open() == 0).await;
}
