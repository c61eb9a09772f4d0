use std::sync::Arc;

use governor::clock::FakeRelativeClock;
use serde_json::{Value, json};

use super::*;
use crate::kit::{
    bench::{Bench, Call, Outcome},
    chain::Arrival,
    host::{Caller, Identity},
    policy::PolicyKind,
};

/// A limit whose time stands still until a test moves it on.
struct Timed {
    bench: Bench,
    clock: FakeRelativeClock,
}

fn timed(options: Value) -> Timed {
    let clock = FakeRelativeClock::default();
    let options = serde_json::from_value(options).unwrap();
    let limits = Arc::new(Limits::new(options, &Host::default(), clock.clone()).unwrap());
    Timed { bench: Bench::with(gate(move |request| limits.count(request))), clock }
}

impl Timed {
    fn call(&self) -> Call<'_> {
        self.tool("echo")
    }

    fn tool(&self, name: &str) -> Call<'_> {
        self.bench.call("tools/call", json!({ "name": name }))
    }

    fn wait(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
    }
}

async fn passes(call: Call<'_>) -> bool {
    let outcome = call.send().await;
    assert_eq!(outcome.got_through(), outcome.reason().is_none());
    assert!(outcome.got_through() || outcome.reason() == Some("rate_limited"), "{:?}", outcome.reason());
    outcome.got_through()
}

fn five_a_minute(by: impl Into<Value>) -> Value {
    let by: Value = by.into();
    json!({ "rateLimitBy": by, "requestsAllowed": 5, "timeWindowMinutes": 1 })
}

#[tokio::test]
async fn as_many_calls_as_allowed_may_be_made_at_once_and_not_one_more() {
    let limit = timed(five_a_minute("all"));
    for n in 0..5 {
        assert!(passes(limit.call()).await, "call {n}");
    }
    assert!(!passes(limit.call()).await);
}

#[tokio::test]
async fn calls_come_back_one_by_one() {
    let limit = timed(five_a_minute("all"));
    for _ in 0..5 {
        assert!(passes(limit.call()).await);
    }
    limit.wait(11.9);
    assert!(!passes(limit.call()).await);
    limit.wait(0.2);
    assert!(passes(limit.call()).await);
    assert!(!passes(limit.call()).await);
    limit.wait(600.0);
    for n in 0..5 {
        assert!(passes(limit.call()).await, "call {n} after a long time");
    }
    assert!(!passes(limit.call()).await, "calls do not pile up");
}

#[tokio::test]
async fn a_refused_call_costs_nothing() {
    let limit = timed(five_a_minute("all"));
    for _ in 0..5 {
        passes(limit.call()).await;
    }
    for _ in 0..100 {
        assert!(!passes(limit.call()).await);
    }
    limit.wait(12.1);
    assert!(passes(limit.call()).await);
}

#[tokio::test]
async fn a_refusal_tells_people_programs_and_agents_when_to_come_back() {
    let limit = timed(five_a_minute("all"));
    for _ in 0..5 {
        passes(limit.call()).await;
    }
    limit.wait(1.5);
    let outcome = limit.call().send().await;
    assert_eq!((outcome.status.as_u16(), outcome.header("retry-after")), (429, Some("11")));
    let error = &outcome.message()["error"];
    assert_eq!((&outcome.message()["id"], &error["code"]), (&json!(1), &json!(-32600)));
    assert_eq!(error["message"], "Too many calls: this route allows 5 per minute.");
    assert_eq!(error["data"]["remedy"], "Wait 11 s before the next call. Do not try again sooner.");
    assert_eq!(error["data"]["retryAfterSeconds"], 11);
}

#[tokio::test]
async fn whoever_waits_as_told_gets_through() {
    let limit =
        timed(json!({ "rateLimitBy": "all", "requestsAllowed": 7, "timeWindowMinutes": 1, "weights": { "big": 3 } }));
    for _ in 0..200 {
        let outcome = limit.tool("big").send().await;
        if let Some(wait) = outcome.header("retry-after") {
            limit.wait(wait.parse().unwrap());
            assert!(passes(limit.tool("big")).await);
        }
    }
}

#[tokio::test]
async fn a_refusal_may_keep_the_time_to_itself() {
    let limit =
        timed(json!({ "rateLimitBy": "all", "requestsAllowed": 1, "timeWindowMinutes": 2.5, "headerMode": "none" }));
    passes(limit.call()).await;
    let outcome = limit.call().send().await;
    assert_eq!((outcome.status.as_u16(), outcome.header("retry-after")), (429, None));
    assert_eq!(outcome.message()["error"]["data"].get("retryAfterSeconds"), None);
    assert_eq!(outcome.message()["error"]["message"], "Too many calls: this route allows 1 per 2.5 minutes.");
}

