//! Answers that take their time: progress and subscriptions.

use super::super::{call::Call, id::Id, listen, message::Params, version::Era};
use super::*;

const TOKEN: &str = "123456789012345678901234567890";

/// Asks for a count to three with a token, as either era writes it.
async fn count(server: &DemoServer, era: Era, delay_ms: u32) -> Response<Body> {
    let params = json!({
        "name": "count_slowly",
        "arguments": { "to": 3, "delay_ms": delay_ms },
        "_meta": { "progressToken": "TOKEN" },
    });
    let modern = modern_body("tools/call", params.clone());
    let legacy = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let (body, headers): (_, &[_]) = match era {
        Era::Modern => (
            modern,
            &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "count_slowly")],
        ),
        Era::Legacy => (legacy, &[]),
    };
    server.post_raw(headers, &body.to_string().replace("\"TOKEN\"", TOKEN)).await
}

#[tokio::test]
async fn progress_arrives_step_by_step_and_then_the_result() {
    for era in [Era::Legacy, Era::Modern] {
        let response = count(&DemoServer::new(), era, 10).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut body = response.into_body();
        for step in 1..=3 {
            let event = next_event(&mut body).await;
            assert_eq!(event["method"], "notifications/progress");
            assert_eq!((&event["params"]["progress"], &event["params"]["total"]), (&json!(step), &json!(3)));
        }
        let last = next_event(&mut body).await;
        assert_eq!(last["id"], 1);
        assert_eq!(last["result"]["content"][0]["text"], "Counted to 3.");
        assert_eq!(last["result"].get("resultType").is_some(), era == Era::Modern);
        assert_eq!(next_piece(&mut body).await, None);
    }
}

#[tokio::test]
async fn a_step_is_sent_when_it_happens_and_not_when_all_is_done() {
    let mut body = count(&DemoServer::new(), Era::Modern, 2000).await.into_body();
    let early = timeout(Duration::from_millis(100), body.frame()).await;
    assert!(early.is_err(), "nothing happened yet");
    let first = next_event(&mut body).await;
    assert_eq!(first["params"]["progress"], 1);
    let second = timeout(Duration::from_millis(100), body.frame()).await;
    assert!(second.is_err(), "the second step is two seconds away");
}

