use std::{future::poll_fn, sync::Arc};

use serde_json::json;

use super::*;
use crate::kit::{
    bench::{Bench, events, result, slow_stream, stream},
    policy::PolicyKind,
};

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn within(limit: f64) -> Bench {
    Bench::of::<Timeout>(&json!({ "seconds": limit }))
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_not_touched() {
    let bench = within(2.0).slow_upstream(seconds(1), |message| result(message, &json!({ "ok": true })));
    assert_eq!(
        bench.call("tools/call", json!({ "name": "x" })).send().await.message()["result"],
        json!({ "ok": true })
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_ends_with_its_own_id_and_without_a_promise() {
    let started = Instant::now();
    let bench = within(2.5).slow_upstream(seconds(60), |message| result(message, &json!({})));
    let outcome =
        bench.post(r#"{"jsonrpc":"2.0","id":"slow","method":"tools/call","params":{"name":"x"}}"#).send().await;
    assert_eq!(started.elapsed(), Duration::from_millis(2500));
    assert_eq!((outcome.status.as_u16(), outcome.reason()), (504, Some("timed_out")));
    assert_eq!(outcome.message()["id"], "slow");
    let error = &outcome.message()["error"];
    assert_eq!(error["message"], "The call took longer than the 2.5 s that this route allows.");
    assert_eq!(
        (&error["data"]["outcome"], &error["data"]["requestId"]),
        (&json!("unknown"), &json!("00000000000000000001"))
    );
    assert!(outcome.got_through());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_takes_too_long_ends_with_an_error_as_its_last_event() {
    let started = Instant::now();
    let bench =
        within(5.0).upstream(|_| slow_stream([(seconds(2), PROGRESS), (seconds(2), PROGRESS), (seconds(2), ANSWER)]));
    let outcome = bench.call("tools/call", json!({ "name": "x" })).send().await;
    assert_eq!((started.elapsed(), outcome.status.as_u16(), outcome.messages.len()), (seconds(5), 200, 3));
    assert_eq!((outcome.reason(), &outcome.message()["id"]), (Some("timed_out"), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_time_is_not_touched() {
    let bench = within(5.0).upstream(|_| slow_stream([(seconds(2), PROGRESS), (seconds(2), ANSWER)]));
    let outcome = bench.call("tools/call", json!({ "name": "x" })).send().await;
    assert_eq!((outcome.messages.len(), outcome.reason()), (2, None));
}

#[tokio::test(start_paused = true)]
async fn the_time_before_a_stream_begins_counts_too() {
    let bench = within(5.0).slow_upstream(seconds(4), |_| slow_stream([(seconds(2), ANSWER)]));
    let outcome = bench.call("tools/call", json!({ "name": "x" })).send().await;
    assert_eq!((outcome.messages.len(), outcome.reason()), (1, Some("timed_out")));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_the_answer_gets_no_error_after_it() {
    let bench = within(5.0).upstream(|_| slow_stream([(seconds(2), ANSWER), (seconds(60), PROGRESS)]));
    let outcome = bench.call("tools/call", json!({ "name": "x" })).send().await;
    assert_eq!((outcome.messages.len(), outcome.reason()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_ended_stays_ended() {
    let response = bounded(seconds(5), request(), chain(|| stream([PROGRESS]))).await;
    let Reply::Events(mut source) = response.into_body() else { panic!() };
    assert!(poll_fn(|context| source.poll_event(context)).await.is_some());
    assert!(poll_fn(|context| source.poll_event(context)).await.is_none());
    tokio::time::advance(seconds(10)).await;
    assert!(poll_fn(|context| source.poll_event(context)).await.is_none(), "an error after the end");
}

#[tokio::test(start_paused = true)]
async fn the_upstream_is_let_go_when_the_time_is_over() {
    struct Held(Arc<()>);
    impl EventSource for Held {
        fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<Option<Event>> {
            assert_eq!(Arc::strong_count(&self.0), 2);
            Poll::Pending
        }
    }
    let held = Arc::new(());
    let theirs = Arc::clone(&held);
    let theirs = std::sync::Mutex::new(Some(theirs));
    let bench = within(5.0).upstream(move |_| events(Held(theirs.lock().unwrap().take().unwrap())));
    let outcome = bench.call("tools/call", json!({ "name": "x" })).send().await;
    assert_eq!((outcome.reason(), Arc::strong_count(&held)), (Some("timed_out"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_notification_that_takes_too_long_has_no_id_to_answer_to() {
    let bench = within(1.0).slow_upstream(seconds(2), |message| result(message, &json!({})));
    let outcome = bench.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).send().await;
    assert_eq!((outcome.status.as_u16(), outcome.message().get("id")), (504, None));
}

#[test]
fn a_time_that_is_none_is_a_problem() {
    for wrong in [json!(-1), json!(1e300)] {
        let problems =
            PolicyKind::of::<Timeout>().layer(&json!({ "seconds": wrong }), &Host::default()).expect_err("a problem");
        assert_eq!((problems.len(), problems[0].at.as_str()), (1, "/seconds"), "{wrong}");
    }
}

fn request() -> Request {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
    let message = Message::read(text.into(), &crate::kit::json::Limits::MESSAGE).unwrap();
    Request::new(crate::kit::chain::Inbound::Message(message))
}

fn chain(upstream: impl Fn() -> Response + Send + Sync + 'static) -> RouteService {
    RouteService::from_fn(move |_| crate::kit::chain::answered(upstream()))
}
