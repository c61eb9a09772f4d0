//! Keys that people type in.

use serde_json::json;

use super::{Person, assert_refused, path};
use crate::harness::{Gateway, Route, Setup, Upstream};

const KEY: &str = "canary-key-4711";

async fn both() -> (Upstream, Gateway) {
    let upstream = Upstream::saying("hello").await;
    let options = json!({
        "id": "vendor", "displayName": "Vendor", "authMode": "user-key",
        "keys": [
            { "name": "token", "label": "API token", "help": "Settings, then Tokens." },
            { "name": "team", "label": "Team", "header": "X-Team" },
        ],
    });
    let route = Route::to(&upstream).policy("dev-login", &json!({})).policy("mcp-token-exchange", &options);
    let gateway = Setup::new().route("/mcp", route).start().await;
    (upstream, gateway)
}

#[tokio::test]
async fn tr_32_sb_13_a_key_is_typed_into_our_page_once_and_goes_with_each_call_of_its_person() {
    let (upstream, gateway) = both().await;
    let (mut ada, bob) = (Person::at(&gateway, "ada").await, Person::at(&gateway, "bob").await);
    let link = ada.link().await;
    let page = ada.browser.open(&link).await.page();
    assert!(page.text().contains("API token") && page.text().contains("Settings, then Tokens."), "{}", page.text());
    let seal = page.field("form");
    let fields = [("form", seal.as_str()), ("decision", "connect"), ("key-token", KEY), ("key-team", "blue")];
    let done = ada.browser.submit(path(&link), &fields).await.page();
    assert!(done.text().contains("is connected") && !done.text().contains(KEY), "{}", done.text());
    assert_eq!(ada.call().await.said(), "hello");
    let sent = upstream.requests().pop().unwrap();
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(sent.header("x-team"), Some("blue"));
    bob.link().await;
    // The link was used up.
    assert_refused(&ada.browser.submit(path(&link), &fields).await.page(), 404, "link_gone");
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_is_not_kept_and_not_shown_again() {
    let (upstream, gateway) = both().await;
    let mut ada = Person::at(&gateway, "ada").await;
    let link = ada.link().await;
    let seal = ada.browser.open(&link).await.page().field("form");
    for (token, team) in [("", "blue"), ("canary\u{1}key", "blue"), (KEY, "")] {
        let fields = [("form", seal.as_str()), ("decision", "connect"), ("key-token", token), ("key-team", team)];
        let page = ada.browser.submit(path(&link), &fields).await.page();
        assert_refused(&page, 400, "unusable_value");
        assert!(!page.text().contains("canary"), "{}", page.text());
    }
    assert!(upstream.requests().is_empty());
    ada.link().await;
}
