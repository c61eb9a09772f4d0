use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::kit::{
    bench::{Bench, Call, Outcome},
    policy::PolicyKind,
    refusal::Reason,
};

const PAGE: &str = "http://localhost:6274";
const FOREIGN: &str = "https://evil.example";

fn allowing(origins: &Value) -> Bench {
    Bench::of::<Cors>(&json!({ "allowedOrigins": origins, "exposeHeaders": ["x-own"] }))
}

fn inspector() -> Bench {
    allowing(&json!([PAGE, "https://inspector.example.com"]))
}

/// As the edge sees it: not a POST, so nothing that could be read.
fn preflight<'a>(bench: &'a Bench, origin: &str) -> Call<'a> {
    bench
        .refused(Reason::MethodNotAllowed)
        .method(Method::OPTIONS)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,mcp-method,mcp-name,mcp-param-x")
}

/// Is there a fact left that keeps the request from the upstream?
fn is_foreign(outcome: &Outcome) -> bool {
    outcome.reached[0].facts.get::<ForeignOrigin>().is_some()
}

#[tokio::test]
async fn tr_04_a_preflight_of_an_allowed_page_is_answered_with_what_it_asked_for() {
    let outcome = preflight(&inspector(), PAGE).send().await;
    assert_eq!(outcome.status, StatusCode::OK);
    assert_eq!(outcome.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(outcome.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(
        outcome.header("access-control-allow-headers"),
        Some("authorization,content-type,mcp-method,mcp-name,mcp-param-x"),
        "names, because `*` does not cover Authorization"
    );
    assert_eq!(outcome.header("access-control-max-age"), Some("600"));
    assert_eq!(outcome.header("access-control-allow-credentials"), None);
    assert!(outcome.body.is_empty() && !outcome.got_through());
}

#[tokio::test]
async fn tr_04_a_preflight_of_a_foreign_page_allows_it_nothing() {
    for origin in [
        FOREIGN,
        "null",
        "http://localhost:6275",
        "https://localhost:6274",
        "http://LOCALHOST:6274",
        "http://localhost:6274.evil.example",
    ] {
        let outcome = preflight(&inspector(), origin).send().await;
        assert_eq!(outcome.header("access-control-allow-origin"), None, "{origin}");
        assert!(!outcome.got_through());
    }
}

#[tokio::test]
async fn tr_04_an_allowed_page_can_read_the_answer_and_the_headers_of_mcp() {
    let outcome = inspector().call("ping", json!({})).header("origin", PAGE).fact(ForeignOrigin).send().await;
    assert!(outcome.got_through() && !is_foreign(&outcome));
    assert_eq!(outcome.header("access-control-allow-origin"), Some(PAGE));
    let exposed = outcome.header("access-control-expose-headers").unwrap();
    for name in ["www-authenticate", "mcp-session-id", "mcp-protocol-version", "x-request-id", "retry-after", "x-own"] {
        assert!(exposed.split(',').any(|exposed| exposed == name), "{name} in {exposed}");
    }
    let vary: Vec<_> =
        outcome.headers.get_all("vary").iter().map(|value| value.to_str().unwrap().to_lowercase()).collect();
    assert!(vary.iter().any(|vary| vary.contains("origin")), "{vary:?}");
}

#[tokio::test]
async fn tr_02_a_foreign_page_stays_foreign() {
    for origin in [FOREIGN, "null", "http://localhost:6275"] {
        let outcome = inspector().call("ping", json!({})).header("origin", origin).fact(ForeignOrigin).send().await;
        assert!(is_foreign(&outcome), "{origin}");
        assert_eq!(outcome.header("access-control-allow-origin"), None, "{origin}");
    }
}

#[tokio::test]
async fn sec_an_allowed_origin_beside_a_foreign_one_does_not_help_it() {
    for origins in [[PAGE, FOREIGN], [FOREIGN, PAGE]] {
        let call = inspector();
        let call = origins
            .iter()
            .fold(call.call("ping", json!({})).fact(ForeignOrigin), |call, origin| call.header("origin", origin));
        assert!(is_foreign(&call.send().await), "{origins:?}");
    }
}

#[tokio::test]
async fn programs_that_are_no_web_pages_are_not_affected() {
    let outcome = inspector().call("ping", json!({})).send().await;
    assert!(outcome.got_through() && outcome.header("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn errors_can_be_read_by_the_page_too() {
    for reason in [Reason::MalformedJson, Reason::UnsupportedMediaType, Reason::BodyTooLarge] {
        let outcome = inspector().refused(reason).header("origin", PAGE).send().await;
        assert_eq!((outcome.reason(), outcome.status), (Some(reason.code()), reason.status()));
        assert_eq!(outcome.header("access-control-allow-origin"), Some(PAGE), "{reason:?}");
        assert!(outcome.header("access-control-expose-headers").is_some(), "{reason:?}");
    }
    let behind = stack(vec![
        PolicyKind::of::<Cors>().layer(&json!({ "allowedOrigins": [PAGE] }), &Host::default()).unwrap(),
        gate(|_| Err(Reason::RateLimited.into())),
    ]);
    let outcome = Bench::with(behind).call("ping", json!({})).header("origin", PAGE).send().await;
    assert_eq!((outcome.reason(), outcome.header("access-control-allow-origin")), (Some("rate_limited"), Some(PAGE)));
}

#[tokio::test]
async fn any_origin_may_be_allowed() {
    let bench = allowing(&json!(["*"]));
    for origin in [PAGE, FOREIGN, "null"] {
        let outcome = bench.call("ping", json!({})).header("origin", origin).fact(ForeignOrigin).send().await;
        assert!(!is_foreign(&outcome), "{origin}");
        assert_eq!(outcome.header("access-control-allow-origin"), Some("*"));
        assert_eq!(outcome.header("access-control-allow-credentials"), None, "never together with `*`");
    }
}

#[tokio::test]
async fn no_origin_at_all_may_be_allowed() {
    let outcome = allowing(&json!([])).call("ping", json!({})).header("origin", PAGE).fact(ForeignOrigin).send().await;
    assert!(is_foreign(&outcome));
}

#[test]
fn what_is_no_origin_is_reported_at_its_place() {
    let problems = |options: Value| {
        let problems = PolicyKind::of::<Cors>().layer(&options, &Host::default()).expect_err(&options.to_string());
        problems.into_iter().map(|problem| problem.at).collect::<Vec<_>>()
    };
    for wrong in [
        "localhost",
        "http://localhost/",
        "http://localhost/path",
        "HTTP://localhost",
        "http://Example.com",
        "//x",
        "",
        "http://x?y",
        "http://a b",
    ] {
        assert_eq!(problems(json!({ "allowedOrigins": [PAGE, wrong] })), ["/allowedOrigins/1"], "{wrong}");
    }
    assert_eq!(problems(json!({ "allowedOrigins": ["*", PAGE] })), ["/allowedOrigins"]);
    assert_eq!(
        problems(json!({ "allowedOrigins": ["x"], "exposeHeaders": ["ok", "not ok"] })),
        ["/allowedOrigins/0", "/exposeHeaders/1"]
    );
}

#[tokio::test]
async fn sec_a_page_whose_origin_was_taken_away_stays_foreign() {
    let outcome = inspector().call("ping", json!({})).fact(ForeignOrigin).send().await;
    assert!(is_foreign(&outcome));
}
