//! Subscriptions of clients of 2026-07-28, out of a session's own stream.

use serde_json::{Value, json};

use super::{Asking, asking, calling};
use crate::{
    eras::method,
    harness::{Answer, Gate, Gateway, Received, Route, Upstream, notification, until},
};

/// An upstream whose sessions have a stream of their own; one event of it for each opening of the gate.
async fn speaking(gate: &Gate, events: Vec<Value>) -> Upstream {
    let script = gate.clone();
    Upstream::new(move |request| {
        if request.head.starts_with("GET") {
            let answer = |answer: Answer, event: &Value| answer.wait(&script).event(event);
            return events.iter().fold(Answer::events(), answer).then_silence();
        }
        match (method(request).as_str(), request.header("mcp-session-id")) {
            ("initialize", None) => Answer::json(&welcome(request)).header("Mcp-Session-Id", "session-1"),
            (_, None) => Answer::status(400),
            ("resources/subscribe", _) if request.message()["params"]["uri"] == "secret:1" => {
                Answer::json(&crate::eras::error(request, -32602))
            }
            ("tools/call", _) => {
                let changed = notification("notifications/tools/list_changed");
                Answer::events().event(&changed).event(&request.says("done"))
            }
            ("resources/subscribe" | "resources/unsubscribe" | "ping", _) => Answer::json(&request.result(&json!({}))),
            _ => Answer::status(202),
        }
    })
    .await
}

fn welcome(request: &Received) -> Value {
    let capabilities = json!({
        "tools": { "listChanged": true }, "prompts": {}, "resources": { "subscribe": true, "listChanged": true },
    });
    let server = json!({ "name": "scripted", "version": "1" });
    request.result(&json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": server }))
}

fn listening(id: &str, filter: &Value) -> Asking {
    asking(id, "subscriptions/listen", &json!({ "notifications": filter }))
}

fn updated(uri: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } })
}

fn subscription(message: &Value) -> &Value {
    &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"]
}

#[tokio::test]
async fn tr_25_tr_22_a_subscription_hears_what_was_agreed_on_and_nothing_else() {
    let gate = Gate::new();
    let changed = |what: &str| notification(&format!("notifications/{what}/list_changed"));
    let events = vec![changed("prompts"), changed("tools"), updated("note:2"), updated("note:1")];
    let upstream = speaking(&gate, events).await;
    let gateway = Gateway::before(&upstream).await;
    let wanted = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["note:1", "secret:1"] });
    let mut stream = gateway.client().await.start(&listening("l", &wanted).request()).await;

    let first = stream.message().await.unwrap();
    assert_eq!(
        (&first["method"], subscription(&first)),
        (&json!("notifications/subscriptions/acknowledged"), &json!("l"))
    );
    let agreed = json!({ "toolsListChanged": true, "resourceSubscriptions": ["note:1"] });
    assert_eq!(first["params"]["notifications"], agreed);
    for _ in 0..4 {
        gate.open();
    }
    let tools = stream.message().await.unwrap();
    assert_eq!((&tools["method"], subscription(&tools)), (&json!("notifications/tools/list_changed"), &json!("l")));
    let note = stream.message().await.unwrap();
    assert_eq!((&note["params"]["uri"], subscription(&note)), (&json!("note:1"), &json!("l")));

    stream.hang_up();
    let ended = |request: &Received| method(request) == "resources/unsubscribe";
    until("the resource is given up", || upstream.requests().iter().filter(|r| r.head.starts_with("POST")).any(ended))
        .await;
}

#[tokio::test]
async fn tr_18_a_request_on_a_sessions_own_stream_is_not_left_hanging() {
    let gate = Gate::new();
    let events = vec![
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "roots/list" }),
    ];
    let upstream = speaking(&gate, events).await;
    let gateway = Gateway::before(&upstream).await;
    let wanted = listening("l", &json!({ "toolsListChanged": true }));
    let mut stream = gateway.client().await.start(&wanted.request()).await;
    stream.message().await.unwrap();
    gate.open();
    gate.open();
    let answers = || {
        let posts = upstream.requests().into_iter().filter(|request| request.head.starts_with("POST"));
        posts.map(|post| post.message()).filter(|message| message["method"].is_null()).collect::<Vec<_>>()
    };
    until("both are answered", || answers().len() == 2).await;
    assert_eq!(answers()[0], json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
    assert_eq!((&answers()[1]["id"], &answers()[1]["error"]["code"]), (&json!(2), &json!(-32601)));
}

#[tokio::test]
async fn tr_25_tr_15_a_subscription_is_kept_alive_and_ends_with_a_result_in_time() {
    let gate = Gate::new();
    let upstream = speaking(&gate, Vec::new()).await;
    let route = Route::to(&upstream).clock("keepAlive", 0.05).clock("listen", 0.4);
    let gateway = Gateway::with(route).await;
    let wanted = listening("l", &json!({ "toolsListChanged": true }));
    let mut stream = gateway.client().await.start(&wanted.request()).await;
    assert!(stream.message().await.is_some());
    assert_eq!(stream.event().await.unwrap(), ": keep-alive");
    let end = stream.message().await.unwrap();
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!("l"), &json!("complete")));
    assert_eq!(end["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
    assert_eq!(stream.message().await, None);
}

#[tokio::test]
async fn tr_25_two_who_listen_share_a_sessions_one_stream() {
    let gate = Gate::new();
    let upstream = speaking(&gate, vec![notification("notifications/tools/list_changed")]).await;
    let gateway = Gateway::before(&upstream).await;
    let wanted = |id| listening(id, &json!({ "toolsListChanged": true })).request();
    let mut one = gateway.client().await.start(&wanted("1")).await;
    one.message().await.unwrap();
    let mut other = gateway.client().await.start(&wanted("2")).await;
    other.message().await.unwrap();
    gate.open();
    assert_eq!(subscription(&one.message().await.unwrap()), "1");
    assert_eq!(subscription(&other.message().await.unwrap()), "2");
    let streams = upstream.requests().iter().filter(|request| request.head.starts_with("GET")).count();
    assert_eq!(streams, 1);
}

#[tokio::test]
async fn tr_25_what_changes_during_a_call_is_told_to_those_who_listen_and_not_to_the_caller() {
    let upstream = speaking(&Gate::new(), Vec::new()).await;
    let gateway = Gateway::before(&upstream).await;
    let wanted = listening("l", &json!({ "toolsListChanged": true }));
    let mut stream = gateway.client().await.start(&wanted.request()).await;
    stream.message().await.unwrap();
    assert_eq!(calling(1, "install").of(&gateway).await.messages().len(), 1);
    assert_eq!(subscription(&stream.message().await.unwrap()), "l");
    let greetings = upstream.requests().into_iter().filter(|request| request.head.starts_with("POST"));
    assert_eq!(greetings.filter(|post| method(post) == "initialize").count(), 1, "in one session");
}
