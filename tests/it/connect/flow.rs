//! From a call that nobody is connected for to one in the person's own name.

use super::{Story, decide, path, say_name};
use crate::harness::{AUTHORIZE, Browser, parameters};

#[tokio::test]
async fn tr_32_sb_13_a_person_is_asked_once_and_sees_our_own_page_first() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    for said in ["ada", "dev", &story.vendor.issuer(), &ada.tokens.access] {
        assert!(!link.contains(said), "{said} in {link}");
    }
    // In a browser in which nobody has signed in: our page, which does nothing by being looked at.
    ada.browser = Browser::at(&story.gateway);
    let page = ada.browser.open(&link).await.page();
    for shown in ["Vendor &#38; Sons", "Your issues at Vendor.", "127.0.0.1", "/mcp", "Sign in to go on"] {
        assert!(page.text().contains(shown), "{shown}:\n{}", page.text());
    }
    assert!(!page.text().contains("Signed in as") && story.vendor.asked(AUTHORIZE) == 0);
    // Who are you? And back to the page.
    let login = decide(&mut ada.browser, &page, "sign-in").await.page();
    let page = say_name(&mut ada.browser, &login, "ada").await;
    assert_eq!((page.at.as_str(), page.reply.status), (path(&link), 200));
    assert!(page.text().contains("Signed in as"), "{}", page.text());
    // The upstream's own sign-in, and back to us.
    let asked = decide(&mut ada.browser, &page, "connect").await.elsewhere();
    let done = ada.browser.open(&story.vendor.says_yes(&asked, "ada at vendor")).await.page();
    assert!(done.text().contains("is connected") && done.text().contains("close this page"), "{}", done.text());
    assert!(done.text().contains("go back to your program"), "{}", done.text());
    assert_eq!(ada.call().await.said(), "ada at vendor");
    assert_eq!(story.vendor.connected(), ["ada at vendor"]);
}

#[tokio::test]
async fn tr_32_oauth_86_each_person_is_connected_as_they_are_over_there() {
    let story = Story::begin().await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    ada.connect(&story.vendor, "ada at vendor").await;
    bob.connect(&story.vendor, "bob at vendor").await;
    assert_eq!((ada.call().await.said(), bob.call().await.said()), ("ada at vendor".into(), "bob at vendor".into()));
}

#[tokio::test]
async fn oauth_86_state_and_verifier_are_new_each_time() {
    let story = Story::begin().await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    let (ada_link, bob_link) = (ada.link().await, bob.link().await);
    assert_ne!(ada_link, bob_link);
    let first = parameters(&ada.agree(&ada_link).await);
    let second = parameters(&bob.agree(&bob_link).await);
    let link = ada.link().await;
    let third = parameters(&ada.agree(&link).await);
    for name in ["state", "code_challenge"] {
        assert!(first[name] != second[name] && first[name] != third[name], "{name}");
        assert!(first[name].len() >= 43, "{name}");
    }
}
