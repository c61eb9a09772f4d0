//! Calls that were approved, of people who have to connect once more.

use serde_json::{Value, json};

use super::{
    Person, by_name, renewing,
    sessions::{begin_as, say},
    vendor,
};
use crate::{
    approvals::{is_pending, press, signed_in},
    harness::{Reply, Setup, Vendor, call},
};

fn rules() -> Value {
    json!({ "rules": [
        { "name": "writing", "match": { "tools": ["write"] }, "action": "require_approval",
          "approvers": [{ "users": ["dev|grace"] }], "waitSeconds": 0 },
        { "name": "the rest", "action": "allow" },
    ] })
}

/// How often the vendor was told to write.
fn written(vendor: &Vendor) -> usize {
    vendor.calls().iter().filter(|call| call.message["params"]["name"] == "write").count()
}

#[tokio::test]
async fn an_approval_waits_for_whoever_has_to_connect_once_more() {
    let vendor = vendor().await;
    vendor.keeps_sessions();
    let route = renewing(by_name(&vendor).policy("mcp-rules", &rules()), &json!({}));
    let gateway = Setup::new().route("/mcp", route).start().await;
    let mut ada = Person::at(&gateway, "ada").await;
    // Nobody is connected yet, so the session is the gateway's own.
    let session = begin_as(&ada, &json!({ "elicitation": { "url": {} } })).await;
    let write = async |ada: &Person| say(ada, &session, &call(7, "write", &json!({ "text": "hello" }))).await;
    let page = |reply: &Reply, reason: &str| {
        let error = &reply.json()["error"];
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32042), &json!(reason)), "{error}");
        error["data"]["elicitations"][0]["url"].as_str().unwrap().to_owned()
    };
    assert!(page(&write(&ada).await, "connect_required").contains("/connect/"), "first of all");
    ada.connect(&vendor, "ada at vendor").await;
    let url = page(&write(&ada).await, "approval_required");
    assert_eq!(url, format!("{}/approvals/1", ada.place.origin));
    assert!(is_pending(&write(&ada).await));

    vendor.revokes("ada at vendor");
    let (mut grace, form) = signed_in(&gateway, "grace", "/approvals/1").await;
    press(&mut grace, &form, 1, "approve", "").await;
    for _ in 0..2 {
        assert!(page(&write(&ada).await, "connect_required").contains("/connect/"));
    }
    let stands = grace.open("/approvals/1").await.page();
    assert!(stands.text().contains("approved, and not made yet"), "{}", stands.text());

    ada.connect(&vendor, "ada at vendor").await;
    assert_eq!(write(&ada).await.said(), "ada at vendor");
    assert_eq!(written(&vendor), 1);
    let stands = grace.open("/approvals/1").await.page();
    assert!(stands.text().contains("approved, and made"), "{}", stands.text());
    assert!(
        page(&write(&ada).await, "approval_required").ends_with("/approvals/2"),
        "the next one is asked about anew"
    );
}
