//! Several gateway processes on one store, and one after the other.

use serde_json::json;
use tokio::time::Instant;

use super::{api_keys::SOON, setup};
use crate::harness::{Browser, OAuthClient, Place, Process, Request, Tokens, form, list_tools, pause, until};

/// Under one public address, whichever ports the processes listen on.
fn node() -> Process {
    setup().gateway("publicUrl", json!("http://localhost:9")).spawn()
}

async fn call(gateway: &Place, token: &str) -> u16 {
    gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(token)).await.status
}

#[tokio::test]
async fn a_token_from_one_node_is_good_at_the_other() {
    let one = node();
    let gateway = one.place().await;
    let two = one.again();
    let (client, other) = (OAuthClient::register(&gateway).await, two.place().await);
    let mut browser = Browser::at(&gateway);
    let code = client.code(&mut browser, "/mcp", "ada").await;
    // A code that one gave is redeemed at the other, and what comes of it is refreshed at the first.
    let tokens = Tokens::of(&client.redeem(&other, &code).await);
    assert_eq!((call(&gateway, &tokens.access).await, call(&other, &tokens.access).await), (200, 200));
    let next = Tokens::of(&client.refresh(&gateway, &tokens.refresh).await);
    assert_eq!((call(&gateway, &next.access).await, call(&other, &next.access).await), (200, 200));
    let keys = Request::get("/oauth/jwks");
    assert_eq!(gateway.ask(&keys).await.json(), other.ask(&keys).await.json(), "both sign with one key");
}

#[tokio::test]
async fn sec_a19_what_is_revoked_at_one_node_is_refused_at_the_other_within_a_second() {
    let one = node();
    let gateway = one.place().await;
    let two = one.again();
    let other = two.place().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    assert_eq!(call(&other, &tokens.access).await, 200, "the other has it in memory now");
    let fields = [("token", tokens.refresh.as_str()), ("client_id", client.id.as_str())];
    assert_eq!(gateway.ask(&form("/oauth/revoke", &fields)).await.status, 200);
    let revoked = Instant::now();
    assert_eq!(call(&gateway, &tokens.access).await, 401, "here at once");
    while call(&other, &tokens.access).await != 401 {
        assert!(revoked.elapsed() < SOON, "still good after {:?}", revoked.elapsed());
        pause(20).await;
    }
}

#[tokio::test]
async fn oauth_42_oauth_44_sec_a18_both_nodes_asked_at_once_give_the_same_successor() {
    let one = node();
    let gateway = one.place().await;
    let two = one.again();
    let other = two.place().await;
    let client = OAuthClient::register(&gateway).await;
    let mut token = client.sign_in(&gateway, "/mcp", "ada").await.refresh;
    for round in 0..10 {
        let (here, there) = tokio::join!(client.refresh(&gateway, &token), client.refresh(&other, &token));
        let (here, there) = (Tokens::of(&here), Tokens::of(&there));
        assert_eq!(here.refresh, there.refresh, "round {round}");
        for access in [&here.access, &there.access] {
            assert_eq!((call(&gateway, access).await, call(&other, access).await), (200, 200), "round {round}");
        }
        token = here.refresh;
    }
}

#[tokio::test]
async fn fault_restart_tokens_and_browsers_survive_it() {
    let mut before = node();
    let gateway = before.place().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let code = client.code(&mut browser, "/mcp", "ada").await;
    let tokens = Tokens::of(&client.redeem(&gateway, &code).await);
    before.signal("TERM");
    until("the gateway ends", || before.has_ended()).await;
    let after = before.again();
    let gateway = after.place().await;
    assert_eq!(call(&gateway, &tokens.access).await, 200);
    assert!(browser.moved_to(&gateway).open(&client.url("/other")).await.page().text().contains("ada"));
    let next = Tokens::of(&client.refresh(&gateway, &tokens.refresh).await);
    assert_eq!(call(&gateway, &next.access).await, 200);
}
