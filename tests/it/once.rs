//! A call is sent at most once, and the caller is told what is known of its effect.

use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Answer, Dice, Gateway, Reply, Request, Route, Setup, Upstream, call, notification, pause, until};

fn is_refused(reply: &Reply, status: u16, reason: &str) {
    assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{reply:?}");
    assert_eq!(reply.json()["id"], 1);
}

#[tokio::test]
async fn fault_upstream_dies_before_headers() {
    for answer in [Answer::hang_up(), Answer::raw("").then_reset()] {
        let upstream = Upstream::new(move |_| answer.clone()).await;
        let gateway = Gateway::before(&upstream).await;

        let reply = gateway.call("pay").await;
        is_refused(&reply, 502, "upstream_closed");
        assert_eq!(reply.outcome(), "unknown");
        pause(50).await;
        assert_eq!(upstream.count(), 1, "a call that may have had its effect was sent again");
    }
}

#[tokio::test]
async fn fault_upstream_dies_before_headers_on_a_connection_that_was_good_before() {
    for ending in [Answer::hang_up(), Answer::raw("").then_reset()] {
        let upstream = Upstream::new(move |request| match request.number {
            0 => Answer::json(&request.says("fine")),
            _ => ending.clone(),
        })
        .await;
        let gateway = Gateway::before(&upstream).await;

        assert_eq!(gateway.call("pay").await.said(), "fine");
        let reply = gateway.call("pay").await;
        is_refused(&reply, 502, "upstream_closed");
        assert_eq!(reply.outcome(), "unknown");
        pause(50).await;
        assert_eq!((upstream.count(), upstream.accepted()), (2, 1));
    }
}

#[tokio::test]
async fn an_idle_connection_that_the_upstream_has_closed_costs_nobody_a_call() {
    const ROUNDS: usize = 50;
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;

    for round in 1..=ROUNDS {
        assert_eq!(gateway.call("pay").await.said(), "fine");
        assert_eq!(upstream.count(), round);
        upstream.close_idle();
        until("the upstream has closed", || upstream.open() == 0).await;
    }
    assert_eq!(upstream.accepted(), ROUNDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tr_21_an_idle_connection_that_closes_at_the_worst_moment_never_doubles_a_call() {
    const ROUNDS: u64 = 200;
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    let mut dice = Dice::new(41);

    let mut client = gateway.client().await;
    for round in 0..ROUNDS {
        let message = call(round, "pay", &json!({}));
        let request = Request::post("/mcp", &message);
        client.send(&request).await;
        tokio::time::sleep(std::time::Duration::from_micros(dice.below(400))).await;
        upstream.close_idle();
        let reply = client.reply().await.unwrap();
        let runs = upstream.requests().iter().filter(|request| request.message()["id"] == round).count();
        if reply.status == 200 {
            assert_eq!((reply.said().as_str(), runs), ("fine", 1));
        } else {
            assert_eq!((reply.status, reply.json()["id"].clone()), (502, round.into()));
            match reply.reason().as_str() {
                "upstream_closed" => assert!(reply.outcome() == "unknown" && runs <= 1, "{runs}: {reply:?}"),
                // Nothing was sent, so nothing may have run.
                "upstream_unreachable" => assert_eq!(runs, 0),
                other => panic!("{other}"),
            }
        }
    }
}

#[tokio::test]
async fn fault_upstream_refuses() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Gateway::with(Route::url(&format!("http://{nobody}/mcp"))).await;

    let reply = gateway.call("pay").await;
    is_refused(&reply, 502, "upstream_unreachable");
    assert_eq!(reply.outcome(), Value::Null, "nothing was sent, and the error says so");
}

#[tokio::test]
async fn fault_upstream_blackholes() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    // Nobody accepts, so after a few connections the system answers no more.
    for _ in 0..8 {
        waiting.push(tokio::spawn(TcpStream::connect(address)));
    }
    pause(50).await;
    let gateway = Gateway::with(Route::url(&format!("http://{address}/mcp")).clock("connect", 0.2)).await;

    is_refused(&gateway.call("pay").await, 504, "upstream_connect_timeout");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_given_up_and_let_go() {
    let upstream = Upstream::new(|_| Answer::never()).await;
    for (calls, clock) in [(1, "firstByte"), (2, "total")] {
        let gateway = Gateway::with(Route::to(&upstream).clock(clock, 0.2)).await;
        let reply = gateway.call("pay").await;
        is_refused(&reply, 504, "upstream_timeout");
        assert_eq!(reply.outcome(), "unknown");
        until("the connection is closed", || upstream.open() == 0).await;
        assert_eq!(upstream.count(), calls);
    }
}

#[tokio::test]
async fn fault_upstream_trickles_json_and_stops() {
    let upstream =
        Upstream::new(|request| Answer::json(&request.says("it goes on and on")).cut_after(150).then_silence()).await;
    let gateway = Gateway::with(Route::to(&upstream).clock("idleJson", 0.2)).await;

    let reply = gateway.call("pay").await;
    is_refused(&reply, 504, "upstream_timeout");
    assert_eq!((reply.outcome(), upstream.count()), ("unknown".into(), 1));
    until("the connection is closed", || upstream.open() == 0).await;
}

#[tokio::test]
async fn fault_upstream_trickles_json_without_end() {
    let upstream = Upstream::new(|_| {
        let answer = Answer::status(200).header("Content-Type", "application/json").write("{").chunked();
        (0..1_000).fold(answer, |answer, _| answer.pause(10).write(" "))
    })
    .await;
    let gateway = Gateway::with(Route::to(&upstream).clock("total", 0.3)).await;

    let reply = gateway.call("pay").await;
    is_refused(&reply, 504, "upstream_timeout");
    assert_eq!((reply.outcome(), upstream.count()), ("unknown".into(), 1));
    until("the connection is closed", || upstream.open() == 0).await;
}

#[tokio::test]
async fn fault_upstream_sends_endless_json() {
    let upstream = Upstream::new(|_| {
        let answer = Answer::status(200).header("Content-Type", "application/json").write("[");
        answer.forever(vec![b' '; 4 << 10]).chunked()
    })
    .await;
    let gateway = Gateway::with(Route::to(&upstream).limit("responseBytes", 64 << 10)).await;

    let reply = gateway.call("pay").await;
    is_refused(&reply, 502, "upstream_too_large");
    assert_eq!((reply.outcome(), upstream.count()), ("unknown".into(), 1));
    until("the connection is closed", || upstream.open() == 0).await;
    assert!(upstream.written() < 16 << 20, "{} bytes were taken", upstream.written());
}

#[tokio::test]
async fn fault_endless_answers_do_not_fill_the_memory() {
    let upstream = Upstream::new(|request| {
        let answer = if request.number % 2 == 0 {
            Answer::events()
        } else {
            Answer::body(200, "application/json", "[").chunked()
        };
        answer.write("data: ").forever(vec![b'x'; 16 << 10])
    })
    .await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).spawn();
    for _ in 0..10 {
        assert_eq!(gateway.post(&call(1, "f", &json!({}))).await.reason(), "upstream_too_large");
    }
    let before = gateway.resident_bytes();
    for _ in 0..40 {
        assert_eq!(gateway.post(&call(1, "f", &json!({}))).await.reason(), "upstream_too_large");
    }
    let grown = gateway.resident_bytes().saturating_sub(before);
    // One answer may be 8 MiB; while it grows it is there twice, and the allocator keeps that for each thread for a while.
    // Forty answers that were not given back would be 320 MiB.
    assert!(grown < 96 << 20, "{grown} bytes more than before");
}

