//! Calls find their way to the upstream warm, and the metrics say why they did not.

use super::counts;
use crate::harness::{Answer, Gate, Gateway, Http2Upstream, Request, Route, Upstream, call, pause, until};

#[tokio::test]
async fn a_call_uses_the_connection_of_the_one_before() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(gateway.upstream_connections().await, counts([]));
    for _ in 0..5 {
        assert_eq!(gateway.call("pay").await.said(), "fine");
    }
    assert_eq!(gateway.upstream_connections().await, counts([("first", 1), ("reused", 4)]));
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_nobody_used_for_long_is_opened_again_for_that_reason() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    gateway.call("pay").await;
    pause(4_100).await;
    gateway.call("pay").await;
    assert_eq!(gateway.upstream_connections().await, counts([("first", 1), ("idle", 1)]));
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn fault_an_upstream_that_hangs_up_is_the_reason_of_the_next_connection() {
    let upstream = Upstream::new(|request| match request.number {
        0 => Answer::json(&request.says("fine")),
        1 => Answer::hang_up(),
        2 => Answer::json(&request.says("for the last time")).header("Connection", "close").then_close(),
        _ => Answer::json(&request.says("fine again")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    // At rest, instead of an answer, after an answer.
    gateway.call("pay").await;
    upstream.close_idle();
    until("the upstream has closed", || upstream.open() == 0).await;
    assert_eq!(gateway.call("pay").await.status, 502);
    assert_eq!(gateway.call("pay").await.said(), "for the last time");
    assert_eq!(gateway.call("pay").await.said(), "fine again");
    assert_eq!(gateway.upstream_connections().await, counts([("first", 1), ("error", 3)]));
    assert_eq!((upstream.accepted(), upstream.count()), (4, 4));
}

#[tokio::test]
async fn fault_a_call_that_its_client_gave_up_takes_its_connection_along() {
    let upstream = Upstream::new(|request| match request.number {
        0 => Answer::events().event(&request.says("too late")).then_silence(),
        _ => Answer::json(&request.says("fine")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let stream = gateway.client().await.start(&Request::post("/mcp", &call(1, "pay", &serde_json::json!({})))).await;
    stream.hang_up();
    until("the upstream hears of it", || upstream.open() == 0).await;
    assert_eq!(gateway.call("pay").await.said(), "fine");
    assert_eq!(gateway.upstream_connections().await, counts([("first", 1), ("cancelled", 1)]));
}

#[tokio::test]
async fn calls_at_the_same_time_have_connections_of_their_own_because_the_others_are_busy() {
    const CALLS: usize = 3;
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| Answer::json(&request.says("fine")).behind(&script)).await;
    let gateway = Gateway::before(&upstream).await;
    for _ in 0..2 {
        let begun = upstream.count();
        let mut clients = Vec::new();
        for _ in 0..CALLS {
            let mut client = gateway.client().await;
            client.send(&Request::post("/mcp", &call(1, "pay", &serde_json::json!({})))).await;
            clients.push(client);
        }
        until("all are under way", || upstream.count() == begun + CALLS).await;
        (0..CALLS).for_each(|_| gate.open());
        for client in &mut clients {
            assert_eq!(client.reply().await.unwrap().said(), "fine");
        }
    }
    assert_eq!(
        gateway.upstream_connections().await,
        counts([("first", 1), ("busy", CALLS as u64 - 1), ("reused", CALLS as u64)])
    );
}

#[tokio::test]
async fn over_http_2_all_calls_but_the_first_find_the_connection() {
    let gate = Gate::new();
    let upstream = Http2Upstream::new(gate.clone()).await;
    let gateway = Gateway::with(Route::url(&upstream.url()).upstream("http2", true.into())).await;
    for _ in 0..3 {
        gate.open();
        assert_eq!(gateway.call("pay").await.said(), "over HTTP/2");
    }
    assert_eq!(gateway.upstream_connections().await, counts([("first", 1), ("reused", 2)]));
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn an_upstream_that_nobody_can_reach_is_no_connection() {
    let upstream = Upstream::saying("fine").await;
    let url = upstream.url();
    drop(upstream);
    let gateway = Gateway::with(Route::url(&url)).await;
    assert_eq!(gateway.call("pay").await.reason(), "upstream_unreachable");
    assert_eq!(gateway.upstream_connections().await, counts([]));
}
