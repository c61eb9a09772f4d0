//! The page on which people see their own connections.

use super::{Story, assert_refused, decide, path, say_name};
use crate::harness::{Browser, Landed, Page};

/// Presses a button beside the vendor.
async fn press(browser: &mut Browser, page: &Page, decision: &str) -> Landed {
    let seal = page.field("form");
    let fields = [("form", seal.as_str()), ("upstream", "vendor"), ("decision", decision)];
    browser.submit("/connections", &fields).await
}

#[tokio::test]
async fn people_connect_and_disconnect_on_the_page_of_their_own_connections() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    // Nothing is shown to nobody.
    let mut browser = Browser::at(&story.gateway);
    let page = browser.open("/connections").await.page();
    assert!(!page.text().contains("Vendor"), "{}", page.text());
    let fields = [("form", page.field("form")), ("decision", "sign-in".to_owned()), ("way", "/mcp".to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let login = browser.submit("/connections", &fields).await.page();
    let page = say_name(&mut browser, &login, "ada").await;
    assert_eq!(path(&page.at), "/connections");
    assert!(page.text().contains("not connected") && page.text().contains("Vendor &#38; Sons"), "{}", page.text());
    // Connect.
    let link = press(&mut browser, &page, "connect").await.page();
    assert!(path(&link.at).starts_with("/connect/"), "{}", link.at);
    let asked = decide(&mut browser, &link, "connect").await.elsewhere();
    browser.open(&story.vendor.says_yes(&asked, "ada at vendor")).await.page();
    assert_eq!(ada.call().await.said(), "ada at vendor");
    // See.
    let page = browser.open("/connections").await.page();
    assert!(page.text().contains("<dd>connected</dd>") && page.text().contains("Since"), "{}", page.text());
    // End.
    let page = press(&mut browser, &page, "disconnect").await.page();
    assert!(!page.text().contains("<dd>connected</dd>") && !page.text().contains("Disconnect"), "{}", page.text());
    assert!(story.vendor.counts().revocations > 0);
    ada.link().await;
    ada.connect(&story.vendor, "ada at vendor").await;
    assert_eq!(ada.call().await.said(), "ada at vendor");
}

#[tokio::test]
async fn sec_b1_people_see_and_end_nobodys_connections_but_their_own() {
    let story = Story::begin().await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    ada.connect(&story.vendor, "ada at vendor").await;
    let page = bob.browser.open("/connections").await.page();
    assert!(page.text().contains("not connected") && !page.text().contains("ada"), "{}", page.text());
    press(&mut bob.browser, &page, "disconnect").await.page();
    assert_eq!(ada.call().await.said(), "ada at vendor");
    let unknown =
        [("form", page.field("form")), ("upstream", "other".to_owned()), ("decision", "disconnect".to_owned())];
    let unknown = unknown.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_refused(&bob.browser.submit("/connections", &unknown).await.page(), 400, "invalid_request");
}
