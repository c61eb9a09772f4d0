//! Links in the hands of somebody else. Nobody gets connected, and for nobody does anything change.

use std::sync::Arc;

use portcullis_policies::kit::clock::SystemClock;

use super::{Person, Story, assert_refused, decide, path, say_name};
use crate::harness::{Browser, Setup, Vendor, form};

#[tokio::test]
async fn sec_a3_tr_32_bob_opens_the_link_of_ada_and_nothing_changes() {
    let story = Story::begin().await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    let link = ada.link().await;
    let page = bob.browser.open(&link).await.page();
    assert_refused(&page, 403, "not_yours");
    assert!(!page.text().contains("ada") && !page.text().contains("Vendor"), "{}", page.text());
    // Its form is good for signing in as somebody else, and for nothing more.
    let refused = decide(&mut bob.browser, &page, "connect").await.page();
    assert_refused(&refused, 403, "not_yours");
    assert!(!refused.text().contains("ada"), "{}", refused.text());
    story.assert_unchanged(&[&ada, &bob]).await;
    // It is still good for whom it was made.
    let asked = ada.agree(&link).await;
    ada.browser.open(&story.vendor.says_yes(&asked, "ada at vendor")).await.page();
    assert_eq!(ada.call().await.said(), "ada at vendor");
    bob.link().await;
}

#[tokio::test]
async fn sec_a3_bob_signs_in_on_the_page_of_ada_and_nothing_changes() {
    let story = Story::begin().await;
    let ada = story.person("ada").await;
    let link = ada.link().await;
    let mut browser = Browser::at(&story.gateway);
    let page = browser.open(&link).await.page();
    let login = decide(&mut browser, &page, "sign-in").await.page();
    assert_refused(&say_name(&mut browser, &login, "bob").await, 403, "not_yours");
    // The form that was shown before anybody had signed in is worth nothing now.
    assert_refused(&decide(&mut browser, &page, "connect").await.page(), 400, "stale");
    story.assert_unchanged(&[&ada]).await;
    // Whoever is both can say so.
    let page = browser.open(&link).await.page();
    let login = decide(&mut browser, &page, "sign-in-again").await.page();
    assert_eq!(say_name(&mut browser, &login, "ada").await.reply.status, 200);
}

#[tokio::test]
async fn sec_a3_oauth_86_what_ada_began_nobody_else_can_finish() {
    let story = Story::begin().await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    let link = ada.link().await;
    let asked = ada.agree(&link).await;
    // Bob says yes over there, in his own browser: what is his would be given to calls of Ada.
    let back = story.vendor.says_yes(&asked, "bob at vendor");
    assert_refused(&bob.browser.open(&back).await.page(), 400, "other_browser");
    // Not even in hers any more: it can be taken up once.
    assert_refused(&ada.browser.open(&back).await.page(), 404, "link_gone");
    story.assert_unchanged(&[&ada, &bob]).await;
}

#[tokio::test]
async fn sec_a3_whoever_signs_in_between_does_not_finish_what_another_began() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    let first = ada.link().await;
    let asked = ada.agree(&first).await;
    // Bob sits down at Ada's browser, and signs in for himself.
    let second = ada.link().await;
    let page = ada.browser.open(&second).await.page();
    let seal = page.field("form");
    let fields = [("form", seal.as_str()), ("decision", "sign-in-again")];
    let login = ada.browser.submit(path(&page.at), &fields).await.page();
    say_name(&mut ada.browser, &login, "bob").await;
    let back = story.vendor.says_yes(&asked, "bob at vendor");
    assert_refused(&ada.browser.open(&back).await.page(), 403, "not_yours");
    story.assert_unchanged(&[&ada]).await;
}

#[tokio::test]
async fn sec_a3_the_log_says_that_somebody_else_opened_a_link() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let gateway = Setup::new().route("/mcp", super::to(&vendor, "vendor")).spawn();
    let place = gateway.place().await;
    let (ada, mut bob) = (Person::at(&place, "ada").await, Person::at(&place, "bob").await);
    let link = ada.link().await;
    let page = bob.browser.open(&link).await.page();
    let line = gateway.says("opened by somebody else").await;
    assert!(line.contains("dev|bob") && line.contains("vendor"), "{line}");
    assert!(line.contains(page.reply.header("x-request-id").unwrap()), "{line}");
    assert!(!gateway.lines().concat().contains(path(&link)), "the link itself is a secret");
}

#[tokio::test]
async fn sec_a3_a_page_of_another_site_cannot_press_the_button() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    let seal = ada.browser.open(&link).await.page().field("form");
    for (name, value) in [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        let request = form(path(&link), &[("form", &seal), ("decision", "connect")]).header(name, value);
        assert_eq!(ada.browser.ask(request).await.status, 403, "{name}: {value}");
    }
    story.assert_unchanged(&[&ada]).await;
}
