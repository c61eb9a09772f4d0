use serde_json::{Value, json};

use super::*;
use crate::kit::{
    bench::{Bench, Outcome},
    chain::stack,
    policy::PolicyKind,
};

fn layer(headers: &Value) -> Result<RouteLayer, Vec<Problem>> {
    PolicyKind::of::<SetHeaders>().layer(&json!({ "headers": headers }), &Host::default())
}

fn own(outcome: &Outcome, name: &str) -> Vec<String> {
    outcome.reached[0].own_headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_upstream_gets_the_headers_and_the_client_keeps_its_own() {
    let bench = Bench::with(
        layer(&json!([{ "name": "Authorization", "value": "Bearer key" }, { "name": "x-b", "value": "2" }])).unwrap(),
    );
    let outcome = bench.call("ping", json!({})).header("authorization", "Bearer client").send().await;
    assert_eq!(
        (own(&outcome, "authorization"), own(&outcome, "x-b")),
        (vec!["Bearer key".to_owned()], vec!["2".to_owned()])
    );
    assert_eq!(outcome.reached[0].headers["authorization"], "Bearer client");
}

#[tokio::test]
async fn a_later_policy_replaces_a_header_unless_it_is_told_not_to() {
    for (overwrite, value) in [(true, "second"), (false, "first")] {
        let bench = Bench::with(stack(vec![
            layer(&json!([{ "name": "x-key", "value": "first" }])).unwrap(),
            layer(&json!([{ "name": "x-key", "value": "second", "overwrite": overwrite }, { "name": "x-more", "value": "m" }])).unwrap(),
        ]));
        let outcome = bench.call("ping", json!({})).send().await;
        assert_eq!(
            (own(&outcome, "x-key"), own(&outcome, "x-more")),
            (vec![value.to_owned()], vec!["m".to_owned()]),
            "{overwrite}"
        );
    }
}

#[tokio::test]
async fn a_header_of_the_client_stays_where_it_may_not_be_replaced() {
    let bench = Bench::with(layer(&json!([{ "name": "traceparent", "value": "ours", "overwrite": false }])).unwrap());
    let theirs = bench.call("ping", json!({})).header("traceparent", "theirs").send().await;
    assert!(own(&theirs, "traceparent").is_empty());
    let none = bench.call("ping", json!({})).send().await;
    assert_eq!(own(&none, "traceparent"), ["ours"]);
}

#[tokio::test]
async fn sec_a_value_is_marked_as_a_secret() {
    let bench = Bench::with(layer(&json!([{ "name": "x-key", "value": "hunter2" }])).unwrap());
    let outcome = bench.call("ping", json!({})).send().await;
    assert!(outcome.reached[0].own_headers["x-key"].is_sensitive());
    assert!(!format!("{:?}", outcome.reached[0].own_headers).contains("hunter2"));
}

#[test]
fn headers_that_carry_the_message_or_the_connection_cannot_be_set() {
    for name in [
        "Mcp-Method",
        "mcp-session-id",
        "MCP-Protocol-Version",
        "Content-Type",
        "content-length",
        "Host",
        "Accept",
        "Transfer-Encoding",
        "Connection",
        "Accept-Encoding",
    ] {
        let problems = layer(&json!([{ "name": "ok", "value": "1" }, { "name": name, "value": "x" }])).unwrap_err();
        assert_eq!((problems.len(), problems[0].at.as_str()), (1, "/headers/1/name"), "{name}");
    }
}

#[test]
fn sec_a_value_that_is_none_is_reported_without_being_repeated() {
    let problems =
        layer(&json!([{ "name": "bad name", "value": "x" }, { "name": "x-key", "value": "hunter2\r\nx-evil: 1" }]))
            .unwrap_err();
    let at: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(at, ["/headers/0/name", "/headers/1/value"]);
    assert!(!format!("{problems:?}").contains("hunter2"));
}
