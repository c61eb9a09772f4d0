//! Secrets in calls and in what comes back, through a running gateway.

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Gateway, Request, Route, Setup, Upstream, call};

/// What looks like a token of GitHub's. It is made up here, so that nobody takes this file for a leak.
fn token() -> String {
    ["ghp_", "aB3dE5gH7jK9mN2pQ4sT6vW8", "yZ1cF3hJ5lM7"].concat()
}

fn says(text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": text } })
}

async fn guarded(upstream: &Upstream, options: &Value) -> Gateway {
    Setup::new().route("/mcp", Route::to(upstream).policy("secret-guard", options)).start().await
}

#[tokio::test]
async fn a_stream_is_masked_event_by_event_and_counted_also_after_its_head_has_left() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| {
        Answer::events().event(&says(&token())).wait(&script).event(&request.says(&format!("it is {}", token())))
    })
    .await;
    let gateway = guarded(&upstream, &json!({})).await;
    let mut stream = gateway.client().await.start(&Request::post("/mcp", &call(7, "leak", &json!({})))).await;
    assert_eq!(stream.message().await, Some(says("[masked: github-token]")), "before the upstream says more");
    gate.open();
    let last = stream.message().await.unwrap();
    assert_eq!(last["result"]["content"][0]["text"], "it is [masked: github-token]");
    let metrics = gateway.ask(&Request::get("/metrics")).await;
    let wanted = r#"outcome="masked",policy="secret-guard",route="/mcp",rule="github-token""#;
    let line = metrics.text().lines().find(|line| line.contains(wanted)).map(str::to_owned);
    assert!(line.as_ref().is_some_and(|line| line.ends_with(" 2")), "{line:?}");
}

#[tokio::test]
async fn a_call_with_a_secret_never_leaves_and_its_refusal_and_the_log_do_not_repeat_it() {
    let upstream = Upstream::saying("hello").await;
    let gateway = guarded(&upstream, &json!({})).await;
    let reply = gateway.ask(&Request::post("/mcp", &call(1, "echo", &json!({ "text": token() })))).await;
    assert_eq!(reply.reason(), "secret_in_request");
    assert!(!reply.text().contains(&token()), "{}", reply.text());
    assert_eq!(upstream.count(), 0);
    let clean = gateway.ask(&Request::post("/mcp", &call(2, "echo", &json!({ "text": "ghp_" })))).await;
    assert_eq!(clean.said(), "hello");
    assert_eq!(upstream.count(), 1);
}
