//! How long links are good, and that they are good once.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};

use super::{Story, assert_refused, decide};
use crate::harness::Page;

/// A page without what differs from request to request.
fn words(page: &Page) -> String {
    page.text().replace(page.reply.header("x-request-id").unwrap(), "")
}

#[tokio::test]
async fn tr_32_a_link_that_was_used_one_that_is_too_old_and_one_that_never_was_look_the_same() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let story = Story::by(clock.clone()).await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    let (used, old) = (ada.link().await, bob.link().await);
    ada.connect(&story.vendor, "ada at vendor").await;
    clock.advance(Duration::from_mins(11));
    let unknown = ada.browser.open("/connect/Zm9vYmFy").await.page();
    assert_refused(&unknown, 404, "link_gone");
    let used = ada.browser.open(&used).await.page();
    let old = bob.browser.open(&old).await.page();
    for page in [used, old] {
        assert_refused(&page, 404, "link_gone");
        assert_eq!(words(&page), words(&unknown));
    }
}

#[tokio::test]
async fn tr_32_a_link_begins_one_flow() {
    let story = Story::begin().await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    let page = ada.browser.open(&link).await.page();
    decide(&mut ada.browser, &page, "connect").await.elsewhere();
    assert_refused(&decide(&mut ada.browser, &page, "connect").await.page(), 404, "link_gone");
}
