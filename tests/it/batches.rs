//! Several messages in one request, as clients of 2025-03-26 may send them, and answers that nobody else gets.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Gateway, OAuthClient, Request, Route, Upstream, call, initialize, list_tools, notification,
};

fn batch(messages: &[Value]) -> Request {
    Request::post("/mcp", &json!(messages))
}

#[tokio::test]
async fn tr_07_a_batch_is_refused_with_the_way_out_unless_the_route_takes_them() {
    let upstream = Upstream::saying("never").await;
    let gateway = Gateway::before(&upstream).await;
    let reply = gateway.ask(&batch(&[call(1, "f", &json!({}))])).await;
    assert_eq!((reply.status, reply.reason().as_str()), (400, "batch_not_supported"));
    assert!(reply.text().contains("`batches`"), "{}", reply.text());
    let gateway = Gateway::with(Route::to(&upstream).split_batches()).await;
    for refused in [
        batch(&[]),
        batch(&[call(1, "f", &json!({})), initialize(2)]),
        batch(&[call(1, "f", &json!({}))]).header("Mcp-Protocol-Version", "2025-06-18"),
    ] {
        assert_eq!(gateway.ask(&refused).await.status, 400, "{refused:?}");
    }
    assert_eq!(upstream.count(), 0, "nothing of it reached the upstream");
}

#[tokio::test]
async fn tr_07_the_messages_of_a_batch_reach_the_upstream_one_by_one_and_the_whole_chain_judges_each() {
    let upstream = Upstream::new(|request| match &request.message()["id"] {
        Value::Null => Answer::status(202),
        _ => Answer::json(&request.says("fine")),
    })
    .await;
    let route = Route::to(&upstream)
        .policy("rate-limit", &json!({ "requestsAllowed": 2, "timeWindowMinutes": 1, "rateLimitBy": "ip" }))
        .policy("mcp-capability-filter", &json!({ "tools": ["f"] }));
    let gateway = Gateway::with(route.split_batches()).await;
    let messages = [
        call(1, "f", &json!({ "n": 1.0 })),
        call(2, "hidden", &json!({})),
        notification("notifications/initialized"),
        call(3, "f", &json!({})),
    ];
    let reply = gateway.ask(&batch(&messages).header("Mcp-Protocol-Version", "2025-03-26")).await;
    let answers = reply.json();
    assert_eq!((reply.status, answers.as_array().unwrap().len()), (200, 3));
    let said = |at: usize| answers[at]["result"]["content"][0]["text"].clone();
    assert_eq!((&answers[0]["id"], said(0)), (&json!(1), json!("fine")));
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["data"]["reason"]), (&json!(2), &json!("not_exposed")));
    assert_eq!((&answers[2]["id"], &answers[2]["error"]["data"]["reason"]), (&json!(3), &json!("rate_limited")));
    let mut reached: Vec<_> = upstream.requests().iter().map(|request| request.message().to_string()).collect();
    reached.sort();
    assert_eq!(reached, [messages[0].to_string(), messages[2].to_string()], "as they were written");
    assert!(upstream.requests().iter().all(|request| request.header("mcp-protocol-version") == Some("2025-03-26")));
}

#[tokio::test]
async fn tr_07_a_session_says_whether_it_has_batches_also_where_its_client_does_not() {
    for (agreed, status) in [("2025-03-26", 200), ("2025-06-18", 400), ("2025-11-25", 400)] {
        let upstream = Upstream::new(move |request| match request.message()["method"].as_str() {
            Some("initialize") => {
                let server = json!({ "name": "scripted", "version": "1" });
                let result = json!({ "protocolVersion": agreed, "capabilities": {}, "serverInfo": server });
                Answer::json(&request.result(&result)).header("Mcp-Session-Id", "s-1")
            }
            _ => Answer::json(&request.says("fine")),
        })
        .await;
        let gateway = Gateway::with(Route::to(&upstream).split_batches()).await;
        let hello = gateway.post(&initialize(1)).await;
        let session = hello.header("mcp-session-id").unwrap();
        upstream.forget();
        let asked = batch(&[call(1, "f", &json!({})), call(2, "f", &json!({}))]).header("Mcp-Session-Id", session);
        for asked in [asked.clone(), asked.header("Mcp-Protocol-Version", "2025-03-26")] {
            let reply = gateway.ask(&asked).await;
            let answers = reply.json();
            assert_eq!((reply.status, answers.as_array().unwrap().len()), (status, 2), "{agreed}");
            let reason = &answers[1]["error"]["data"]["reason"];
            assert_eq!(*reason == "batch_not_supported", status == 400, "{agreed}");
        }
        assert_eq!(upstream.count(), if status == 200 { 4 } else { 0 }, "{agreed}");
    }
}

#[tokio::test]
async fn tr_07_answers_that_stream_come_as_one_stream() {
    let upstream = Upstream::new(|request| {
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 1 } });
        match request.message()["id"].as_u64() {
            Some(1) => Answer::events().event(&progress).pause(30).event(&request.says("slow")),
            _ => Answer::json(&request.says("quick")),
        }
    })
    .await;
    let gateway = Gateway::with(Route::to(&upstream).split_batches()).await;
    let reply = gateway.ask(&batch(&[call(1, "f", &json!({})), call(2, "f", &json!({}))])).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    let messages = reply.messages();
    let answers: Vec<_> = messages.iter().filter_map(|message| message["id"].as_u64()).collect();
    assert_eq!((answers, messages.len()), (vec![2, 1], 3));
}

#[tokio::test]
async fn tr_29_nobody_gets_an_answer_that_was_kept_for_somebody_else() {
    let upstream = Upstream::new(|request| {
        let tool = format!("tool-{}", request.number);
        let list = json!({ "tools": [{ "name": tool }], "ttlMs": 3_600_000, "cacheScope": "public" });
        Answer::json(&request.result(&list))
    })
    .await;
    let signed_in = Route::to(&upstream).policy("dev-login", &json!({}));
    let filter = json!({ "tools": [{ "glob": "tool-*" }] });
    for route in [signed_in.clone(), signed_in.policy("mcp-capability-filter", &filter)] {
        let gateway = Gateway::with(route).await;
        let client = OAuthClient::register(&gateway).await;
        let ada = client.sign_in(&gateway, "/mcp", "ada").await.access;
        let bob = client.sign_in(&gateway, "/mcp", "bob").await.access;
        for token in [&ada, &bob, &ada] {
            let asked_before = upstream.count();
            let reply = gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(token)).await;
            let name = &reply.json()["result"]["tools"][0]["name"];
            assert_eq!(*name, format!("tool-{asked_before}").as_str(), "asked each time anew");
        }
    }
    assert_eq!(upstream.count(), 6);
}