#[tokio::test]
async fn an_answer_that_announces_too_much_is_not_even_read() {
    let upstream = Upstream::new(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n{")
            .then_silence()
    })
    .await;
    let gateway = Gateway::before(&upstream).await;

    is_refused(&gateway.call("pay").await, 502, "upstream_too_large");
    until("the connection is closed", || upstream.open() == 0).await;
}

/// The error that ends a stream.
async fn last_event(gateway: &Gateway) -> Reply {
    let reply = gateway.call("pay").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(reply.messages().last().unwrap()["id"], 1);
    assert_eq!(reply.outcome(), "unknown");
    reply
}

#[tokio::test]
async fn fault_upstream_sends_an_endless_event_or_line() {
    for (key, piece) in [("eventBytes", "data: 0123456789\n"), ("eventLineBytes", "0123456789")] {
        let upstream = Upstream::new(move |_| Answer::events().write("data: ").forever(piece.repeat(100))).await;
        let route = Route::to(&upstream).limit("eventBytes", 64 << 10).limit("eventLineBytes", 32 << 10);
        let gateway = Gateway::with(route).await;

        let reply = last_event(&gateway).await;
        assert_eq!(reply.reason(), "upstream_too_large");
        assert!(reply.text().contains(key), "{}", reply.text());
        until("the connection is closed", || upstream.open() == 0).await;
        assert!(upstream.written() < 16 << 20, "{} bytes were taken", upstream.written());
    }
}

#[tokio::test]
async fn a_stream_that_has_fallen_silent_ends_with_an_error() {
    let upstream = Upstream::new(|_| Answer::events().write(": hello\n\n").then_silence()).await;
    let gateway = Gateway::with(Route::to(&upstream).clock("idleEvents", 0.2)).await;

    assert_eq!(last_event(&gateway).await.reason(), "upstream_timeout");
    until("the connection is closed", || upstream.open() == 0).await;
}

#[tokio::test]
async fn a_stream_may_be_long_but_not_longer_than_the_route_allows() {
    let upstream =
        Upstream::new(|_| (0..1_000).fold(Answer::events(), |answer, _| answer.pause(10).write(": alive\n\n"))).await;
    let gateway = Gateway::with(Route::to(&upstream).clock("total", 0.3)).await;

    let reply = last_event(&gateway).await;
    assert_eq!(reply.reason(), "upstream_timeout");
    assert!(reply.text().contains("clocks.total"));
    until("the connection is closed", || upstream.open() == 0).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_upstream_back() {
    let upstream = Upstream::new(|_| Answer::events().forever(": much ado about nothing\n\n".repeat(200))).await;
    let gateway = Gateway::before(&upstream).await;

    let lazy = gateway.client().await.start(&Request::post("/mcp", &call(1, "f", &json!({})))).await;
    let mut taken = 0;
    while upstream.written() > taken {
        taken = upstream.written();
        assert!(taken < 64 << 20, "{taken} bytes were taken for a client that reads none");
        pause(300).await;
    }
    lazy.hang_up();
    until("the upstream is let go", || upstream.open() == 0).await;
}

#[tokio::test]
async fn tr_21_a_notification_that_gets_no_answer_is_not_sent_again_either() {
    let upstream = Upstream::new(|_| Answer::hang_up()).await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).start().await;

    let reply = gateway.post(&notification("notifications/initialized")).await;
    assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream_closed"));
    assert_eq!((reply.json().get("id"), upstream.count()), (None, 1));
}
