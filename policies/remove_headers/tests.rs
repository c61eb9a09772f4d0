use serde_json::json;

use super::*;
use crate::{
    kit::{bench::Bench, chain::stack, policy::PolicyKind},
    set_headers::SetHeaders,
};

#[tokio::test]
async fn a_header_is_removed_whoever_set_it() {
    let host = Host::default();
    let set = json!({ "headers": [{ "name": "x-key", "value": "1" }, { "name": "x-kept", "value": "2" }] });
    let bench = Bench::with(stack(vec![
        PolicyKind::of::<SetHeaders>().layer(&set, &host).unwrap(),
        PolicyKind::of::<RemoveHeaders>().layer(&json!({ "headers": ["X-Key", "baggage", "absent"] }), &host).unwrap(),
    ]));
    let call = bench.call("ping", json!({})).header("baggage", "a").header("baggage", "b").header("traceparent", "t");
    let outcome = call.send().await;
    let reached = &outcome.reached[0];
    assert!(!reached.headers.contains_key("baggage") && !reached.own_headers.contains_key("x-key"));
    assert_eq!(
        (&reached.headers["traceparent"], &reached.own_headers["x-kept"]),
        (&"t".parse().unwrap(), &"2".parse().unwrap())
    );
}

#[tokio::test]
async fn a_later_policy_may_set_what_was_removed() {
    let host = Host::default();
    let set = json!({ "headers": [{ "name": "x-key", "value": "1" }] });
    let bench = Bench::with(stack(vec![
        PolicyKind::of::<RemoveHeaders>().layer(&json!({ "headers": ["x-key"] }), &host).unwrap(),
        PolicyKind::of::<SetHeaders>().layer(&set, &host).unwrap(),
    ]));
    let outcome = bench.call("ping", json!({})).header("x-key", "client").send().await;
    assert_eq!(outcome.reached[0].own_headers["x-key"], "1");
    assert!(!outcome.reached[0].headers.contains_key("x-key"));
}

#[test]
fn every_name_that_is_none_is_reported() {
    let problems = PolicyKind::of::<RemoveHeaders>()
        .layer(&json!({ "headers": ["ok", "", "not ok"] }), &Host::default())
        .unwrap_err();
    let at: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(at, ["/headers/1", "/headers/2"]);
}
