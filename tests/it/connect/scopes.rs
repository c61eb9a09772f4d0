//! What people say yes to.

use serde_json::json;

use super::{Story, assert_once_more, vendor};
use crate::harness::{MCP, parameters};

/// The scopes of an authorization request, in alphabetical order.
fn scopes(asked: &str) -> Vec<String> {
    let mut scopes: Vec<_> = parameters(asked)["scope"].split(' ').map(ToOwned::to_owned).collect();
    scopes.sort();
    scopes
}

#[tokio::test]
async fn cl_08_oauth_92_a_tool_that_needs_more_asks_for_all_scopes_together_and_then_works() {
    let vendor = vendor().await;
    vendor.asks_for("read");
    vendor.demands("write", "write");
    let story = Story::renewing(vendor, &json!({})).await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    let asked = ada.agree(&link).await;
    assert_eq!(scopes(&asked), ["read"]);
    ada.browser.open(&story.vendor.says_yes(&asked, "ada at vendor")).await.page();
    assert_eq!(ada.call().await.said(), "ada at vendor");

    story.vendor.forgets_calls();
    let told = ada.use_tool("write").await;
    assert_once_more(&told);
    assert_eq!((story.vendor.asked(MCP), story.vendor.counts().refreshes), (1, 0), "no refresh gives more");
    assert_eq!(ada.use_tool("read").await.said(), "ada at vendor", "what works goes on");

    let link = ada.link_in(&told);
    let asked = ada.agree(&link).await;
    assert_eq!(scopes(&asked), ["read", "write"]);
    ada.browser.open(&story.vendor.says_yes(&asked, "ada at vendor")).await.page();
    assert_eq!(ada.use_tool("write").await.said(), "ada at vendor");
    assert_eq!(ada.use_tool("read").await.said(), "ada at vendor");
}
