//! Subscriptions of 2026-07-28: streams that are meant to last.

use serde_json::{Value, json};

use super::alone;
use crate::harness::{Answer, Gateway, Request, Route, Upstream, pause, until};

fn subscribe() -> Request {
    alone("2026-07-28", "subscriptions/listen")
}

fn acknowledged() -> Value {
    let about = json!({ "io.modelcontextprotocol/subscriptionId": 7 });
    let params = json!({ "_meta": about, "notifications": { "toolsListChanged": true } });
    json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params })
}

#[tokio::test]
async fn tr_15_a_subscription_outlasts_the_clocks_of_calls_and_is_kept_alive() {
    let upstream = Upstream::new(|_| Answer::events().event(&acknowledged()).then_silence()).await;
    let route = Route::to(&upstream).clock("total", 0.15).clock("idleEvents", 0.15).clock("keepAlive", 0.05);
    let gateway = Gateway::with(route).await;
    let mut stream = gateway.client().await.start(&subscribe()).await;
    assert_eq!(stream.message().await.unwrap(), acknowledged());
    for _ in 0..8 {
        assert_eq!(stream.event().await.unwrap(), ": keep-alive");
    }
    assert_eq!(upstream.open(), 1);
}

#[tokio::test]
async fn tr_15_at_the_end_of_its_clock_a_subscription_ends_in_peace() {
    let upstream = Upstream::new(|_| Answer::events().event(&acknowledged()).then_silence()).await;
    let gateway = Gateway::with(Route::to(&upstream).clock("listen", 0.2)).await;
    let messages = gateway.ask(&subscribe()).await.messages();
    let about = json!({ "io.modelcontextprotocol/subscriptionId": 7 });
    let ended = json!({ "jsonrpc": "2.0", "id": 7, "result": { "resultType": "complete", "_meta": about } });
    assert_eq!(messages, [acknowledged(), ended]);
    until("the upstream is let go", || upstream.open() == 0).await;
}

#[tokio::test]
async fn tr_15_fault_a_subscription_that_the_upstream_breaks_off_ends_with_an_error() {
    let upstream = Upstream::new(|_| Answer::events().event(&acknowledged()).then_reset()).await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(gateway.ask(&subscribe()).await.reason(), "upstream_truncated");
    assert_eq!(upstream.count(), 1, "it is for the client to subscribe again");
}

#[tokio::test]
async fn tr_20_a_client_that_leaves_its_subscription_ends_it_at_the_upstream() {
    let upstream = Upstream::new(|_| Answer::events().event(&acknowledged()).then_silence()).await;
    let gateway = Gateway::before(&upstream).await;
    let mut stream = gateway.client().await.start(&subscribe()).await;
    assert_eq!(stream.message().await.unwrap(), acknowledged());
    stream.hang_up();
    until("the upstream is let go", || upstream.open() == 0).await;
    pause(20).await;
    assert_eq!(upstream.count(), 1, "closing the stream is the cancellation");
}
