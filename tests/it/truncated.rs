//! What breaks off is never shown as success, wherever it breaks off.

use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, Received, Reply, Request, Upstream, call};

const ID: u64 = 7;

/// Two KiB of answer, whichever way it travels.
fn says(request: &Received) -> Value {
    request.says(&"all is well, ".repeat(140))
}

fn progress() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } })
}

fn json(request: &Received) -> Answer {
    Answer::json(&says(request))
}

fn chunked_json(request: &Received) -> Answer {
    let text = says(request).to_string();
    let pieces = text.as_bytes().chunks(500);
    pieces
        .fold(Answer::status(200).header("Content-Type", "application/json"), |answer, piece| answer.write(piece))
        .chunked()
}

fn chunked_events(request: &Received) -> Answer {
    Answer::events().event(&progress()).event(&says(request))
}

/// Dies after each number of bytes in turn, and looks at what the client was shown. The answer counts as whole once
/// these bytes of it have come.
async fn dies_after_each_byte(answer: fn(&Received) -> Answer, whole: impl Fn(&[u8]) -> usize) {
    let upstream = Upstream::new(move |request| {
        let cut = request.message()["params"]["arguments"]["cut"].as_u64().unwrap();
        answer(request).cut_after(usize::try_from(cut).unwrap())
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let example = Received { number: 0, head: String::new(), body: call(ID, "f", &json!({})).to_string().into() };
    let wire = answer(&example).bytes();
    let whole = whole(&wire);
    assert!(wire.len() > 1_900, "the answer has only {} bytes", wire.len());

    let mut client = gateway.client().await;
    for cut in 0..=wire.len() {
        client.send(&Request::post("/mcp", &call(ID, "f", &json!({ "cut": cut })))).await;
        match client.reply().await {
            Ok(reply) if cut >= whole => {
                assert!(reply.messages().pop().unwrap()["result"].is_object(), "{cut}: {reply:?}");
            }
            Ok(reply) => is_a_failure(&reply, cut),
            Err(broken) => {
                assert!(cut < whole, "{cut}: a whole answer did not arrive: {broken:?}");
                client = gateway.client().await;
            }
        }
        assert_eq!(upstream.count(), cut + 1, "sent more than once");
    }
}

fn is_a_failure(reply: &Reply, cut: usize) {
    let messages = reply.messages();
    assert!(messages.iter().all(|message| message.get("result").is_none()), "{cut}: {reply:?}");
    let error = messages.last().unwrap();
    assert_eq!(error["id"], ID, "{cut}: {reply:?}");
    assert_eq!(error["error"]["data"]["outcome"], "unknown", "{cut}: {reply:?}");
    let events = reply.header("content-type") == Some("text/event-stream");
    assert_eq!(reply.status, if events { 200 } else { 502 }, "{cut}: {reply:?}");
}

fn everything(wire: &[u8]) -> usize {
    wire.len()
}

/// An event is whole with its blank line, whatever comes after it.
fn last_blank_line(wire: &[u8]) -> usize {
    wire.windows(4).rposition(|window| window == b"}\n\n\r").map_or(wire.len(), |at| at + 3)
}

#[tokio::test]
async fn fault_upstream_dies_mid_json_with_a_length() {
    dies_after_each_byte(json, everything).await;
}

#[tokio::test]
async fn fault_upstream_dies_mid_json_in_chunks() {
    dies_after_each_byte(chunked_json, everything).await;
}

#[tokio::test]
async fn fault_upstream_dies_mid_json_that_ends_with_the_connection() {
    dies_after_each_byte(|request| json(request).until_close(), everything).await;
}

#[tokio::test]
async fn fault_upstream_dies_mid_json_whose_transfer_encoding_says_nothing_of_its_end() {
    dies_after_each_byte(|request| json(request).header("Transfer-Encoding", "identity").until_close(), everything)
        .await;
}

#[tokio::test]
async fn fault_upstream_dies_mid_sse_in_chunks() {
    dies_after_each_byte(chunked_events, last_blank_line).await;
}

#[tokio::test]
async fn fault_upstream_dies_mid_sse_that_ends_with_the_connection() {
    dies_after_each_byte(|request| chunked_events(request).until_close(), everything).await;
}

#[tokio::test]
async fn fault_upstream_resets_mid_answer() {
    for answer in [json, chunked_json, chunked_events] {
        let upstream = Upstream::new(move |request| answer(request).cut_after(1_000).then_reset()).await;
        let gateway = Gateway::before(&upstream).await;
        is_a_failure(&gateway.post(&call(ID, "f", &json!({}))).await, 1_000);
        assert_eq!(upstream.count(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_the_answer_ends_with_an_error() {
    let upstream = Upstream::new(|_| Answer::events().event(&progress())).await;
    let gateway = Gateway::before(&upstream).await;

    let reply = gateway.post(&call(ID, "f", &json!({}))).await;
    is_a_failure(&reply, 0);
    assert_eq!(reply.reason(), "upstream_truncated");
    assert_eq!(reply.messages()[0], progress());
}

#[tokio::test]
async fn a_stream_that_breaks_off_after_the_answer_needs_no_error() {
    let upstream = Upstream::new(|request| {
        let answer = Answer::events().event(&request.says("done")).write("data: {\"jsonrpc\"");
        let length = answer.bytes().len();
        answer.cut_after(length - 5)
    })
    .await;
    let gateway = Gateway::before(&upstream).await;

    let reply = gateway.post(&call(ID, "f", &json!({}))).await;
    assert_eq!(reply.messages().len(), 1);
    assert_eq!(reply.said(), "done");
}
