//! Connections that the vendor ends.

use serde_json::json;

use super::{Story, assert_once_more, vendor};
use crate::harness::{Answer, Gate, MCP, VENDOR_TOKEN, soon, until};

#[tokio::test]
async fn cl_18_tr_31_whose_connection_the_vendor_revoked_is_asked_to_connect_again_and_nothing_is_sent_twice() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    ada.connect(&story.vendor, "ada at vendor").await;
    bob.connect(&story.vendor, "bob at vendor").await;
    story.vendor.revokes("ada at vendor");
    story.vendor.forgets_calls();
    let told = ada.call().await;
    assert_once_more(&told);
    assert_eq!(story.vendor.asked(MCP), 1, "it was sent with the token that was good a moment ago");
    assert_once_more(&ada.call().await);
    assert_eq!(story.vendor.asked(MCP), 1, "what is known to be over is not shown again");
    assert_eq!(bob.call().await.said(), "bob at vendor");
    ada.connect(&story.vendor, "ada at vendor").await;
    assert_eq!(ada.call().await.said(), "ada at vendor");
}

#[tokio::test]
async fn cl_18_a_vendor_that_refuses_each_token_gets_the_call_twice_and_not_a_third_time() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    story.vendor.forgets_calls();
    story.vendor.answers(MCP, Some(Answer::status(401)));
    assert_once_more(&ada.call().await);
    assert_eq!((story.vendor.asked(MCP), story.vendor.counts().refreshes), (2, 1));
    let [first, second] = &story.vendor.received(MCP)[..] else { panic!("not two") };
    assert_eq!(first.body, second.body);
    assert_once_more(&ada.call().await);
    assert_eq!(story.vendor.counts().refreshes, 1);
    // As soon as it is itself again, one yes is enough.
    story.vendor.answers(MCP, None);
    ada.connect(&story.vendor, "ada at vendor").await;
    assert_eq!(ada.call().await.said(), "ada at vendor");
}

#[tokio::test]
async fn cl_18_a_call_that_is_under_way_when_the_vendor_revokes_ends_well_and_the_next_one_asks() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    story.vendor.forgets_calls();
    let gate = Gate::new();
    story.vendor.holds(MCP, Some(&gate));
    let revoking = async {
        until("the call is under way", || story.vendor.calls().len() == 1).await;
        story.vendor.revokes("ada at vendor");
        story.vendor.holds(MCP, None);
        gate.open();
    };
    let (reply, ()) = soon("the call is answered", async { tokio::join!(ada.call(), revoking) }).await;
    assert_eq!(reply.said(), "ada at vendor");
    assert_once_more(&ada.call().await);
    assert_eq!((story.vendor.calls().len(), story.vendor.counts().refreshes), (1, 0));
}

#[tokio::test]
async fn fault_a_vendor_that_revokes_while_a_token_is_renewed_gets_the_call_no_third_time() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    story.vendor.expires_tokens();
    story.vendor.forgets_calls();
    let gate = Gate::new();
    story.vendor.holds(VENDOR_TOKEN, Some(&gate));
    let revoking = async {
        until("it is being renewed", || story.vendor.counts().refreshes == 1).await;
        story.vendor.revokes("ada at vendor");
        story.vendor.holds(VENDOR_TOKEN, None);
        gate.open();
    };
    let (reply, ()) = soon("the call is answered", async { tokio::join!(ada.call(), revoking) }).await;
    assert_once_more(&reply);
    assert_eq!((story.vendor.asked(MCP), story.vendor.calls().len()), (2, 0));
}
