//! What a browser brings back from the upstream's sign-in.

use std::sync::Arc;

use portcullis_policies::kit::clock::SystemClock;
use serde_json::json;

use super::{Person, Story, assert_refused, decide, to};
use crate::harness::{SERVER_METADATA, Setup, VENDOR_TOKEN, Vendor, parameters};

#[tokio::test]
async fn cl_15_each_upstream_has_an_address_of_its_own_to_come_back_to() {
    let (one, two) = (Vendor::new(Arc::new(SystemClock)).await, Vendor::new(Arc::new(SystemClock)).await);
    let setup = Setup::new().route("/mcp", to(&one, "one")).route("/other", to(&two, "two"));
    let gateway = setup.start().await;
    let mut ada = Person::at(&gateway, "ada").await;
    let link = ada.link().await;
    let asked = ada.agree(&link).await;
    let redirect = parameters(&asked).remove("redirect_uri").unwrap();
    assert_eq!(redirect, format!("http://{}/connect/callback/one", gateway.address));
    // The answer of one is worth nothing at the address of another.
    let back = one.says_yes(&asked, "ada").replace("/connect/callback/one", "/connect/callback/two");
    assert_refused(&ada.browser.open(&back).await.page(), 502, "mixup");
    assert_eq!((one.asked(VENDOR_TOKEN), two.asked(VENDOR_TOKEN)), (0, 0));
    ada.link().await;
}

#[tokio::test]
async fn cl_05_oauth_86_an_answer_that_nobody_asked_for_is_not_used() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    for query in ["", "?code=c", "?code=c&state=unknown", "?error=access_denied"] {
        let page = ada.browser.open(&format!("/connect/callback/vendor{query}")).await.page();
        assert_refused(&page, 404, "link_gone");
    }
    let twice = ada.browser.open("/connect/callback/vendor?state=a&state=b").await.page();
    assert_refused(&twice, 400, "invalid_request");
    story.assert_unchanged(&[&ada]).await;
}

#[tokio::test]
async fn whoever_says_no_over_there_is_believed_and_can_try_again() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    let asked = ada.agree(&link).await;
    let page = ada.browser.open(&story.vendor.says_no(&asked)).await.page();
    assert_refused(&page, 400, "upstream_refused");
    assert!(page.text().contains("access_denied"), "{}", page.text());
    story.assert_unchanged(&[&ada]).await;
    ada.connect(&story.vendor, "ada at vendor").await;
    assert_eq!(ada.call().await.said(), "ada at vendor");
}

#[tokio::test]
async fn sb_07_the_words_of_a_vendor_are_text() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    let asked = parameters(&ada.agree(&link).await);
    let issuer = story.vendor.issuer();
    let hostile = "%3Ca%20href%3Dhttps%3A%2F%2Fevil.example%3Ex%3C%2Fa%3E";
    let url = format!(
        "/connect/callback/vendor?error={hostile}&error_description={hostile}&state={}&iss={issuer}",
        asked["state"]
    );
    let page = ada.browser.open(&url).await.page();
    assert_eq!(page.reply.status, 400);
    assert!(!page.text().contains("<a href=https") && !page.text().contains("href=\"https://evil"), "{}", page.text());
}

#[tokio::test]
async fn a_vendor_that_cannot_be_set_up_says_so_on_the_page_with_a_code_to_search_for() {
    let story = Story::begin().await;
    story.vendor.says(SERVER_METADATA, json!({ "registration_endpoint": null }));
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    let page = ada.browser.open(&link).await.page();
    let page = decide(&mut ada.browser, &page, "connect").await.page();
    assert_refused(&page, 502, "upstream_setup_failed");
    assert!(page.text().contains("no_registration_endpoint"), "{}", page.text());
    assert!(page.text().contains(page.reply.header("x-request-id").unwrap()));
}
