//! Clients with sessions in front of an upstream of 2026-07-28 that has none: to them it is a server like any other.

use rmcp::{ServiceExt, model::CallToolRequestParams, transport::StreamableHttpClientTransport};
use serde_json::{Value, json};

use super::{begin, error, introduction, method, within};
use crate::harness::{
    Answer, Answering, Gate, Gateway, Received, Reply, Request, Route, Upstream, call, initialize, list_tools,
    notification, pause, soon, until,
};

/// Knows only requests that stand for themselves; those that nothing else is said about are answered by `script`.
async fn modern_only(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Upstream {
    Upstream::new(move |request| {
        let version = &request.message()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        match method(request).as_str() {
            _ if version != "2026-07-28" => Answer::body(400, "application/json", error(request, -32022).to_string()),
            "server/discover" => Answer::json(&introduction(request, &["2026-07-28"])),
            _ => script(request),
        }
    })
    .await
}

/// Begins a session of a client that declares this.
async fn begin_as(gateway: &Gateway, capabilities: &Value) -> String {
    let mut hello = initialize("hello");
    hello["params"]["capabilities"] = capabilities.clone();
    let reply = gateway.post(&hello).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.header("mcp-session-id").unwrap().to_owned()
}

async fn say(gateway: &Gateway, session: &str, message: &Value) -> Reply {
    gateway.ask(&within(session, message)).await
}

async fn stream(gateway: &Gateway, session: &str, message: &Value) -> Answering {
    let stream = gateway.client().await.start(&within(session, message)).await;
    assert_eq!(stream.head.header("content-type"), Some("text/event-stream"));
    stream
}

fn complete(request: &Received, text: &str) -> Answer {
    let content = json!([{ "type": "text", "text": text }]);
    Answer::json(&request.result(&json!({ "resultType": "complete", "content": content })))
}

/// An upstream's question, under its own name for it.
fn asks(request: &Received, state: &str, question: &Value) -> Answer {
    let asked = json!({ "resultType": "input_required", "inputRequests": { "q": question }, "requestState": state });
    Answer::json(&request.result(&asked))
}

fn form() -> Value {
    json!({ "method": "elicitation/create", "params": { "mode": "form", "message": "Who?", "requestedSchema": {} } })
}

fn answered(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

#[tokio::test]
async fn tr_24_tr_25_a_session_begins_with_what_the_upstream_says_of_itself() {
    let upstream = modern_only(|request| complete(request, "done")).await;
    let gateway = Gateway::before(&upstream).await;
    let reply = gateway.post(&initialize("hello")).await;
    let answer = reply.json();
    assert_eq!((reply.status, &answer["id"]), (200, &json!("hello")));
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(answer["result"]["capabilities"], json!({ "tools": {} }));
    assert!(answer["result"]["serverInfo"]["name"].is_string());
    let session = reply.header("mcp-session-id").unwrap();

    upstream.forget();
    assert_eq!(say(&gateway, session, &notification("notifications/initialized")).await.status, 202);
    assert_eq!(say(&gateway, session, &request(1, "ping", &json!({}))).await.json()["result"], json!({}));
    assert_eq!(upstream.count(), 0, "what a session asks of its server alone, the upstream never hears");
}

#[tokio::test]
async fn tr_22_tr_25_a_call_says_for_itself_what_the_session_stood_for() {
    let upstream = modern_only(|request| complete(request, "done")).await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin_as(&gateway, &json!({ "roots": {} })).await;
    upstream.forget();

    let asked = request(123_456_789_012_345_678, "prompts/get", &json!({ "name": "grüße", "arguments": { "n": "1" } }));
    let reply = say(&gateway, &session, &asked).await;
    assert_eq!(reply.json()["id"], 123_456_789_012_345_678_u64);
    assert_eq!(reply.json()["result"], json!({ "content": [{ "type": "text", "text": "done" }] }));
    let sent = upstream.only_request();
    let header = |name| sent.header(name);
    assert_eq!(header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(header("mcp-method"), Some("prompts/get"));
    assert_eq!(header("mcp-name"), Some("=?base64?Z3LDvMOfZQ==?="));
    assert_eq!(header("mcp-session-id"), None);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "story", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": { "roots": {} },
    });
    assert_eq!(sent.message()["params"], json!({ "name": "grüße", "arguments": { "n": "1" }, "_meta": meta }));
    assert_eq!(sent.message()["id"], 123_456_789_012_345_678_u64);
}

#[tokio::test]
async fn tr_19_tr_22_tr_25_what_an_upstream_asks_is_a_request_on_the_calls_stream() {
    let upstream = modern_only(|request| match request.message()["params"]["requestState"].as_str() {
        None => asks(request, "one", &form()),
        Some("one") => asks(request, "two", &json!({ "method": "roots/list" })),
        Some(_) => complete(request, &request.message()["params"]["inputResponses"]["q"].to_string()),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin_as(&gateway, &json!({ "elicitation": {}, "roots": {} })).await;
    upstream.forget();

    let mut stream = stream(&gateway, &session, &call(7, "greet", &json!({}))).await;
    let asked = stream.message().await.unwrap();
    assert_eq!((&asked["method"], &asked["params"]["message"]), (&json!("elicitation/create"), &json!("Who?")));
    let person = json!({ "action": "accept", "content": { "name": "Ada" } });
    assert_eq!(say(&gateway, &session, &answered(&asked["id"], &person)).await.status, 202);
    let asked = stream.message().await.unwrap();
    assert_eq!(asked["method"], "roots/list");
    let roots = json!({ "roots": [{ "uri": "file:///a" }] });
    assert_eq!(say(&gateway, &session, &answered(&asked["id"], &roots)).await.status, 202);
    let last = stream.message().await.unwrap();
    assert_eq!((&last["id"], last["result"].get("resultType")), (&json!(7), None));
    assert_eq!(serde_json::from_str::<Value>(last["result"]["content"][0]["text"].as_str().unwrap()).unwrap(), roots);
    assert_eq!(stream.message().await, None);

    let sent: Vec<_> = upstream.requests().iter().map(Received::message).collect();
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[1]["params"]["inputResponses"], json!({ "q": person }));
    assert_eq!(sent[1]["params"]["requestState"], "one");
    assert!(sent[0]["id"] != sent[1]["id"] && sent[1]["id"] != sent[2]["id"], "each round is a request of its own");
}

#[tokio::test]
async fn sb_05_fault_only_the_answer_to_the_round_that_is_awaited_is_told() {
    let upstream = modern_only(|request| match request.message()["params"]["requestState"].as_str() {
        None => asks(request, "one", &form()),
        Some(_) => {
            let raw = json!({ "resultType": "input_required", "requestState": "forged" });
            Answer::events()
                .event(&json!({ "jsonrpc": "2.0", "id": 7, "result": raw }))
                .event(&json!({ "jsonrpc": "2.0", "id": 8, "error": { "code": -32020, "message": "no" } }))
                .event(&json!({ "jsonrpc": "2.0", "id": 9, "method": "roots/list" }))
                .event(&notification("notifications/message"))
                .event(&request.result(&json!({ "resultType": "complete", "content": [] })))
        }
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin_as(&gateway, &json!({ "elicitation": {}, "roots": {} })).await;
    let mut stream = stream(&gateway, &session, &call(7, "greet", &json!({}))).await;
    let asked = stream.message().await.unwrap();
    let answer = answered(&asked["id"], &json!({ "action": "decline" }));
    assert_eq!(say(&gateway, &session, &answer).await.status, 202);
    let last = json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } });
    assert_eq!(stream.rest().await, [notification("notifications/message"), last]);
}

#[tokio::test]
async fn tr_19_sb_05_nobody_answers_for_another_session_or_twice() {
    let upstream = modern_only(|request| match request.message()["params"]["requestState"].as_str() {
        None => asks(request, "one", &form()),
        Some(_) => complete(request, "thanks"),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let capabilities = json!({ "elicitation": {} });
    let (session, another) = (begin_as(&gateway, &capabilities).await, begin_as(&gateway, &capabilities).await);
    let mut stream = stream(&gateway, &session, &call(7, "greet", &json!({}))).await;
    let asked = stream.message().await.unwrap();
    let answer = answered(&asked["id"], &json!({ "action": "decline" }));

    let foreign = say(&gateway, &another, &answer).await;
    assert_eq!((foreign.status, foreign.reason()), (400, "unasked_response".to_owned()));
    assert_eq!(foreign.json().get("id"), None, "it answers no request of the client's");
    assert_eq!(say(&gateway, &session, &answered(&json!(1), &json!({}))).await.status, 400);
    assert_eq!(say(&gateway, &session, &answer).await.status, 202);
    assert_eq!(stream.message().await.unwrap()["result"]["content"][0]["text"], "thanks");
    assert_eq!(say(&gateway, &session, &answer).await.status, 400);
}

#[tokio::test]
async fn tr_30_sb_13_a_client_that_cannot_be_asked_is_told_what_it_lacks() {
    let page =
        json!({ "method": "elicitation/create", "params": { "mode": "url", "message": "m", "url": "https://a" } });
    let upstream = modern_only(move |request| match request.message()["params"]["name"].as_str() {
        Some("page") => asks(request, "s", &page),
        _ => Answer::body(
            400,
            "application/json",
            json!({ "jsonrpc": "2.0", "id": request.message()["id"], "error": { "code": -32021, "message": "no",
                "data": { "requiredCapabilities": { "sampling": {} } } } })
            .to_string(),
        ),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin_as(&gateway, &json!({ "elicitation": {} })).await;
    for (tool, lacks) in [("page", "elicitation.url"), ("sample", "sampling")] {
        let answer = say(&gateway, &session, &call(1, tool, &json!({}))).await;
        assert!(answer.said().contains(lacks), "{answer:?}");
        assert_eq!(answer.messages()[0]["result"]["isError"], true);
    }
    let prompt = say(&gateway, &session, &request(2, "prompts/get", &json!({ "name": "page" }))).await;
    assert_eq!((prompt.status, prompt.reason()), (200, "client_lacks_capability".to_owned()));
}

#[tokio::test]
async fn fault_a_person_who_does_not_answer_ends_the_call_and_not_the_session() {
    let upstream = modern_only(|request| asks(request, "s", &form())).await;
    let route = Route::to(&upstream).clock("input", 0.3).clock("keepAlive", 0.05);
    let gateway = Gateway::with(route).await;
    let session = begin_as(&gateway, &json!({ "elicitation": {} })).await;
    let mut stream = stream(&gateway, &session, &call(7, "greet", &json!({}))).await;
    let asked = stream.message().await.unwrap();
    assert_eq!(stream.event().await.unwrap(), ": keep-alive");
    let last = stream.message().await.unwrap();
    assert_eq!((&last["id"], &last["result"]["isError"]), (&json!(7), &json!(true)));
    let late = say(&gateway, &session, &answered(&asked["id"], &json!({ "action": "accept" }))).await;
    assert_eq!(late.reason(), "unasked_response");
    assert_eq!(say(&gateway, &session, &request(8, "ping", &json!({}))).await.status, 200);
}

#[tokio::test]
async fn fault_an_upstream_that_asks_without_end_is_ended() {
    let upstream = modern_only(|request| {
        let state = json!({ "resultType": "input_required", "requestState": "again" });
        Answer::json(&request.result(&state))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    upstream.forget();
    let reply = say(&gateway, &session, &call(7, "greet", &json!({}))).await;
    assert_eq!(reply.reason(), "upstream_invalid");
    assert_eq!(upstream.count(), 11);
}

#[tokio::test]
async fn tr_28_parameters_that_must_stand_in_headers_are_learnt_and_put_there() {
    let upstream = modern_only(|request| match method(request).as_str() {
        "tools/list" => {
            let region = json!({ "type": "string", "x-mcp-header": "Region" });
            let schema = json!({ "type": "object", "properties": { "region": region } });
            let tools = json!([{ "name": "query", "inputSchema": schema }]);
            Answer::json(&request.result(&json!({ "resultType": "complete", "tools": tools })))
        }
        _ if request.header("mcp-param-region") == Some("eu") => complete(request, "done"),
        _ => Answer::body(400, "application/json", error(request, -32020).to_string()),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    let query = call(7, "query", &json!({ "region": "eu" }));
    let asked = || upstream.requests().iter().map(method).collect::<Vec<_>>();

    upstream.forget();
    assert_eq!(say(&gateway, &session, &query).await.said(), "done");
    assert_eq!(asked(), ["tools/call", "tools/list", "tools/call"], "nothing was done the first time");
    upstream.forget();
    assert_eq!(say(&gateway, &session, &query).await.said(), "done");
    assert_eq!(asked(), ["tools/call"], "what was learnt is kept");
    let listed = say(&gateway, &session, &list_tools(8)).await.json();
    let parameter = &listed["result"]["tools"][0]["inputSchema"]["properties"]["region"];
    assert_eq!(parameter["x-mcp-header"], "Region", "the client's copy is not touched");
    let refused = say(&gateway, &session, &call(9, "query", &json!({ "region": "us" }))).await;
    assert_eq!(refused.reason(), "upstream_invalid");
    let error = &refused.messages()[0]["error"];
    assert_ne!(error["code"], -32020, "no error of another era");
    assert!(error["message"].as_str().unwrap().contains("`query`"), "{error}");
    assert!(error["data"]["remedy"].as_str().unwrap().contains("x-mcp-header"), "{error}");
}

#[tokio::test]
async fn tr_25_what_goes_wrong_behind_a_session_does_not_end_it() {
    let upstream = modern_only(|request| match request.message()["params"]["name"].as_str() {
        Some("unknown") => Answer::body(404, "application/json", error(request, -32601).to_string()),
        Some("wrong") => Answer::body(400, "application/json", error(request, -32602).to_string()),
        _ => Answer::body(404, "text/html", "<p>Not found"),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    for (tool, status, code) in [("unknown", 200, -32601), ("wrong", 200, -32602), ("page", 502, -32603)] {
        let reply = say(&gateway, &session, &call(1, tool, &json!({}))).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!(code)), "{tool}");
    }
}

#[tokio::test]
async fn progress_and_logs_reach_the_client_on_the_calls_stream() {
    let upstream = modern_only(|request| {
        let token = &request.message()["params"]["_meta"]["progressToken"];
        let progress = json!({ "progressToken": token, "progress": 1 });
        let level = &request.message()["params"]["_meta"]["io.modelcontextprotocol/logLevel"];
        Answer::events()
            .event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress }))
            .event(&json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": level } }))
            .event(&request.result(&json!({ "resultType": "complete", "content": [] })))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    let wrong = say(&gateway, &session, &request(1, "logging/setLevel", &json!({ "level": "loud" }))).await;
    assert_eq!((wrong.status, wrong.reason()), (200, "invalid_params".to_owned()));
    assert!(wrong.text().contains("debug, info, notice, warning, error, critical, alert, emergency"), "{wrong:?}");
    assert_eq!(say(&gateway, &session, &request(1, "logging/setLevel", &json!({ "level": "info" }))).await.status, 200);
    let mut count = call(7, "count", &json!({}));
    count["params"]["_meta"] = json!({ "progressToken": "t" });
    let messages = stream(&gateway, &session, &count).await.rest().await;
    assert_eq!(messages[0]["params"]["progressToken"], "t");
    assert_eq!(messages[1]["params"]["level"], "info");
    assert_eq!(messages[2], json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } }));
}

#[tokio::test]
async fn a_call_that_is_cancelled_ends_at_the_upstream_and_is_not_answered() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = modern_only(move |request| match request.message()["params"]["name"].as_str() {
        Some("slow") => complete(request, "late").behind(&script),
        _ => Answer::events().event(&notification("notifications/message")).wait(&script),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    let cancel = |id: u64| {
        let params = json!({ "requestId": id, "reason": "enough" });
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })
    };

    let mut talking = stream(&gateway, &session, &call(7, "talk", &json!({}))).await;
    talking.message().await.unwrap();
    assert_eq!(say(&gateway, &session, &cancel(7)).await.status, 202);
    assert_eq!(talking.message().await, None);

    let request = within(&session, &call(8, "slow", &json!({})));
    let (reached, slow) = (upstream.count() + 1, gateway.client().await);
    let slow = tokio::spawn(async move { slow.start(&request).await.rest().await });
    until("the call has reached the upstream", || upstream.count() == reached).await;
    assert_eq!(say(&gateway, &session, &cancel(8)).await.status, 202);
    assert_eq!(slow.await.unwrap(), Vec::<Value>::new());
    assert_eq!(upstream.count(), reached, "the upstream sees the exchange end, which is how it is told");
}

#[tokio::test]
async fn what_has_no_counterpart_is_refused_by_name() {
    let upstream = modern_only(|request| complete(request, "done")).await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    for (method, params) in [("tasks/get", json!({ "taskId": "1" })), ("tasks/list", json!({}))] {
        let reply = say(&gateway, &session, &request(1, method, &params)).await;
        assert_eq!((reply.status, reply.reason()), (200, "not_bridged".to_owned()));
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(method));
    }
    let forgot = gateway.ask(&Request::post("/mcp", &list_tools(1))).await;
    assert_eq!((forgot.status, forgot.reason()), (400, "session_required".to_owned()));
}

/// Says that `a` has changed each time the gate is opened, to whoever subscribed to it.
fn tells(request: &Received, gate: &Gate) -> Answer {
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": request.message()["id"] });
    let told = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
    let filter = &request.message()["params"]["notifications"];
    let agreed = told("notifications/subscriptions/acknowledged", json!({ "notifications": filter, "_meta": meta }));
    let updated = told("notifications/resources/updated", json!({ "uri": "a", "_meta": meta }));
    let answer = Answer::events().event(&agreed).wait(gate).event(&updated).wait(gate).event(&updated);
    answer.wait(gate).then_silence()
}

#[tokio::test]
async fn tr_18_a_resource_that_was_subscribed_to_is_heard_of_on_the_sessions_calls() {
    let (changes, answers) = (Gate::new(), Gate::new());
    let (telling, answering) = (changes.clone(), answers.clone());
    let upstream = modern_only(move |request| match method(request).as_str() {
        "subscriptions/listen" => tells(request, &telling),
        "prompts/list" => Answer::json(&request.result(&json!({ "resultType": "complete", "prompts": [] }))),
        _ => Answer::events().wait(&answering).event(&request.result(&json!({ "content": [] }))),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    upstream.forget();
    let wish = json!({ "uri": "a" });
    assert_eq!(say(&gateway, &session, &request(1, "resources/subscribe", &wish)).await.json()["result"], json!({}));
    until("the upstream is listened to", || upstream.count() == 1).await;
    let listen = upstream.only_request();
    assert_eq!(listen.header("mcp-method"), Some("subscriptions/listen"));
    assert_eq!(listen.message()["params"]["notifications"], json!({ "resourceSubscriptions": ["a"] }));

    let news = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": "a" } });
    let mut stream = stream(&gateway, &session, &call(7, "slow", &json!({}))).await;
    changes.open();
    assert_eq!(stream.message().await.unwrap(), news);
    answers.open();
    assert_eq!(stream.rest().await.len(), 1);

    // What comes while no call is open goes out with the next one.
    changes.open();
    let prompts = request(8, "prompts/list", &json!({}));
    let heard = async {
        loop {
            let messages = say(&gateway, &session, &prompts).await.messages();
            assert_eq!(messages.last().unwrap()["id"], 8);
            if messages.len() == 2 {
                return messages[0].clone();
            }
        }
    };
    assert_eq!(soon("the news comes", heard).await, news);

    let open = upstream.open();
    assert_eq!(say(&gateway, &session, &request(9, "resources/unsubscribe", &wish)).await.status, 200);
    until("the upstream is not listened to any more", || upstream.open() < open).await;
}

#[tokio::test]
async fn sb_05_what_a_session_wants_to_hear_of_is_counted_in_bytes() {
    let upstream = modern_only(|request| match method(request).as_str() {
        "subscriptions/listen" => Answer::events().then_silence(),
        _ => complete(request, "done"),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    let subscribe = |id, uri: String| within(&session, &request(id, "resources/subscribe", &json!({ "uri": uri })));
    assert_eq!(gateway.ask(&subscribe(1, "a".repeat(30 << 10))).await.json()["result"], json!({}));
    let refused = gateway.ask(&subscribe(2, "b".repeat(30 << 10))).await;
    assert_eq!(refused.reason(), "overloaded");
    assert!(refused.json()["error"]["data"]["remedy"].as_str().unwrap().contains("Unsubscribe"), "{refused:?}");
    assert_eq!(gateway.ask(&subscribe(3, "c".to_owned())).await.json()["result"], json!({}));
}

#[tokio::test]
async fn tr_18_one_subscription_tells_a_session_that_lists_have_changed() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| match method(request).as_str() {
        "initialize" => Answer::body(400, "application/json", error(request, -32022).to_string()),
        "server/discover" => {
            let capabilities = json!({ "tools": { "listChanged": true } });
            let said = json!({ "supportedVersions": ["2026-07-28"], "capabilities": capabilities });
            Answer::json(&request.result(&said))
        }
        "subscriptions/listen" => tells(request, &script),
        _ => Answer::json(&request.result(&json!({ "tools": [] }))),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    upstream.forget();
    for id in 0..3 {
        assert_eq!(say(&gateway, &session, &list_tools(id)).await.status, 200);
    }
    let listening = || {
        let requests = upstream.requests();
        requests.into_iter().filter(|request| method(request) == "subscriptions/listen").collect::<Vec<_>>()
    };
    until("the upstream is listened to", || !listening().is_empty()).await;
    let lists = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true });
    assert_eq!(listening()[0].message()["params"]["notifications"], lists);
    assert_eq!((listening().len(), upstream.count()), (1, 4));
}

#[tokio::test]
async fn fault_an_upstream_without_subscriptions_is_asked_once() {
    let upstream = modern_only(|request| match method(request).as_str() {
        "subscriptions/listen" => Answer::body(404, "application/json", error(request, -32601).to_string()),
        _ => complete(request, "done"),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let session = begin(&gateway).await;
    upstream.forget();
    let wish = request(1, "resources/subscribe", &json!({ "uri": "a" }));
    assert_eq!(say(&gateway, &session, &wish).await.status, 200);
    until("the upstream has been asked", || upstream.count() == 1).await;
    for id in 0..3 {
        assert_eq!(say(&gateway, &session, &call(id, "look", &json!({}))).await.said(), "done");
    }
    assert_eq!(upstream.count(), 4);
}

#[tokio::test]
async fn tr_25_a_client_with_sessions_works_with_a_real_server_that_has_none() {
    let server = Gateway::with(Route::demo().era("modern")).await;
    let gateway = Gateway::with(Route::url(&format!("http://{}/mcp", server.address))).await;

    let transport = StreamableHttpClientTransport::from_uri(format!("http://{}/mcp", gateway.address));
    let client = soon("initialize", ().serve(transport)).await.unwrap();
    let tools = soon("tools/list", client.list_all_tools()).await.unwrap();
    assert!(tools.iter().any(|tool| tool.name == "echo"), "{tools:?}");
    let arguments = json!({ "text": "hello" }).as_object().unwrap().clone();
    let answer = client.call_tool(CallToolRequestParams::new("echo").with_arguments(arguments));
    let answer = serde_json::to_value(soon("tools/call", answer).await.unwrap()).unwrap();
    assert_eq!(answer["content"][0]["text"], "hello");
    soon("the client ends", client.cancel()).await.unwrap();

    let session = begin(&gateway).await;
    let mut count = call(7, "count_slowly", &json!({ "to": 3, "delay_ms": 10 }));
    count["params"]["_meta"] = json!({ "progressToken": "t" });
    let told = stream(&gateway, &session, &count).await.rest().await;
    let steps = told.iter().filter(|message| message["params"]["progressToken"] == "t").count();
    assert_eq!((steps, &told.last().unwrap()["id"]), (3, &json!(7)));

    let heard = async {
        loop {
            let write = call(8, "write_note", &json!({ "title": "news", "text": "news" }));
            pause(20).await;
            let messages = say(&gateway, &session, &write).await.messages();
            if messages[0]["method"] == "notifications/resources/list_changed" {
                return;
            }
        }
    };
    soon("the session hears that there are more notes", heard).await;
}

/// A session that only gateways know of, at two that have the same key: what stands in its id goes on, and what one process
/// remembered of it does not (`explain` says so).
#[tokio::test]
async fn sb_05_another_gateway_goes_on_with_a_session_and_what_only_one_knew_is_gone() {
    let upstream = modern_only(|request| match method(request).as_str() {
        "subscriptions/listen" => Answer::events().then_silence(),
        _ => match request.message()["params"]["name"].as_str() {
            Some("slow") => Answer::events().event(&notification("notifications/message")).then_silence(),
            Some("greet") => asks(request, "one", &form()),
            _ => complete(request, "done"),
        },
    })
    .await;
    let (one, other) = (Gateway::before(&upstream).await, Gateway::before(&upstream).await);
    one.shares_a_key_with(&other);
    let session = begin_as(&one, &json!({ "elicitation": {} })).await;
    let set = request(1, "logging/setLevel", &json!({ "level": "info" }));
    assert_eq!(say(&one, &session, &set).await.status, 200);
    let subscribe = request(2, "resources/subscribe", &json!({ "uri": "a" }));
    assert_eq!(say(&one, &session, &subscribe).await.status, 200);
    let level = async |gateway: &Gateway| {
        assert_eq!(say(gateway, &session, &call(3, "look", &json!({}))).await.said(), "done");
        let mut calls = upstream.requests().into_iter().filter(|request| method(request) == "tools/call");
        let meta = calls.next_back().unwrap().message()["params"]["_meta"].take();
        assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({ "elicitation": {} }), "it is sealed");
        meta["io.modelcontextprotocol/logLevel"].clone()
    };
    assert_eq!(level(&one).await, "info");
    let listens = || upstream.requests().iter().filter(|request| method(request) == "subscriptions/listen").count();
    until("the first gateway listens", || listens() == 1).await;

    // No level, and no subscription, until they are asked for once more.
    assert_eq!((level(&other).await, listens()), (Value::Null, 1));
    assert_eq!(say(&other, &session, &set).await.status, 200);
    assert_eq!(level(&other).await, "info");
    assert_eq!(say(&other, &session, &subscribe).await.status, 200);
    until("the second gateway listens", || listens() == 2).await;

    // What is under way at one gateway is neither cancelled nor answered at another, which says so where it can.
    let mut slow = stream(&one, &session, &call(4, "slow", &json!({}))).await;
    slow.message().await.unwrap();
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 4 } });
    assert_eq!(say(&other, &session, &cancel).await.status, 202);
    let mut asked = stream(&one, &session, &call(5, "greet", &json!({}))).await;
    let answer = answered(&asked.message().await.unwrap()["id"], &json!({ "action": "decline" }));
    let refused = say(&other, &session, &answer).await;
    assert_eq!((refused.status, refused.reason()), (400, "unasked_response".to_owned()));
    assert!(refused.text().contains("another process"), "{refused:?}");
    assert_eq!(say(&one, &session, &answer).await.status, 202);
    // The call is still there: it ends where it was made.
    assert_eq!(say(&one, &session, &cancel).await.status, 202);
    assert_eq!(slow.message().await, None);
}