#[tokio::test]
async fn lists_handshakes_and_notifications_are_not_counted() {
    let limit = timed(json!({ "rateLimitBy": "all", "requestsAllowed": 1, "timeWindowMinutes": 1 }));
    for _ in 0..10 {
        for method in ["tools/list", "initialize", "ping", "server/discover", "resources/list"] {
            assert!(passes(limit.bench.call(method, json!({}))).await, "{method}");
        }
        assert!(passes(limit.bench.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)).await);
        assert!(passes(limit.bench.post(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)).await);
    }
    assert_eq!(limit.bench.refused(Reason::BatchNotSupported).send().await.reason(), Some("batch_not_supported"));
    assert!(passes(limit.call()).await);
    assert!(!passes(limit.call()).await);
    assert!(passes(limit.bench.call("tools/list", json!({}))).await);
}

#[tokio::test]
async fn other_methods_can_be_counted_instead() {
    let limit = timed(
        json!({ "rateLimitBy": "all", "requestsAllowed": 1, "timeWindowMinutes": 1, "methods": ["resources/read"] }),
    );
    let read = || limit.bench.call("resources/read", json!({ "uri": "a://b" }));
    assert!(passes(limit.call()).await && passes(limit.call()).await);
    assert!(passes(read()).await);
    assert!(!passes(read()).await);
}

#[tokio::test]
async fn a_heavy_call_costs_its_weight() {
    let limit = timed(
        json!({ "rateLimitBy": "all", "requestsAllowed": 10, "timeWindowMinutes": 1, "weights": { "search_*": 4, "dump": 10 } }),
    );
    assert!(passes(limit.tool("search_web")).await);
    assert!(passes(limit.tool("search_files")).await);
    assert!(!passes(limit.tool("search_more")).await, "2 are left");
    assert!(passes(limit.tool("echo")).await && passes(limit.tool("echo")).await);
    assert!(!passes(limit.tool("echo")).await);
    limit.wait(60.0);
    assert!(passes(limit.tool("dump")).await);
    assert!(!passes(limit.tool("echo")).await);
}

#[tokio::test]
async fn what_is_said_of_one_tool_goes_before_what_is_said_of_many() {
    let limit = timed(
        json!({ "rateLimitBy": "all", "requestsAllowed": 10, "timeWindowMinutes": 1, "weights": { "search_*": 9, "search_fast": 1 } }),
    );
    for _ in 0..10 {
        assert!(passes(limit.tool("search_fast")).await);
    }
    assert!(!passes(limit.tool("search_fast")).await);
}

