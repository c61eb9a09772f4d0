//! The whole chain: who calls, how often, by which rules, on which tools, under whose name, and the proof of all of it.

use std::sync::Arc;

use portcullis_policies::kit::clock::SystemClock;
use serde_json::{Value, json};

use super::{CLIENT, connected};
use crate::{
    approvals::{press, signed_in},
    audit::{rows, text},
    connect::Person,
    harness::{REDIRECT, Reply, Request, Route, Setup, Vendor, call},
};

fn whole_chain(vendor: &Vendor) -> Setup {
    let rules = json!({ "rules": [
        { "name": "writing", "match": { "tools": ["write"] }, "action": "require_approval",
          "approvers": [{ "users": ["dev|grace"] }], "waitSeconds": 0 },
        { "name": "the rest", "action": "allow" },
    ] });
    let route = Route::url(&vendor.url())
        .policy("audit-log", &json!({ "promise": "fail-closed", "arguments": "full" }))
        .policy("dev-login", &json!({}))
        .policy("rate-limit", &json!({ "rateLimitBy": "user", "requestsAllowed": 1000, "timeWindowMinutes": 1 }))
        .policy("mcp-rules", &rules)
        .policy("tool-pinning", &json!({}))
        .policy("mcp-capability-filter", &json!({ "tools": ["whoami", "write"] }))
        .policy("upstream-auth-retry", &json!({}))
        .policy("mcp-token-exchange", &json!({ "id": "vendor", "displayName": "Vendor" }));
    Setup::new().route("/mcp", route).client(CLIENT, REDIRECT)
}

/// Tools that destroy are denied, which only the vendor can say of a tool, and only to those who are connected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_about_what_a_tool_does_does_not_keep_people_from_connecting() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let rules = json!({ "rules": [
        { "name": "nothing is destroyed", "match": { "annotations": { "destructiveHint": true } }, "action": "deny" },
        { "name": "the rest", "action": "allow" },
    ] });
    let route = Route::url(&vendor.url())
        .policy("dev-login", &json!({}))
        .policy("mcp-rules", &rules)
        .policy("mcp-token-exchange", &json!({ "id": "vendor", "displayName": "Vendor" }));
    let gateway = Setup::new().route("/mcp", route).client(CLIENT, REDIRECT).spawn();
    let ada = connected(&gateway.place().await, &vendor, "ada").await;
    // The vendor says nothing of its tools, so by MCP they may destroy.
    assert_eq!(ada.call().await.json()["error"]["data"]["rule"], "nothing is destroyed");
    assert_eq!(calls_of(&vendor, "whoami"), [""; 0]);
}

/// What was not told to somebody who was not connected is asked again as soon as they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_just_connected_may_call_at_once_what_others_have_had_pinned() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let route = Route::url(&vendor.url())
        .policy("dev-login", &json!({}))
        .policy("tool-pinning", &json!({}))
        .policy("mcp-token-exchange", &json!({ "id": "vendor", "displayName": "Vendor" }));
    let gateway = Setup::new().route("/mcp", route).client(CLIENT, REDIRECT).spawn();
    let place = gateway.place().await;
    for name in ["ada", "grace"] {
        assert_eq!(connected(&place, &vendor, name).await.call().await.said(), name);
    }
}

async fn writes(person: &Person) -> Reply {
    let message = call(7, "write", &json!({ "id": "1" }));
    person.place.ask(&Request::post("/mcp", &message).bearer(&person.tokens.access)).await
}

fn calls_of(vendor: &Vendor, tool: &str) -> Vec<String> {
    let calls = vendor.takes_calls().into_iter().filter(|call| call.message["params"]["name"] == tool);
    calls.map(|call| call.person).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_through_the_whole_chain_is_held_approved_by_somebody_else_made_once_and_proven() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let gateway = whole_chain(&vendor).spawn();
    let place = gateway.place().await;
    let ada = connected(&place, &vendor, "ada").await;
    assert_eq!(ada.call().await.said(), "ada");

    let held = writes(&ada).await;
    assert_eq!(held.json()["result"]["_meta"]["portcullis/approval"]["state"], "pending", "{}", held.text());
    assert_eq!(calls_of(&vendor, "write"), [""; 0]);
    let (mut grace, page) = signed_in(&place, "grace", "/approvals/1").await;
    press(&mut grace, &page, 1, "approve", "it is old").await;
    let made = writes(&ada).await;
    assert_eq!(made.json()["result"]["structuredContent"]["arguments"], json!({ "id": "1" }), "{}", made.text());
    assert_eq!(writes(&ada).await.json()["result"]["_meta"]["portcullis/approval"]["number"], 2);
    assert_eq!(calls_of(&vendor, "write"), ["ada"]);

    let written = rows(&gateway, &["--tool", "write", "--kind", "call"], 3).await;
    let told = |row: &Value| (row["decision"].clone(), row["sent"].clone(), row["decidedBy"]["rule"].clone());
    let told: Vec<_> = written.iter().rev().map(told).collect();
    let of = |decision: &str, sent: u8| (json!(decision), json!(sent), json!("writing"));
    assert_eq!(told, [of("held", 0), of("allowed", 1), of("held", 0)], "{written:#?}");
    assert!(written.iter().all(|row| row["caller"]["subject"] == "dev|ada" && row["error"].is_null()), "{written:#?}");
    assert_eq!(written[1]["arguments"]["json"], json!({ "id": "1" }));
    assert_eq!(rows(&gateway, &["--decision", "held"], 2).await.len(), 2);

    // By the number of the approval: what was asked, who decided, and what was made of it.
    let story = rows(&gateway, &["--approval", "1"], 3).await;
    let told: Vec<_> = story.iter().rev().map(|row| (row["kind"].clone(), row["decision"].clone())).collect();
    assert_eq!(
        told,
        [("call", "held"), ("decision", "approved"), ("call", "allowed")].map(|(a, b)| (json!(a), json!(b)))
    );
    let (asked, decided, returned) = (&story[2], &story[1], &story[0]);
    assert_eq!(decided["person"]["subject"], "dev|grace", "{decided}");
    assert_eq!((&decided["reason"], &decided["requestId"]), (&json!("it is old"), &asked["requestId"]), "{decided}");
    assert!(returned["status"] == 200 && returned["answerBytes"].as_u64().unwrap() > 0, "{returned}");
    let people = text(&gateway.command(&["audit", "query", "--approval", "1", "--kind", "decision"]));
    assert!(people.contains("approval #1 approved by grace: \"it is old\""), "{people}");
    let exported = text(&gateway.command(&["audit", "export"]));
    let steps: Vec<_> = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| row["approval"] == 1)
        .map(|row| (row["kind"].clone(), row["stage"].clone(), row["sent"].clone()))
        .collect();
    let (held, executed, made) = ((json!("ended"), json!(0)), json!("proposed"), (json!("ended"), json!(1)));
    assert_eq!(
        steps,
        [
            (json!("call"), held.0, held.1),
            (json!("decision"), Value::Null, Value::Null),
            (json!("call"), executed, Value::Null),
            (json!("call"), made.0, made.1),
        ]
    );
    let proof = text(&gateway.command(&["audit", "verify"]));
    assert!(proof.contains("none was edited, deleted or reordered"), "{proof}");
}
