//! The forms on our pages, and the headers of the pages.

use super::{Story, assert_refused, path};
use crate::harness::{Browser, Request};

#[tokio::test]
async fn sb_01_a_form_counts_in_the_browser_and_on_the_page_that_it_was_shown_on() {
    let story = Story::begin().await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    let (ada_link, bob_link) = (ada.link().await, bob.link().await);
    let seal = ada.browser.open(&ada_link).await.page().field("form");
    let fields = [("form", seal.as_str()), ("decision", "connect")];
    // Without our cookie, and with that of another browser.
    assert_refused(&Browser::at(&story.gateway).submit(path(&ada_link), &fields).await.page(), 400, "no_cookie");
    bob.browser.open(&bob_link).await.page();
    assert_refused(&bob.browser.submit(path(&bob_link), &fields).await.page(), 400, "stale");
    // On another page of the same browser.
    assert_refused(&ada.browser.submit("/connections", &fields).await.page(), 400, "stale");
    // Tampered with, and empty.
    let tampered = seal.chars().rev().collect::<String>();
    for fields in [&[("form", tampered.as_str()), ("decision", "connect")][..], &[("decision", "connect")]] {
        assert_refused(&ada.browser.submit(path(&ada_link), fields).await.page(), 400, "stale");
    }
    let nothing = [("form", seal.as_str()), ("decision", "dance")];
    assert_refused(&ada.browser.submit(path(&ada_link), &nothing).await.page(), 400, "invalid_request");
    story.assert_unchanged(&[&ada, &bob]).await;
}

#[tokio::test]
async fn sb_07_oauth_18_our_pages_have_no_script_and_no_frame() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    for at in [path(&link), "/connections", "/connect/unknown", "/connect/callback/vendor?state=unknown"] {
        let page = ada.browser.open(at).await.page();
        let policy = page.reply.header("content-security-policy").unwrap_or_else(|| panic!("none at {at}"));
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{at}: {policy}");
        assert!(!policy.contains("script") && !policy.contains("unsafe"), "{at}: {policy}");
        assert_eq!(page.reply.header("x-frame-options"), Some("DENY"), "{at}");
        assert_eq!(page.reply.header("cache-control"), Some("no-store"), "{at}");
        assert!(page.reply.header("access-control-allow-origin").is_none(), "{at}");
        assert!(!page.text().contains("<script"), "{at}");
    }
}

#[tokio::test]
async fn oauth_22_cookies_of_the_pages_are_for_no_more_paths_than_look_at_them() {
    let story = Story::begin().await;
    let reply = story.gateway.ask(&Request::get("/connections")).await;
    let cookies = reply.all("set-cookie");
    let paths: Vec<_> = cookies.iter().filter_map(|cookie| cookie.split("Path=").nth(1)?.split(';').next()).collect();
    assert_eq!(paths, ["/oauth", "/connect", "/connections", "/approvals", "/audit", "/pins"], "{cookies:?}");
    assert!(cookies.iter().all(|cookie| cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax")), "{cookies:?}");
}
