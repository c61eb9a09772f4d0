//! The store does not do its work, and the gateway does what it still can.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, SqliteConnection, raw_sql, sqlite::SqliteConnectOptions};

use super::setup;
use crate::harness::{Browser, Gateway, OAuthClient, REDIRECT, Reply, Request, Tokens, list_tools, register, soon};

/// Another program that has the gateway's database open.
async fn intruder(gateway: &Gateway) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(gateway.folder().join("portcullis.db"));
    SqliteConnection::connect_with(&options.busy_timeout(Duration::from_secs(3))).await.unwrap()
}

async fn run(intruder: &mut SqliteConnection, sql: &'static str) {
    raw_sql(sql).execute(intruder).await.unwrap();
}

async fn call(gateway: &Gateway, token: &str) -> Reply {
    gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(token)).await
}

fn is_unavailable(what: &str, reply: &Reply) {
    assert_eq!(reply.status, 503, "{what}: {reply:?}");
    let seconds: u64 = reply.header("retry-after").unwrap_or_else(|| panic!("{what}: {reply:?}")).parse().unwrap();
    assert!((1..=60).contains(&seconds), "{what}: {seconds}");
    assert!(!reply.text().to_lowercase().contains("sqlite"), "{what}: {}", reply.text());
}

#[tokio::test]
async fn fault_store_that_cannot_be_written_known_tokens_work_and_nothing_is_half_done() {
    let gateway = setup().start().await;
    let client = OAuthClient::register(&gateway).await;
    let known = client.sign_in(&gateway, "/mcp", "ada").await;
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "bob").await;
    let mut browser = Browser::at(&gateway);
    let page = browser.open(&client.url("/mcp")).await.page();
    let request = page.field("request");

    let mut intruder = intruder(&gateway).await;
    run(&mut intruder, "BEGIN IMMEDIATE").await;
    assert_eq!(call(&gateway, &known.access).await.status, 200);
    let metadata = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
    let consent = crate::harness::form("/oauth/consent", &[("request", &request), ("decision", "allow")]);
    let (refreshed, redeemed, registered, consented) = soon("all of it is refused", async {
        tokio::join!(
            client.refresh(&gateway, &known.refresh),
            client.redeem(&gateway, &code),
            register(&gateway, &metadata),
            browser.ask(consent.clone()),
        )
    })
    .await;
    is_unavailable("refresh", &refreshed);
    is_unavailable("code", &redeemed);
    is_unavailable("registration", &registered);
    is_unavailable("consent", &consented);
    assert_eq!(refreshed.json()["error"], "temporarily_unavailable");
    assert_eq!(call(&gateway, &known.access).await.status, 200);
    run(&mut intruder, "ROLLBACK").await;

    // Without a restart all of it goes on from where it was.
    let refreshed = Tokens::of(&client.refresh(&gateway, &known.refresh).await);
    let redeemed = Tokens::of(&client.redeem(&gateway, &code).await);
    for token in [&known.access, &refreshed.access, &redeemed.access] {
        assert_eq!(call(&gateway, token).await.status, 200);
    }
    assert_eq!(register(&gateway, &metadata).await.status, 201);
    assert_eq!(browser.ask(consent).await.status, 303, "the same form is still good");
}

#[tokio::test]
async fn fault_store_that_cannot_be_read_known_tokens_work_for_five_minutes_and_then_nobody_is_let_in() {
    let gateway = setup().start().await;
    let client = OAuthClient::register(&gateway).await;
    let known = client.sign_in(&gateway, "/mcp", "ada").await;
    let mut intruder = intruder(&gateway).await;
    run(&mut intruder, "ALTER TABLE grants RENAME TO elsewhere").await;

    assert_eq!(call(&gateway, &known.access).await.status, 200);
    is_unavailable("refresh", &client.refresh(&gateway, &known.refresh).await);
    forward(Duration::from_mins(4)).await;
    assert_eq!(call(&gateway, &known.access).await.status, 200);
    forward(Duration::from_secs(90)).await;
    // Whether the token was revoked meanwhile, nobody can say.
    is_unavailable("a known token", &call(&gateway, &known.access).await);
    run(&mut intruder, "ALTER TABLE elsewhere RENAME TO grants").await;
    soon("the gateway comes back by itself", async {
        while call(&gateway, &known.access).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(client.refresh(&gateway, &known.refresh).await.status, 200);
}

/// Durations pass; the time of day stays.
async fn forward(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