#[tokio::test]
async fn a_progress_token_comes_back_exactly_as_it_was_sent() {
    let mut body = count(&DemoServer::new(), Era::Legacy, 10).await.into_body();
    let piece = next_piece(&mut body).await.unwrap();
    assert!(piece.contains(&format!(r#""progressToken":{TOKEN},"#)), "{piece}");
}

#[tokio::test]
async fn without_a_token_the_count_is_one_json_answer() {
    let params = json!({ "name": "count_slowly", "arguments": { "to": 2, "delay_ms": 10 } });
    let answer = DemoServer::new().legacy("tools/call", params).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.result()["content"][0]["text"], "Counted to 2.");
}

#[tokio::test]
async fn a_listener_is_told_what_it_asked_for_and_nothing_else() {
    let server = DemoServer::new();
    let mut lists = listen(&server, json!({ "resourcesListChanged": true })).await;
    let mut note = listen(&server, json!({ "resourceSubscriptions": ["note://1"] })).await;
    next_event(&mut lists).await;
    next_event(&mut note).await;

    server.tool("write_note", json!({ "title": "new", "text": "" })).await;
    server.tool("write_note", json!({ "id": 2, "title": "other", "text": "" })).await;
    server.tool("write_note", json!({ "id": 1, "title": "mine", "text": "" })).await;
    server.tool("delete_note", json!({ "id": 1 })).await;

    for _ in 0..4 {
        let event = next_event(&mut lists).await;
        assert_eq!(event["method"], "notifications/resources/list_changed");
        assert_eq!(event["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    }
    for _ in 0..2 {
        let event = next_event(&mut note).await;
        assert_eq!(event["method"], "notifications/resources/updated");
        assert_eq!(event["params"]["uri"], "note://1");
    }
    assert_quiet(&mut lists).await;
    assert_quiet(&mut note).await;
}

#[tokio::test]
async fn the_acknowledgement_comes_first_and_names_only_what_will_be_sent() {
    let asked = json!({
        "toolsListChanged": true,
        "promptsListChanged": true,
        "resourcesListChanged": true,
        "resourceSubscriptions": ["note://1", "file:///etc/passwd"],
    });
    let server = DemoServer::new();
    let mut body = listen(&server, asked).await;
    server.tool("delete_all_notes", json!({})).await;

    let first = next_event(&mut body).await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(
        first["params"],
        json!({
            "_meta": { "io.modelcontextprotocol/subscriptionId": 1 },
            "notifications": { "resourcesListChanged": true, "resourceSubscriptions": ["note://1"] },
        })
    );
    let mut told = [next_event(&mut body).await, next_event(&mut body).await];
    told.sort_by_key(|event| event["method"].to_string());
    assert_eq!(told[0]["method"], "notifications/resources/list_changed");
    assert_eq!(told[1]["method"], "notifications/resources/updated");
}

#[tokio::test]
async fn a_listener_that_fell_behind_learns_that_anything_may_have_changed() {
    let server = DemoServer::new();
    let mut body = listen(&server, json!({ "resourceSubscriptions": ["note://3"] })).await;
    next_event(&mut body).await;
    for _ in 0..500 {
        server.notebook.write(Some(1), "again", "").unwrap();
    }
    assert_eq!(next_event(&mut body).await["params"]["uri"], "note://3");
}

#[tokio::test]
async fn a_stream_ends_with_a_result_when_the_server_goes_away() {
    let server = DemoServer::new();
    let mut body = listen(&server, json!({})).await;
    next_event(&mut body).await;
    drop(server);
    let last = next_event(&mut body).await;
    assert_eq!(last["id"], 1);
    assert_eq!(last["result"]["resultType"], "complete");
    assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    assert_eq!(next_piece(&mut body).await, None);
}

#[tokio::test]
async fn a_listener_that_goes_away_is_forgotten() {
    let server = DemoServer::new();
    let body = listen(&server, json!({})).await;
    assert_eq!(server.notebook.listeners(), 1);
    drop(body);
    assert_eq!(server.notebook.listeners(), 0);
}

#[tokio::test]
async fn there_are_bounds_to_listening() {
    let server = DemoServer::new();
    let uris: Vec<String> = (0..101).map(|id| format!("note://{id}")).collect();
    let many = server.modern("subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": uris } }));
    assert_eq!(many.await.code(), -32602);

    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(listen(&server, json!({})).await);
    }
    let one_more = server.modern("subscriptions/listen", json!({ "notifications": {} })).await;
    assert_eq!((one_more.status, one_more.code()), (StatusCode::SERVICE_UNAVAILABLE, -32603));
}

#[tokio::test]
async fn a_filter_is_required() {
    assert_eq!(DemoServer::new().modern("subscriptions/listen", json!({})).await.code(), -32602);
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_is_alive() {
    let server = DemoServer::new();
    let raw = serde_json::value::RawValue::from_string(r#"{"notifications":{}}"#.to_owned()).unwrap();
    let call = Call {
        era: Era::Modern,
        id: serde_json::from_str::<Id>("1").unwrap(),
        method: "subscriptions/listen".to_owned(),
        params: Params::read(Some(&raw)).unwrap_or_default(),
        notebook: server.notebook.clone(),
        visitor: None,
    };
    let Ok(response) = listen::open(call, Duration::from_millis(10)) else {
        panic!("the stream opens");
    };
    let mut body = response.into_body();
    next_event(&mut body).await;
    for _ in 0..2 {
        assert_eq!(next_piece(&mut body).await.unwrap(), ": still here\n\n");
    }
}

async fn listen(server: &DemoServer, filter: Value) -> Body {
    let response = server.modern_raw("subscriptions/listen", json!({ "notifications": filter })).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

async fn assert_quiet(body: &mut Body) {
    let more = timeout(Duration::from_millis(50), body.frame()).await;
    assert!(more.is_err(), "the stream should be quiet");
}
