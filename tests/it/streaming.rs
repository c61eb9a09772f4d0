//! Answers that come in pieces arrive in pieces.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Gate, Gateway, Http2, Request, Route, Setup, Upstream, call, pause, soon, until};

fn count() -> Request {
    Request::post("/mcp", &call(7, "count", &json!({})))
}

fn progress(step: u64) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "t", "progress": step } })
}

#[tokio::test]
async fn tr_15_an_event_reaches_the_client_before_the_upstream_sends_the_next() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| {
        let mut answer = Answer::events();
        for step in 1..=3 {
            answer = answer.wait(&script).event(&progress(step));
        }
        answer.wait(&script).event(&request.says("three"))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;

    let mut stream = gateway.client().await.start(&count()).await;
    for step in 1..=3 {
        gate.open();
        assert_eq!(stream.message().await.unwrap(), progress(step));
    }
    gate.open();
    assert_eq!(stream.message().await.unwrap()["result"]["content"][0]["text"], "three");
    assert_eq!(stream.message().await, None);
}

#[tokio::test]
async fn tr_15_the_head_of_a_stream_comes_before_its_first_event() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| Answer::events().wait(&script).event(&request.says("at last"))).await;
    let gateway = Gateway::before(&upstream).await;

    let mut stream = gateway.client().await.start(&count()).await;
    assert_eq!(stream.head.status, 200);
    assert_eq!(stream.head.header("content-type"), Some("text/event-stream"));
    gate.open();
    assert_eq!(stream.message().await.unwrap()["id"], 7);
}

