//! Stopping loses no call that can still end.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::{
    Answer, Answering, Gate, Http2, Process, Request, Route, Setup, Upstream, call, list_tools, soon, until,
};

/// A gateway with a call under way that ends when the gate opens.
async fn busy(gate: &Gate, drain_seconds: u64) -> (Upstream, Process, Answering) {
    let script = gate.clone();
    let upstream = Upstream::new(move |request| {
        Answer::events().write(": began\n\n").wait(&script).event(&request.says("the end"))
    })
    .await;
    let setup = Setup::new().route("/mcp", Route::to(&upstream)).gateway("drainSeconds", drain_seconds.into());
    let gateway = setup.spawn();
    let request = Request::post("/mcp", &call(1, "f", &json!({})));
    let mut stream = gateway.client().await.start(&request).await;
    assert_eq!(stream.event().await.as_deref(), Some(": began"));
    (upstream, gateway, stream)
}

#[tokio::test]
async fn fault_sigterm_under_load_loses_no_call() {
    let gate = Gate::new();
    let (_upstream, mut gateway, mut stream) = busy(&gate, 30).await;
    let address = gateway.address().await;
    gateway.signal("TERM");
    gateway.says("stopping").await;

    until_refused(address).await;
    assert!(!gateway.has_ended(), "a call is still under way");
    gate.open();
    assert_eq!(stream.message().await.unwrap()["result"]["content"][0]["text"], "the end");
    assert_eq!(stream.message().await, None);
    let (status, written) = gateway.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(written.iter().any(|line| line.contains("stopped")), "{written:?}");
}

async fn until_refused(address: std::net::SocketAddr) {
    soon("new connections are refused", async { while TcpStream::connect(address).await.is_ok() {} }).await;
}

#[tokio::test]
async fn readiness_ends_first_on_a_connection_that_is_open() {
    let gate = Gate::new();
    let (_upstream, gateway, stream) = busy(&gate, 30).await;
    let address = gateway.address().await;
    // Over HTTP/1 resting connections are closed at once; a stream of HTTP/2 keeps its connection, and may be asked on.
    let mut probe = Http2::to(address).await;
    let ready = |probe: &Http2| {
        let mut request = probe.post("/readyz", "");
        *request.method_mut() = http::Method::GET;
        request
    };
    let request = ready(&probe);
    assert_eq!(probe.ask(request).await.status, 200);
    let held = probe.post("/mcp", list_tools(2).to_string());
    let held = probe.start(held).await.unwrap();

    gateway.signal("TERM");
    gateway.says("stopping").await;
    let request = ready(&probe);
    match probe.start(request).await {
        Ok(answer) => assert_eq!(answer.status(), 503),
        Err(error) => assert!(!error.is_timeout(), "told to go elsewhere: {error}"),
    }
    drop(held);
    drop(probe);
    gate.open();
    gate.open();
    assert_eq!(stream.rest().await.len(), 1);
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn resting_connections_do_not_hold_the_gateway_up() {
    let gateway = Setup::new().route("/mcp", Route::demo()).spawn();
    let mut resting = gateway.client().await;
    assert_eq!(resting.ask(&Request::post("/mcp", &list_tools(1))).await.status, 200);
    let mut silent = gateway.client().await;
    gateway.signal("INT");
    assert_eq!(gateway.ended().await.0.code(), Some(0));
    assert!(resting.is_closed().await && silent.is_closed().await);
}

#[tokio::test]
async fn fault_a_second_sigterm_ends_everything_at_once() {
    let gate = Gate::new();
    let (upstream, gateway, _stream) = busy(&gate, 30).await;
    gateway.signal("TERM");
    gateway.says("stopping").await;
    gateway.signal("TERM");
    let (status, _) = gateway.ended().await;
    assert!(status.code() == Some(130) || status.signal().is_some(), "{status:?}");
    until("the upstream is let go", || upstream.open() == 0).await;
}

#[tokio::test]
async fn calls_get_so_many_seconds_to_end_and_no_more() {
    let gate = Gate::new();
    let (upstream, gateway, _stream) = busy(&gate, 1).await;
    gateway.signal("TERM");
    let (status, written) = gateway.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(written.iter().any(|line| line.contains("still in flight")), "{written:?}");
    until("the upstream is let go", || upstream.open() == 0).await;
}

#[tokio::test]
async fn inside_this_process_a_stop_drains_as_well() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream =
        Upstream::new(move |request| Answer::events().write(": began\n\n").wait(&script).event(&request.says("x")))
            .await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).start().await;
    let mut stream = gateway.client().await.start(&Request::post("/mcp", &list_tools(1))).await;
    assert_eq!(stream.event().await.as_deref(), Some(": began"));
    gateway.stop();
    until_refused(gateway.address).await;
    gate.open();
    assert_eq!(stream.rest().await.len(), 1);
    gateway.ended().await;
}
