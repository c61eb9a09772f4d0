//! How much of everything.

use serde_json::json;

use crate::harness::{
    Answer, Client, Gate, Gateway, Http2, Request, Route, Setup, Upstream, call, list_tools, pause, soon, until,
};

fn request() -> Request {
    Request::post("/mcp", &list_tools(1))
}

#[tokio::test]
async fn tr_10_headers_have_a_size() {
    let gateway = Gateway::with(Route::demo()).await;
    assert_eq!(gateway.ask(&request().header("X-Large", &"x".repeat(15 << 10))).await.status, 200);
    let reply = gateway.ask(&request().header("X-Large", &"x".repeat(17 << 10))).await;
    assert_eq!((reply.status, reply.reason().as_str()), (431, "headers_too_large"));
    assert_eq!(gateway.ask(&request().header("X-Huge", &"x".repeat(500 << 10))).await.status, 431);
}

#[tokio::test]
async fn tr_10_headers_have_a_number() {
    let gateway = Gateway::with(Route::demo()).await;
    // Host, Content-Type, Accept and Content-Length are four.
    let with = |more: usize| (0..more).fold(request(), |request, n| request.header(&format!("X-{n}"), "x"));
    assert_eq!(gateway.ask(&with(60)).await.status, 200);
    assert_eq!(gateway.ask(&with(61)).await.status, 431);
}

#[tokio::test]
async fn limits_on_headers_are_set_in_the_configuration() {
    let setup = Setup::new().route("/mcp", Route::demo());
    let gateway = setup.listener_limit("headerBytes", 400).listener_limit("headers", 8).start().await;
    assert_eq!(gateway.ask(&request()).await.status, 200);
    assert_eq!(gateway.ask(&request().header("X", &"x".repeat(400))).await.status, 431);
    let many = (0..5).fold(request(), |request, n| request.header(&format!("X-{n}"), "x"));
    assert_eq!(gateway.ask(&many).await.status, 431);
}

