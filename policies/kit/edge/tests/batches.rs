//! Batches of 2025-03-26, where a route takes them.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::kit::{
    bench::{body, result, slow_stream, stream},
    reply::{EventLimits, EventReader},
};

/// A route that takes batches, in front of an upstream with these answers.
fn splitting(upstream: impl Fn(&Message) -> Response + Clone + Send + Sync + 'static) -> Edge {
    behind(&gate(|_| Ok(())), upstream)
}

fn behind(layer: &RouteLayer, upstream: impl Fn(&Message) -> Response + Clone + Send + Sync + 'static) -> Edge {
    let end = RouteService::from_fn(move |request| {
        let upstream = upstream.clone();
        Box::pin(async move {
            sleep(Duration::from_millis(10)).await;
            Ok(match request.body() {
                Inbound::Refused(refusal) => refuse(&request, refusal.clone()),
                Inbound::Message(message) => upstream(message),
            })
        })
    });
    Edge::new(layer.layer(end), EdgeLimits { batches: Batches::Split, ..EdgeLimits::default() })
}

fn echo(message: &Message) -> Response {
    result(message, &json!({ "tool": message.tool() }))
}

fn call(id: u32, tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool } })
}

fn notification() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } })
}

struct Answered {
    status: u16,
    head: HeaderMap,
    /// A JSON body, or the messages of the events.
    body: Value,
}

async fn ask(edge: &Edge, text: &str) -> Answered {
    send(edge, post(super::text(text))).await
}

async fn send(edge: &Edge, request: http::Request<Full<Bytes>>) -> Answered {
    let Handled { response, .. } = edge.handle(request).await;
    let (head, reply) = response.into_parts();
    let streamed = matches!(reply, Reply::Events(_));
    let bytes = reply.collect().await.unwrap().to_bytes();
    let body = if streamed { messages(bytes).into() } else { serde_json::from_slice(&bytes).unwrap_or_default() };
    Answered { status: head.status.as_u16(), head: head.headers, body }
}

