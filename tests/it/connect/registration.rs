//! The gateway as a client of the vendor's authorization server.

use serde_json::json;

use super::{Story, assert_once_more, vendor};
use crate::harness::{REGISTER, parameters};

#[tokio::test]
async fn cl_09_a_vendor_that_takes_documents_is_shown_the_published_one_and_nobody_registers() {
    const DOCUMENT: &str = "https://clients.example.com/portcullis.json";
    let vendor = vendor().await;
    vendor.lets_documents_in();
    let options = json!({ "clientRegistration": { "mode": "auto", "clientMetadataUrl": DOCUMENT } });
    let story = Story::renewing(vendor, &options).await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    let asked = ada.agree(&link).await;
    assert_eq!(parameters(&asked)["client_id"], DOCUMENT);
    ada.browser.open(&story.vendor.says_yes(&asked, "ada at vendor")).await.page();
    assert_eq!(ada.call().await.said(), "ada at vendor");
    story.vendor.expires_tokens();
    assert_eq!(ada.call().await.said(), "ada at vendor");
    assert_eq!((story.vendor.asked(REGISTER), story.vendor.counts().refreshes), (0, 1));
}

#[tokio::test]
async fn cl_09_a_vendor_that_has_lost_its_registrations_gets_a_new_one_when_somebody_connects_again() {
    let story = Story::renewing(vendor().await, &json!({})).await;
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    story.vendor.forgets_clients();
    story.vendor.expires_tokens();
    assert_once_more(&ada.call().await);
    assert_eq!(story.vendor.counts().registrations, 1);
    ada.connect(&story.vendor, "ada at vendor").await;
    assert_eq!(ada.call().await.said(), "ada at vendor");
    assert_eq!(story.vendor.counts().registrations, 2);
}

#[tokio::test]
async fn cl_01_a_vendor_whose_challenge_says_nothing_is_found_by_its_address() {
    let vendor = vendor().await;
    vendor.challenges("");
    let story = Story::renewing(vendor, &json!({})).await;
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    assert_eq!(ada.call().await.said(), "ada at vendor");
    story.vendor.expires_tokens();
    assert_eq!(ada.call().await.said(), "ada at vendor");
}