#[tokio::test]
async fn slow_headers_are_cut() {
    let gateway = Setup::new().route("/mcp", Route::demo()).listener_limit("headerSeconds", 1).start().await;
    let mut slow = gateway.client().await;
    slow.write(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n").await;
    let mut silent = gateway.client().await;
    let mut undecided = gateway.client().await;
    undecided.write(b"PRI * HTTP").await;
    for client in [&mut slow, &mut silent, &mut undecided] {
        if let Ok(reply) = client.reply().await {
            assert_eq!(reply.status, 408);
        }
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn a_request_has_a_size_on_each_route() {
    let small = Route::demo().limit("requestBytes", 200);
    let gateway = Setup::new().route("/mcp", small).route("/large", Route::demo()).start().await;
    let large = call(1, "echo", &json!({ "text": "x".repeat(300) }));
    let reply = gateway.post(&large).await;
    assert_eq!((reply.status, reply.reason().as_str()), (413, "body_too_large"));
    assert!(reply.text().contains("200"), "it says how much there may be: {}", reply.text());
    assert_eq!(gateway.ask(&Request::post("/large", &large)).await.status, 200);
}

#[tokio::test]
async fn a_request_in_chunks_has_a_size_too() {
    let gateway = Gateway::with(Route::demo().limit("requestBytes", 1_000)).await;
    let head = request().body("").without("Content-Length").header("Transfer-Encoding", "chunked");
    let mut client = gateway.client().await;
    client.send(&head).await;
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    for _ in 0..20 {
        // The gateway closes as soon as it is too much.
        if client.try_write(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let reply = client.reply().await.unwrap();
    assert_eq!((reply.status, reply.reason().as_str()), (413, "body_too_large"));
}

#[tokio::test]
async fn a_message_has_a_shape_on_each_route() {
    let narrow = Route::demo().limit("depth", 5).limit("keys", 8).limit("stringBytes", 50);
    let gateway = Setup::new().route("/mcp", narrow).route("/wide", Route::demo()).start().await;
    let keys: serde_json::Map<_, _> = (0..9).map(|n| (format!("k{n}"), 1.into())).collect();
    for arguments in [json!({ "a": { "a": { "a": { "a": 1 } } } }), json!({ "a": "x".repeat(51) }), keys.into()] {
        let message = call(1, "echo", &arguments);
        let reply = gateway.post(&message).await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "message_too_complex"), "{arguments}");
        assert_eq!(gateway.ask(&Request::post("/wide", &message)).await.status, 200, "{arguments}");
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_cut() {
    let gateway = Gateway::with(Route::demo().limit("requestBytesPerSecond", 1_000_000)).await;
    let mut client = gateway.client().await;
    client.send(&request().body("").with("Content-Length", "1000")).await;
    client.write(b"{\"jsonrpc\"").await;
    let reply = client.reply().await.unwrap();
    assert_eq!((reply.status, reply.reason().as_str()), (408, "body_too_slow"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn one_connection_too_many_is_503_and_the_next_one_is_welcome() {
    let gateway = Setup::new().route("/mcp", Route::demo()).listener_limit("connections", 3).start().await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = gateway.client().await;
        assert_eq!(client.ask(&request()).await.status, 200);
        held.push(client);
    }
    let mut refused = gateway.client().await;
    let reply = refused.reply().await.unwrap();
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert!(refused.is_closed().await);

    held.pop();
    soon("there is room again", async {
        loop {
            let mut client = gateway.client().await;
            if client.try_write(&request().bytes(gateway.address)).await.is_ok()
                && client.reply().await.is_ok_and(|reply| reply.status == 200)
            {
                break;
            }
            pause(5).await;
        }
    })
    .await;
}

#[tokio::test]
async fn streams_of_one_http_2_connection_have_a_number() {
    const STREAMS: usize = 3;
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| Answer::events().wait(&script).event(&request.says("open"))).await;
    let setup = Setup::new().route("/mcp", Route::to(&upstream)).listener_limit("http2Streams", STREAMS as u64);
    let gateway = setup.start().await;

    let mut client = Http2::to(gateway.address).await;
    let warm_up = client.post("/nowhere", "");
    client.ask(warm_up).await;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let request = client.post("/mcp", list_tools(1).to_string());
        open.push(client.start(request).await.unwrap());
    }
    let one_more = client.post("/mcp", list_tools(1).to_string());
    let waiting = tokio::spawn(async move { client.ask(one_more).await.status });
    pause(100).await;
    assert_eq!(upstream.count(), STREAMS, "one stream too many was opened");
    (0..=STREAMS).for_each(|_| gate.open());
    drop(open);
    assert_eq!(soon("the waiting stream gets its turn", waiting).await.unwrap(), 200);
}

#[tokio::test]
async fn fault_1000_clients_that_go_away_leave_nothing_behind() {
    const CLIENTS: u64 = 1_000;
    let upstream = Upstream::new(|request| match request.number % 3 {
        0 => Answer::never(),
        1 => Answer::events().write(": hello\n\n").then_silence(),
        _ => Answer::json(&request.says("fine")),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let bytes = request().bytes(gateway.address);
    let mut dice = crate::harness::Dice::new(7);

    for number in 0..CLIENTS {
        let mut client = Client::to(gateway.address).await;
        let cut = if number % 4 == 0 { usize::try_from(dice.below(bytes.len() as u64)).unwrap() } else { bytes.len() };
        client.write(&bytes[..cut]).await;
        tokio::time::sleep(std::time::Duration::from_micros(dice.below(500))).await;
        if number % 2 == 0 { client.reset() } else { drop(client) }
    }
    // What stays open at the upstream is at rest in the pool.
    until("the gateway forgets them", || {
        upstream.close_idle();
        upstream.open() == 0
    })
    .await;
    let metrics = gateway.ask(&Request::get("/metrics")).await;
    let open = metrics.text().lines().find(|line| line.starts_with("portcullis_connections")).unwrap().to_owned();
    assert!(open.ends_with(" 1"), "only ours is open: {open}");
}