fn messages(bytes: Bytes) -> Vec<Value> {
    let mut reader = EventReader::new(EventLimits { event: usize::MAX, line: usize::MAX });
    reader.push(bytes);
    let events = std::iter::from_fn(|| reader.next_event().unwrap());
    events.map(|event| serde_json::from_slice(event.data().unwrap()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn tr_07_each_message_of_a_batch_is_a_request_of_its_own_and_the_answers_are_one() {
    let counted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&counted);
    let layer = gate(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let edge = behind(&layer, echo);
    let batch = json!([call(1, "a"), notification(), call(2, "b")]);
    let answered = ask(&edge, &batch.to_string()).await;
    assert_eq!((answered.status, counted.load(Ordering::SeqCst)), (200, 3));
    assert_eq!(answered.head["content-type"], "application/json");
    let result = |id: u32, tool: &str| json!({ "jsonrpc": "2.0", "id": id, "result": { "tool": tool } });
    assert_eq!(answered.body, json!([result(1, "a"), result(2, "b")]));
}

#[tokio::test(start_paused = true)]
async fn tr_07_fault_answers_that_are_too_large_together_are_not_held_until_all_are_there() {
    let edge = splitting(|message| result(message, &json!({ "text": "x".repeat(400_000) })));
    let batch: Vec<_> = (0..32).map(|id| call(id, "a")).collect();
    let answered = ask(&edge, &json!(batch[..2]).to_string()).await;
    assert_eq!((&answered.head["content-type"], answered.body.as_array().unwrap().len()), (&json_type(), 2));
    let response = edge.handle(post(super::text(&json!(batch).to_string()))).await.response;
    let (head, reply) = response.into_parts();
    assert_eq!((head.status.as_u16(), &head.headers["content-type"]), (200, &events_type()));
    assert!(matches!(reply, Reply::Events(_)));
    let mut ids: Vec<_> =
        messages(reply.collect().await.unwrap().to_bytes()).iter().map(|one| one["id"].clone()).collect();
    ids.sort_by_key(Value::as_u64);
    assert_eq!(ids, (0..32).map(Value::from).collect::<Vec<_>>());
}

fn json_type() -> HeaderValue {
    HeaderValue::from_static("application/json")
}

fn events_type() -> HeaderValue {
    HeaderValue::from_static("text/event-stream")
}

#[tokio::test(start_paused = true)]
async fn tr_07_the_chain_judges_each_message_of_a_batch() {
    let layer = gate(|request| match request.body().message().and_then(Message::tool) {
        Some("hidden") => Err(Reason::NotExposed.into()),
        _ => Ok(()),
    });
    let executed: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&executed);
    let edge = behind(&layer, move |message: &Message| {
        log.lock().unwrap().push(message.tool().unwrap_or_default().to_owned());
        echo(message)
    });
    let answered = ask(&edge, &json!([call(1, "a"), call(2, "hidden"), call(3, "b")]).to_string()).await;
    assert_eq!(answered.body[1]["error"]["data"]["reason"], "not_exposed");
    assert_eq!((&answered.body[1]["id"], &answered.body[2]["result"]["tool"]), (&json!(2), &json!("b")));
    assert_eq!(*executed.lock().unwrap(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn tr_07_what_is_no_message_gets_an_error_in_its_place() {
    let edge = splitting(echo);
    let nameless = json!({ "jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": {} });
    let batch = json!([1, call(1, "a"), {}, nameless, [call(2, "b")], { "jsonrpc": "2.0", "method": "tools/call" }]);
    let answered = ask(&edge, &batch.to_string()).await;
    let found: Vec<_> =
        answered.body.as_array().unwrap().iter().map(|one| (&one["id"], &one["error"]["code"])).collect();
    let (null, of) = (Value::Null, |code: i32| Value::from(code));
    let (invalid, params) = (of(-32600), of(-32602));
    assert_eq!(
        found,
        [
            (&null, &invalid),
            (&json!(1), &null),
            (&null, &invalid),
            (&json!("x"), &params),
            (&null, &invalid),
            (&null, &invalid)
        ]
    );
    assert!(answered.body.as_array().unwrap().iter().all(|one| one.get("id").is_some()));
}

#[tokio::test(start_paused = true)]
async fn tr_07_a_batch_that_must_not_be_is_refused_and_nothing_of_it_is_run() {
    let edge = splitting(|_| panic!("nothing of it may be run"));
    let one = call(1, "a").to_string();
    let many = format!("[{}]", vec![one.clone(); 33].join(","));
    for (batch, reason) in [
        ("[]".to_owned(), "not_a_message"),
        (" [ ] ".to_owned(), "not_a_message"),
        (format!(r#"[{one},{{"jsonrpc":"2.0","id":2,"method":"initialize","params":{{}}}}]"#), "batch_not_supported"),
        (many, "message_too_complex"),
        (format!("[{one},"), "malformed_json"),
        (format!("[{one}]x"), "malformed_json"),
        (format!("[{one}{one}]"), "malformed_json"),
        (format!(r#"[{one},{{"jsonrpc":"2.0","id":2,"id":3,"method":"ping"}}]"#), "ambiguous_json"),
        (format!(r#"[{one},"\ud800"]"#), "ambiguous_json"),
        (format!("[{one},{}]", "[".repeat(100) + &"]".repeat(100)), "message_too_complex"),
    ] {
        let answered = ask(&edge, &batch).await;
        assert_eq!(answered.body["error"]["data"]["reason"], reason, "{batch}");
        assert_eq!(answered.status, 400, "{batch}");
    }
    let mut request = post(super::text(&format!("[{one}]")));
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        request.headers_mut().insert("mcp-protocol-version", HeaderValue::from_static(version));
        let refused = send(&edge, request.clone()).await;
        assert_eq!(refused.body["error"]["data"]["reason"], "batch_not_supported", "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn tr_07_a_message_of_2026_07_28_is_run_in_no_batch() {
    let modern = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"b","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let answered = ask(&splitting(echo), &format!("[{},{modern}]", call(1, "a"))).await;
    assert_eq!(answered.body[0]["result"]["tool"], "a");
    assert_eq!((&answered.body[1]["id"], &answered.body[1]["error"]["code"]), (&json!(2), &json!(-32020)));
}

#[tokio::test(start_paused = true)]
async fn tr_07_tr_23_a_batch_that_asks_nothing_is_accepted_without_a_body() {
    let edge = splitting(echo);
    let response = json!({ "jsonrpc": "2.0", "id": 5, "result": {} });
    let answered = ask(&edge, &json!([notification(), response]).to_string()).await;
    assert_eq!((answered.status, answered.body), (202, Value::Null));
    assert!(!answered.head.contains_key("content-type"));
}

#[tokio::test(start_paused = true)]
async fn tr_07_the_answers_to_a_batch_become_one_stream_as_soon_as_one_of_them_streams() {
    let edge = splitting(|message: &Message| match message.tool() {
        Some("slow") => {
            let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {} }).to_string();
            let last = json!({ "jsonrpc": "2.0", "id": 2, "result": {} }).to_string();
            slow_stream([(Duration::from_secs(1), progress), (Duration::from_secs(1), last)])
        }
        Some("quick") => stream([format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, message.id().unwrap())]),
        _ => echo(message),
    });
    let batch = json!([call(1, "a"), call(2, "slow"), notification(), call(3, "quick"), call(4, "b")]);
    let answered = ask(&edge, &batch.to_string()).await;
    assert_eq!(
        (answered.status, &answered.head["content-type"]),
        (200, &HeaderValue::from_static("text/event-stream"))
    );
    let messages = answered.body.as_array().unwrap();
    let mut ids: Vec<_> = messages.iter().filter_map(|message| message["id"].as_u64()).collect();
    assert_eq!(messages.last().unwrap()["id"], 2, "the slow one keeps nobody waiting: {messages:?}");
    ids.sort_unstable();
    assert_eq!((ids, messages.len()), (vec![1, 2, 3, 4], 5));
}

#[tokio::test(start_paused = true)]
async fn tr_07_of_a_batch_a_few_run_at_once() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let layer = crate::kit::chain::around(move |request, inner| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            peak.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            let Ok(response) = inner.run(request).await;
            now.fetch_sub(1, Ordering::SeqCst);
            response
        }
    });
    let batch: Vec<_> = (1..=32).map(|id| call(id, "a")).collect();
    let answered = ask(&behind(&layer, echo), &json!(batch).to_string()).await;
    let ids: Vec<_> = answered.body.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=32).collect::<Vec<_>>(), "in the order of the questions");
    assert_eq!((most.load(Ordering::SeqCst), open.load(Ordering::SeqCst)), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn tr_07_whoever_has_not_signed_in_learns_that_first_also_of_a_batch() {
    let edge = behind(&sign_in(), |_| body("{}"));
    for batch in ["[]".to_owned(), json!([call(1, "a"), 1, notification()]).to_string()] {
        let answered = ask(&edge, &batch).await;
        assert_eq!((answered.status, &answered.head["www-authenticate"]), (401, &HeaderValue::from_static("Bearer")));
    }
}
