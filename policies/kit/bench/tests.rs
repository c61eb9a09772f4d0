use http::Method;

use super::*;
use crate::{
    kit::{chain::gate, host::Caller},
    rate_limit::RateLimit,
    set_headers::SetHeaders,
};

#[tokio::test]
async fn the_policy_sees_what_the_test_gives_and_nothing_else() {
    let bench = Bench::with(gate(|request| {
        let (caller, arrival) = (request.extensions().get::<Caller>(), request.extensions().get::<Arrival>());
        let seen = format!(
            "{:?} {:?} {}",
            caller.map(|caller| &caller.subject),
            arrival.map(|arrival| arrival.client),
            request.headers().len()
        );
        Err(Refusal::new(Reason::Internal, seen))
    }));
    let said = |outcome: Outcome| outcome.message()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(said(bench.call("ping", json!({})).send().await), "None Some(127.0.0.1) 0");
    let given =
        bench.call("ping", json!({})).fact(Caller::new("ada")).client("192.0.2.7").header("x", "1").header("x", "2");
    assert_eq!(said(given.send().await), "Some(\"ada\") Some(192.0.2.7) 2");
    assert_eq!(said(bench.call("ping", json!({})).without::<Arrival>().send().await), "None None 0");
}

#[tokio::test]
async fn what_reached_the_upstream_is_shown_with_its_headers() {
    let bench = Bench::of::<SetHeaders>(&json!({ "headers": [{ "name": "x-key", "value": "k" }] }));
    let outcome = bench.call("tools/call", json!({ "name": "echo" })).header("x-client", "c").send().await;
    let [reached] = &outcome.reached[..] else { panic!("{:?}", outcome.reached) };
    assert_eq!(reached.message.tool(), Some("echo"));
    assert_eq!(
        (&reached.headers["x-client"], &reached.own_headers["x-key"]),
        (&"c".parse().unwrap(), &"k".parse().unwrap())
    );
    assert_eq!(*outcome.message(), json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
}

#[tokio::test]
async fn the_upstream_answers_as_scripted() {
    let bench =
        Bench::with(gate(|_| Ok(()))).upstream(|message| match message.method().map(ToString::to_string).as_deref() {
            Some("tools/list") => result(message, &json!({ "tools": [] })),
            Some("tools/call") => stream([
                r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            ]),
            _ => body(Bytes::new()),
        });
    let list = bench.call("tools/list", json!({})).send().await;
    assert_eq!((list.streamed, &list.message()["result"]), (false, &json!({ "tools": [] })));
    let call = bench.call("tools/call", json!({ "name": "x" })).send().await;
    assert_eq!((call.streamed, call.messages.len(), call.header("content-type")), (true, 2, Some("text/event-stream")));
    assert!(call.body.starts_with(b"event: message\ndata: {"));
    let other = bench.call("ping", json!({})).method(Method::POST).send().await;
    assert!(other.messages.is_empty() && other.reason().is_none());
}

#[tokio::test]
async fn a_notification_is_accepted_without_an_answer() {
    let outcome =
        Bench::with(gate(|_| Ok(()))).post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).send().await;
    assert_eq!((outcome.status, outcome.got_through(), outcome.messages.len()), (StatusCode::ACCEPTED, true, 0));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_may_take_its_time() {
    let started = tokio::time::Instant::now();
    let messages = || {
        [
            (Duration::from_secs(1), r#"{"jsonrpc":"2.0","method":"a"}"#),
            (Duration::from_secs(2), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        ]
    };
    let bench = Bench::with(gate(|_| Ok(()))).slow_upstream(Duration::from_secs(5), move |_| slow_stream(messages()));
    assert_eq!(bench.call("ping", json!({})).send().await.messages.len(), 2);
    assert_eq!(started.elapsed().as_secs(), 8);
}

#[test]
#[should_panic(expected = "rate-limit does not take these options")]
fn options_that_are_wrong_are_said_to_be() {
    let _ = Bench::of::<RateLimit>(&json!({ "rateLimitBy": "nobody" }));
}

#[test]
#[should_panic(expected = "not a message")]
fn a_message_that_the_gateway_would_not_read_is_said_to_be() {
    let _ = Bench::with(gate(|_| Ok(()))).post("[]");
}