#[tokio::test]
async fn nothing_on_the_way_may_hold_a_stream_back_or_keep_it() {
    let upstream = Upstream::new(|request| {
        Answer::events().header("Cache-Control", "public").header("X-Accel-Buffering", "yes").event(&request.says("x"))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;

    let stream = gateway.client().await.start(&count()).await;
    assert_eq!(stream.head.header("x-accel-buffering"), Some("no"));
    assert_eq!(stream.head.header("cache-control"), Some("no-store, no-transform"));
}

#[tokio::test]
async fn a_burst_of_events_arrives_complete_and_in_order() {
    const MANY: u64 = 2_000;
    let upstream = Upstream::new(|request| {
        let burst: Vec<_> = (1..=MANY).map(|step| format!("data: {}\n\n", progress(step))).collect();
        Answer::events().write(burst.concat()).event(&request.says("all"))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;

    let messages = gateway.ask(&count()).await.messages();
    let steps: Vec<_> = messages.iter().filter_map(|message| message["params"]["progress"].as_u64()).collect();
    assert_eq!(steps, (1..=MANY).collect::<Vec<_>>());
    assert_eq!(messages.last().unwrap()["id"], 7);
}

#[tokio::test]
async fn events_may_be_cut_anywhere_on_the_wire() {
    let upstream = Upstream::new(|request| {
        let text = format!("event: message\r\ndata: {}\r\n\r\ndata: {}\r\n\r\n", progress(1), request.says("ümläut"));
        text.into_bytes().chunks(1).fold(Answer::events(), |answer, byte| answer.write(byte))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;

    let reply = gateway.ask(&count()).await;
    // A blank line is complete with its CR; the LF of the last one means nothing to anybody.
    let text = reply.text().trim_end().replace("\r\n", "\n");
    let said = upstream.only_request().says("ümläut");
    assert_eq!(text, format!("event: message\ndata: {}\n\ndata: {said}", progress(1)));
}

#[tokio::test]
async fn comments_pass() {
    let upstream =
        Upstream::new(|request| Answer::events().write(": still here\n\n").event(&request.says("done"))).await;
    let gateway = Gateway::before(&upstream).await;

    let mut stream = gateway.client().await.start(&count()).await;
    assert_eq!(stream.event().await.unwrap(), ": still here");
    assert_eq!(stream.message().await.unwrap()["id"], 7);
}

#[tokio::test]
async fn tr_15_a_silent_stream_is_kept_alive_with_comments() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| Answer::events().wait(&script).event(&request.says("done"))).await;
    let gateway = Gateway::with(Route::to(&upstream).clock("keepAlive", 0.05)).await;

    let mut stream = gateway.client().await.start(&count()).await;
    for _ in 0..3 {
        assert_eq!(stream.event().await.unwrap(), ": keep-alive");
    }
    gate.open();
    assert_eq!(stream.message().await.unwrap()["id"], 7);
}

#[tokio::test]
async fn tr_20_a_client_that_goes_away_while_it_waits_ends_the_upstream_s_work() {
    let upstream = Upstream::new(|_| Answer::never()).await;
    let gateway = Gateway::before(&upstream).await;

    let mut client = gateway.client().await;
    client.send(&count()).await;
    until("the call arrives", || upstream.count() == 1).await;
    drop(client);
    is_dropped_within_a_second(&upstream).await;
}

#[tokio::test]
async fn tr_20_a_client_that_goes_away_in_the_middle_ends_the_upstream_s_work() {
    let upstream = Upstream::new(|_| Answer::events().event(&progress(1)).then_silence()).await;
    let gateway = Gateway::before(&upstream).await;

    let mut polite = gateway.client().await.start(&count()).await;
    assert_eq!(polite.message().await.unwrap(), progress(1));
    polite.hang_up();
    is_dropped_within_a_second(&upstream).await;

    let mut killed = gateway.client().await.start(&count()).await;
    assert_eq!(killed.message().await.unwrap(), progress(1));
    killed.reset();
    is_dropped_within_a_second(&upstream).await;
}

#[tokio::test]
async fn tr_20_a_client_that_goes_away_from_a_json_answer_ends_the_upstream_s_work() {
    let upstream =
        Upstream::new(|request| Answer::json(&request.says("never whole")).cut_after(100).then_silence()).await;
    let gateway = Gateway::before(&upstream).await;

    let mut client = gateway.client().await;
    client.send(&count()).await;
    until("the call arrives", || upstream.count() == 1).await;
    pause(50).await;
    drop(client);
    is_dropped_within_a_second(&upstream).await;
}

async fn is_dropped_within_a_second(upstream: &Upstream) {
    let gone = tokio::time::timeout(std::time::Duration::from_secs(1), async {
        while upstream.open() > 0 {
            pause(3).await;
        }
    });
    assert!(gone.await.is_ok(), "the upstream still works for nobody");
}

#[tokio::test]
async fn sixty_four_streams_run_at_once_and_none_sees_another_s_events() {
    const STREAMS: u64 = 64;
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| {
        let own = request.message()["params"]["arguments"]["own"].as_u64().unwrap();
        Answer::events().event(&progress(own)).wait(&script).event(&progress(own)).event(&request.says("end"))
    })
    .await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).start().await;

    let mut streams = Vec::new();
    for own in 1..=STREAMS {
        let request = Request::post("/mcp", &call(0, "count", &json!({ "own": own })));
        streams.push((own, Client::to(gateway.address).await.start(&request).await));
    }
    for (own, stream) in &mut streams {
        assert_eq!(stream.message().await.unwrap(), progress(*own));
    }
    assert_eq!(upstream.open(), usize::try_from(STREAMS).unwrap());
    (0..STREAMS).for_each(|_| gate.open());
    for (own, stream) in streams {
        let rest = stream.rest().await;
        assert_eq!(rest[0], progress(own));
        assert_eq!(rest[1]["id"], 0);
        assert_eq!(rest.len(), 2);
    }
}

#[tokio::test]
async fn tr_15_and_tr_20_hold_over_http_2_as_well() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream =
        Upstream::new(move |_| Answer::events().event(&progress(1)).wait(&script).event(&progress(2)).then_silence())
            .await;
    let gateway = Gateway::before(&upstream).await;

    let mut client = Http2::to(gateway.address).await;
    let request = client.post("/mcp", call(7, "count", &json!({})).to_string());
    let mut body = client.start(request).await.unwrap().into_body();
    for step in 1..=2 {
        let frame = soon("an event", body.frame()).await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, format!("event: message\ndata: {}\n\n", progress(step)));
        gate.open();
    }
    // One stream ends, its connection lives on.
    drop(body);
    is_dropped_within_a_second(&upstream).await;
    let health = client.post("/healthz", "");
    assert_eq!(client.ask(health).await.status, 405);
}
