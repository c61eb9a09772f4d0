//! What is for the gateway stays with the gateway.

use std::collections::HashSet;

use serde_json::json;

use super::{Story, vendor};
use crate::harness::{
    MCP, REGISTER, RESOURCE_METADATA, REVOKE, Received, Request, SERVER_METADATA, VENDOR_TOKEN, Vendor, initialize,
    list_tools,
};

/// Everything that the vendor got, on both of its ports.
fn everything(vendor: &Vendor) -> Vec<Received> {
    let parts = [MCP, RESOURCE_METADATA, SERVER_METADATA, REGISTER, VENDOR_TOKEN, REVOKE];
    parts.into_iter().flat_map(|part| vendor.received(part)).collect()
}

#[tokio::test]
async fn sec_a8_cl_13_what_a_person_shows_to_the_gateway_never_reaches_the_vendor() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    let mut ada = story.person("ada").await;
    for message in [initialize(1), list_tools(2)] {
        ada.ask(Request::post("/mcp", &message)).await;
    }
    ada.connect(&story.vendor, "ada at vendor").await;
    ada.call().await;
    story.vendor.expires_tokens();
    assert_eq!(ada.call().await.said(), "ada at vendor");
    story.vendor.revokes("ada at vendor");
    ada.call().await;
    let cookies = ada.browser.cookies().iter().map(|(_, value)| value);
    let own: Vec<_> = cookies.chain([&ada.tokens.access, &ada.tokens.refresh]).filter(|own| own.len() > 8).collect();
    assert!(own.len() > 2, "{own:?}");
    let received = everything(&story.vendor);
    assert!(received.len() > 8, "{}", received.len());
    for Received { head, body, .. } in received {
        let all = head + &String::from_utf8_lossy(&body);
        assert!(own.iter().all(|own| !all.contains(own.as_str())), "{all}");
    }
}

#[tokio::test]
async fn sec_b1_what_the_vendor_gave_for_one_person_is_shown_with_no_call_of_another() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    ada.connect(&story.vendor, "ada at vendor").await;
    bob.connect(&story.vendor, "bob at vendor").await;
    for round in 0..3 {
        assert_eq!(ada.call().await.said(), "ada at vendor");
        assert_eq!(bob.call().await.said(), "bob at vendor");
        if round == 1 {
            story.vendor.expires_tokens();
        }
    }
    let tokens = |person: &str| {
        let calls = story.vendor.calls().into_iter().filter(|call| call.person == person);
        calls.map(|call| call.token).collect::<HashSet<_>>()
    };
    let (ada, bob) = (tokens("ada at vendor"), tokens("bob at vendor"));
    assert_eq!((ada.len(), bob.len(), ada.intersection(&bob).count()), (2, 2, 0));
}
