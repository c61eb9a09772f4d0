//! Tokens that are over: they are renewed, and nobody notices.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};

use super::{Person, Story, by_name, renewing, vendor};
use crate::harness::{Gate, MCP, Request, Setup, VENDOR_TOKEN, Vendor, until};

/// A call as nobody but this client writes it.
const ODD: &str = "{ \"id\" : \"\\u0031\", \"jsonrpc\":\"2.0\",\n\"params\":{\"arguments\":{ \"n\" : 1.0e0 },\"name\":\"write\"} , \
                   \"method\":\"tools/call\" }";

#[tokio::test]
async fn cl_14_tr_31_a_call_whose_token_is_refused_is_sent_once_more_byte_for_byte_with_a_fresh_one() {
    let vendor = vendor().await;
    let gateway = Setup::new().route("/mcp", renewing(by_name(&vendor), &json!({}))).spawn();
    let place = gateway.place().await;
    let mut ada = Person::at(&place, "ada").await;
    ada.connect(&vendor, "ada at vendor").await;
    vendor.expires_tokens();
    vendor.forgets_calls();

    let reply = ada.ask(Request::post("/mcp", &Value::Null).body(ODD)).await;
    assert_eq!(reply.said(), "ada at vendor");
    let [first, second] = &vendor.received(MCP)[..] else { panic!("{:?}", vendor.received(MCP)) };
    assert_eq!((first.body.as_slice(), second.body.as_slice()), (ODD.as_bytes(), ODD.as_bytes()));
    assert_ne!(first.header("authorization"), second.header("authorization"));
    assert_eq!((vendor.calls().len(), vendor.counts().refreshes, vendor.counts().reuses), (1, 1, 0));

    let request_id = reply.header("x-request-id").unwrap();
    let line: Value = serde_json::from_str(&gateway.says("upstream_attempts\":2").await).unwrap();
    assert_eq!((line["request_id"].as_str(), &line["target"]), (Some(request_id), &json!("write")));
    assert!(gateway.says("upstream-auth-retry: ").await.contains(request_id));
    // The next one goes at once.
    assert_eq!(ada.call().await.said(), "ada at vendor");
    assert_eq!((vendor.asked(MCP), vendor.counts().refreshes), (3, 1));
}

#[tokio::test]
async fn a_new_token_goes_over_a_new_connection_and_everybody_has_their_own() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    let mut people = [story.person("ada").await, story.person("bob").await];
    for person in &mut people {
        person.connect(&story.vendor, "somebody at vendor").await;
        person.call().await;
        person.call().await;
    }
    let before = story.gateway.upstream_connections().await;
    assert_eq!((before["first"], before.get("rotation"), before["reused"]), (2, None, 2), "{before:?}");
    story.vendor.expires_tokens();
    for person in &people {
        assert_eq!(person.call().await.said(), "somebody at vendor");
    }
    let after = story.gateway.upstream_connections().await;
    assert_eq!((after["first"], after["rotation"]), (2, 2), "{after:?}");
}

#[tokio::test]
async fn cl_14_a_token_that_ends_by_the_clock_is_renewed_before_it_is_shown() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let vendor = Vendor::new(clock.clone()).await;
    vendor.gives_tokens_for(60);
    let setup = Setup::new().clock(clock.clone()).route("/mcp", renewing(by_name(&vendor), &json!({})));
    let gateway = setup.start().await;
    let story = Story { vendor, gateway };
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    let turned_away = story.vendor.counts().turned_away;
    for renewed in 1..4 {
        clock.advance(Duration::from_secs(61));
        assert_eq!(ada.call().await.said(), "ada at vendor");
        assert_eq!(story.vendor.counts().refreshes, renewed);
    }
    assert_eq!((story.vendor.counts().turned_away, story.vendor.counts().reuses), (turned_away, 0));
}

#[tokio::test]
async fn oauth_91_where_no_new_refresh_token_comes_the_old_one_goes_on() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    story.vendor.keeps_refresh_tokens();
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    let mut shown = Vec::new();
    for _ in 0..3 {
        story.vendor.expires_tokens();
        assert_eq!(ada.call().await.said(), "ada at vendor");
        shown.push(story.vendor.last_form(VENDOR_TOKEN).remove("refresh_token").unwrap());
    }
    shown.dedup();
    assert_eq!((shown.len(), story.vendor.counts().refreshes), (1, 3));
}

#[tokio::test]
async fn fault_all_calls_that_meet_a_refused_token_wait_for_one_refresh_and_are_sent_at_most_twice() {
    const CALLS: usize = 40;
    let story = Arc::new(Story::renewing(vendor().await, &json!({})).await);
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    story.vendor.expires_tokens();
    story.vendor.forgets_calls();
    let gate = Gate::new();
    story.vendor.holds(VENDOR_TOKEN, Some(&gate));
    let ada = Arc::new(ada);
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let ada = Arc::clone(&ada);
            tokio::spawn(async move { ada.call().await.said() })
        })
        .collect();
    until("all of them were refused", || story.vendor.asked(MCP) == CALLS && story.vendor.counts().refreshes == 1)
        .await;
    story.vendor.holds(VENDOR_TOKEN, None);
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), "ada at vendor");
    }
    let counts = story.vendor.counts();
    assert_eq!((counts.refreshes, counts.reuses, story.vendor.asked(MCP)), (1, 0, 2 * CALLS));
}
