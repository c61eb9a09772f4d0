//! Sessions of the upstream, which begin before anybody is connected.

use serde_json::{Value, json};

use super::{Person, Story, vendor};
use crate::harness::{Reply, Request, call, initialize, list_tools, notification};

/// The names of the tools.
fn tools(reply: &Reply) -> Vec<String> {
    let message = reply.messages().pop().unwrap_or_default();
    let tools = message["result"]["tools"].as_array().unwrap_or_else(|| panic!("{reply:?}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Sends a message in a session.
pub(super) async fn say(person: &Person, session: &str, message: &Value) -> Reply {
    let request = Request::post("/mcp", message).header("Mcp-Protocol-Version", "2025-11-25");
    person.ask(request.header("Mcp-Session-Id", session)).await
}

async fn begin(person: &Person) -> String {
    begin_as(person, &json!({})).await
}

/// Begins a session of a client that declares this.
pub(super) async fn begin_as(person: &Person, capabilities: &Value) -> String {
    let mut hello = initialize(1);
    hello["params"]["capabilities"] = capabilities.clone();
    let hello = person.ask(Request::post("/mcp", &hello)).await;
    assert_eq!(hello.status, 200, "{hello:?}");
    let session = hello.header("mcp-session-id").unwrap().to_owned();
    assert_eq!(say(person, &session, &notification("notifications/initialized")).await.status, 202);
    session
}

#[tokio::test]
async fn tr_31_sec_b3_a_client_that_began_before_it_was_connected_goes_on_in_its_session() {
    let vendor = vendor().await;
    vendor.keeps_sessions();
    let story = Story::renewing(vendor, &json!({})).await;
    let (mut ada, mut bob) = (story.person("ada").await, story.person("bob").await);
    let session = begin(&ada).await;
    assert_eq!(tools(&say(&ada, &session, &list_tools(2)).await), ["connect_vendor"]);
    let told = say(&ada, &session, &call(3, "whoami", &json!({}))).await;
    assert!(told.text().contains("/connect/") && story.vendor.calls().is_empty(), "{told:?}");

    ada.connect(&story.vendor, "ada at vendor").await;
    assert_eq!(tools(&say(&ada, &session, &list_tools(4)).await), ["whoami", "read", "write"]);
    assert_eq!(say(&ada, &session, &call(5, "whoami", &json!({}))).await.said(), "ada at vendor");
    // With another token the session goes on as well.
    story.vendor.expires_tokens();
    assert_eq!(say(&ada, &session, &call(6, "whoami", &json!({}))).await.said(), "ada at vendor");
    assert_eq!(story.vendor.counts().refreshes, 1);

    // It is nobody else's.
    bob.connect(&story.vendor, "bob at vendor").await;
    assert_eq!(say(&bob, &session, &call(7, "whoami", &json!({}))).await.status, 404);
    let own = begin(&bob).await;
    assert_eq!(say(&bob, &own, &call(8, "whoami", &json!({}))).await.said(), "bob at vendor");
    assert_eq!(say(&ada, &own, &call(9, "whoami", &json!({}))).await.status, 404);
}
