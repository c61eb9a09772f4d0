//! What the client side of a proxy gets wrong when it is put together in the obvious way. `trap_5_…` is in `headers.rs`.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Answer, Gate, Gateway, Http2, Http2Upstream, Request, Route, Setup, Upstream, call, list_tools, pause, until,
};

fn request() -> Request {
    Request::post("/mcp", &call(1, "f", &json!({})))
}

#[tokio::test]
async fn trap_1_idle_connections_are_closed_before_common_servers_close_them() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).with_background().start().await;

    assert_eq!(gateway.ask(&request()).await.said(), "fine");
    assert_eq!(upstream.open(), 1, "it is kept for the next call");
    // uvicorn and Node close after five seconds.
    tokio::time::timeout(Duration::from_millis(5_500), async {
        while upstream.open() > 0 {
            pause(20).await;
        }
    })
    .await
    .expect("the gateway waits for the upstream to close");
    assert_eq!(gateway.ask(&request()).await.said(), "fine");
    assert_eq!((upstream.count(), upstream.accepted()), (2, 2));
}

#[tokio::test]
async fn trap_2_over_http_1_there_are_as_many_connections_as_calls() {
    const CALLS: usize = 16;
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| Answer::events().wait(&script).event(&request.says("open"))).await;
    let gateway = Gateway::before(&upstream).await;

    let mut streams = Vec::new();
    for _ in 0..CALLS {
        streams.push(gateway.client().await.start(&request()).await);
    }
    assert_eq!((upstream.count(), upstream.open()), (CALLS, CALLS));
    (0..CALLS).for_each(|_| gate.open());
    for stream in streams {
        assert_eq!(stream.rest().await.len(), 1);
    }
}

#[tokio::test]
async fn trap_2_over_http_2_there_is_one_connection() {
    const CALLS: usize = 8;
    let gate = Gate::new();
    let upstream = Http2Upstream::new(gate.clone()).await;
    let gateway = Gateway::with(Route::url(&upstream.url()).upstream("http2", true.into())).await;

    let mut clients = Vec::new();
    for _ in 0..CALLS {
        let mut client = gateway.client().await;
        client.send(&request()).await;
        clients.push(client);
    }
    until("all calls are under way at once", || upstream.count() == CALLS).await;
    assert_eq!(upstream.accepted(), 1);
    (0..CALLS).for_each(|_| gate.open());
    for mut client in clients {
        assert_eq!(client.reply().await.unwrap().said(), "over HTTP/2");
    }
}

#[tokio::test]
async fn an_http_2_upstream_that_does_not_answer_is_given_up() {
    let upstream = Http2Upstream::new(Gate::new()).await;
    let route = Route::url(&upstream.url()).upstream("http2", true.into()).clock("firstByte", 0.2);
    let reply = Gateway::with(route).await.ask(&request()).await;
    assert_eq!((reply.status, reply.reason().as_str()), (504, "upstream_timeout"));
    assert_eq!((reply.outcome(), upstream.count()), ("unknown".into(), 1));
}

#[tokio::test]
async fn trap_3_an_http_2_request_is_forwarded_over_http_1() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    let mut client = Http2::to(gateway.address).await;
    for _ in 0..3 {
        let request = client.post("/mcp", call(1, "f", &json!({})).to_string());
        assert_eq!(client.ask(request).await.said(), "fine");
    }
    let got = &upstream.requests()[0];
    assert!(got.head.starts_with("POST /mcp HTTP/1.1\r\n"), "{}", got.head);
    assert_eq!(got.header("host"), Some(upstream.address().to_string().as_str()));
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn trap_3_http_1_and_http_2_clients_get_the_same_errors() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream).limit("requestBytes", 100)).start().await;
    let mut client = Http2::to(gateway.address).await;
    let large = client.post("/mcp", call(1, &"x".repeat(200), &json!({})).to_string());
    let reply = client.ask(large).await;
    assert_eq!((reply.status, reply.reason().as_str()), (413, "body_too_large"));
    assert!(reply.all("connection").is_empty(), "HTTP/2 knows no such header");
    let small = client.post("/mcp", list_tools(1).to_string());
    assert_eq!(client.ask(small).await.status, 200, "the connection lives on");
}

#[tokio::test]
async fn trap_4_an_upstream_that_closes_just_before_the_next_call_loses_none() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    // It closes just before the next call comes; `once.rs` has the call that comes in the same moment.
    for round in 0..40 {
        assert_eq!(gateway.ask(&request()).await.said(), "fine", "round {round}");
        upstream.close_idle();
        until("the upstream has closed", || upstream.open() == 0).await;
    }
    assert_eq!(upstream.count(), 40);
}

#[tokio::test]
async fn an_early_413_leaves_nothing_behind_for_the_next_request() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream).limit("requestBytes", 1_000)).start().await;

    let hidden = String::from_utf8(request().bytes(gateway.address)).unwrap();
    let large = request().body(hidden.repeat(10));
    let mut client = gateway.client().await;
    let reply = client.ask(&large).await;
    assert_eq!((reply.status, reply.reason().as_str()), (413, "body_too_large"));
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(client.is_closed().await);
    assert_eq!(upstream.count(), 0, "a part of the body was taken for a request");
    assert_eq!(gateway.ask(&request()).await.said(), "fine");
}

#[tokio::test]
async fn a_client_that_announces_too_much_is_answered_before_it_sends_it() {
    let gateway = Setup::new().route("/mcp", Route::demo().limit("requestBytes", 1_000)).start().await;
    let announced = request().with("Content-Length", "1000000000");
    let reply = gateway.ask(&announced).await;
    assert_eq!((reply.status, reply.reason().as_str()), (413, "body_too_large"));
}