#[tokio::test]
async fn everybody_has_a_count_of_their_own() {
    type Sent = fn(Call<'_>) -> Call<'_>;
    let cases: [(Value, Sent, Sent); 4] = [
        (json!("user"), |call| call.fact(Caller::new("ada")), |call| call.fact(Caller::new("bob"))),
        (json!("ip"), |call| call.client("192.0.2.1"), |call| call.client("2001:db8::1")),
        (json!({ "header": "X-Team" }), |call| call.header("x-team", "red"), |call| call.header("x-team", "blue")),
        (json!({ "claim": "org" }), |call| call.fact(caller("ada", "red")), |call| call.fact(caller("ada", "blue"))),
    ];
    for (by, one, other) in cases {
        let limit = timed(json!({ "rateLimitBy": by, "requestsAllowed": 1, "timeWindowMinutes": 1 }));
        assert!(passes(one(limit.call())).await, "{by}");
        assert!(!passes(one(limit.call())).await, "{by}");
        assert!(passes(other(limit.call())).await, "{by}: the other one pays for the first");
        assert!(!passes(other(limit.call())).await, "{by}");
    }
}

fn caller(subject: &str, org: &str) -> Caller {
    let claims = [("org".to_owned(), org.into())].into_iter().collect();
    Identity { subject: subject.into(), claims, ..Identity::default() }.into()
}

#[tokio::test]
async fn tools_and_routes_can_be_counted_apart() {
    let limit = timed(json!({ "rateLimitBy": ["tool", "route"], "requestsAllowed": 1, "timeWindowMinutes": 1 }));
    let elsewhere = Arrival {
        route: "/other".into(),
        upstream: "demo".into(),
        upstream_key: "demo".into(),
        client: [127, 0, 0, 1].into(),
        request_id: crate::kit::chain::RequestId::new(0, 2),
    };
    for tool in ["a", "b"] {
        assert!(passes(limit.tool(tool)).await);
        assert!(!passes(limit.tool(tool)).await);
        assert!(passes(limit.tool(tool).fact(elsewhere.clone())).await);
    }
}

#[tokio::test]
async fn a_list_of_keys_counts_each_combination() {
    let limit = timed(json!({ "rateLimitBy": ["user", "tool"], "requestsAllowed": 1, "timeWindowMinutes": 1 }));
    for user in ["ada", "bob"] {
        for tool in ["a", "b"] {
            assert!(passes(limit.tool(tool).fact(Caller::new(user))).await, "{user} {tool}");
        }
    }
    assert!(!passes(limit.tool("a").fact(Caller::new("ada"))).await);
}

#[tokio::test]
async fn sec_two_values_of_a_header_are_not_one_of_them() {
    let limit = timed(json!({ "rateLimitBy": { "header": "x" }, "requestsAllowed": 1, "timeWindowMinutes": 1 }));
    assert!(passes(limit.call().header("x", "ab")).await);
    assert!(passes(limit.call().header("x", "a").header("x", "b")).await);
    assert!(passes(limit.call()).await, "none at all is a key too");
    assert!(!passes(limit.call()).await);
}

#[tokio::test]
async fn sec_a_caller_who_cannot_be_told_apart_is_not_let_through() {
    for (by, call) in [("user", None), ("ip", Some(())), ("route", Some(()))] {
        let limit = timed(five_a_minute(by));
        let call = match call {
            None => limit.call(),
            Some(()) => limit.call().without::<Arrival>(),
        };
        let outcome: Outcome = call.send().await;
        assert_eq!(
            (outcome.status.as_u16(), outcome.reason(), outcome.got_through()),
            (500, Some("internal"), false),
            "{by}"
        );
    }
}

#[tokio::test]
async fn a_named_policy_has_one_count_whichever_routes_use_it() {
    let layer = PolicyKind::of::<RateLimit>().layer(&five_a_minute("all"), &Host::default()).unwrap();
    let routes = [Bench::with(layer.clone()), Bench::with(layer)];
    for n in 0..5 {
        assert!(passes(routes[n % 2].call("tools/call", json!({ "name": "x" }))).await, "{n}");
    }
    for route in &routes {
        assert!(!passes(route.call("tools/call", json!({ "name": "x" }))).await);
    }
}

#[tokio::test]
async fn counts_that_are_full_again_are_forgotten() {
    let clock = FakeRelativeClock::default();
    let options = json!({ "rateLimitBy": { "header": "x" }, "requestsAllowed": 1, "timeWindowMinutes": 1 });
    let limits =
        Arc::new(Limits::new(serde_json::from_value(options).unwrap(), &Host::default(), clock.clone()).unwrap());
    let counting = Arc::clone(&limits);
    let bench = Bench::with(gate(move |request| counting.count(request)));
    for n in 0..Limits::<FakeRelativeClock>::SWEEP - 1 {
        assert!(passes(bench.call("tools/call", json!({ "name": "x" })).header("x", &n.to_string())).await);
    }
    let before = limits.limiter.len();
    clock.advance(Duration::from_mins(2));
    assert!(passes(bench.call("tools/call", json!({ "name": "x" })).header("x", "last")).await);
    assert!(before > 8000 && limits.limiter.len() < 10, "{before} {}", limits.limiter.len());
    assert_eq!(format!("{limits:?}"), format!("Limits {{ keys: {}, .. }}", limits.limiter.len()));
}

#[test]
fn options_that_cannot_work_are_all_reported() {
    let problems = |options: Value| {
        let problems = PolicyKind::of::<RateLimit>().layer(&options, &Host::default()).expect_err(&options.to_string());
        problems.into_iter().map(|problem| problem.at).collect::<Vec<_>>()
    };
    let with = |key: &str, value: Value| {
        let mut options = five_a_minute("all");
        options[key] = value;
        options
    };
    assert_eq!(problems(with("weights", json!({ "a/b": 6, "c~d": 7, "ok": 5 }))), ["/weights/a~1b", "/weights/c~0d"]);
    assert_eq!(problems(with("rateLimitBy", json!([]))), ["/rateLimitBy"]);
    assert_eq!(problems(with("rateLimitBy", json!({ "header": "no header" }))), ["/rateLimitBy"]);
    for minutes in [json!(0), json!(-1), json!(1e-30), json!(1e300)] {
        assert_eq!(problems(with("timeWindowMinutes", minutes.clone())), ["/timeWindowMinutes"], "{minutes}");
    }
    for wrong in [
        with("requestsAllowed", json!(0)),
        with("rateLimitBy", json!("nobody")),
        with("headerMode", json!("x")),
        with("unknown", json!(1)),
    ] {
        assert_eq!(problems(wrong).len(), 1);
    }
}
