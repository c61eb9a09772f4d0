//! The page on which people see their own connections.

use serde_json::json;

use super::{Story, assert_refused, decide, path, say_name};
use crate::harness::{Answer, Browser, Landed, MCP, Page, Request, until};

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

#[tokio::test]
async fn sec_a19_tr_15_a_subscription_ends_with_the_connection_that_it_was_opened_with() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    ada.connect(&story.vendor, "ada at vendor").await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "notifications": { "toolsListChanged": true }, "_meta": meta });
    let listen = json!({ "jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": params });
    let acknowledged = json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {} });
    story.vendor.answers(MCP, Some(Answer::events().event(&acknowledged).then_silence()));
    let request = Request::post("/mcp", &listen)
        .header("Mcp-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "subscriptions/listen")
        .bearer(&ada.tokens.access);
    let place = ada.place.clone();
    let asked = story.vendor.asked(MCP);
    let subscription = tokio::spawn(async move { place.ask(&request).await });
    until("the vendor has it", || story.vendor.asked(MCP) > asked).await;
    let page = ada.browser.open("/connections").await.page();
    press(&mut ada.browser, &page, "disconnect").await.page();
    let told = subscription.await.unwrap().messages();
    assert_eq!((told.len(), &told[0]), (2, &acknowledged));
    assert_eq!((&told[1]["id"], &told[1]["result"]["resultType"]), (&json!("l"), &json!("complete")));
}
