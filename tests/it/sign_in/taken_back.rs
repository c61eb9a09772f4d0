//! What an operator takes back on the command line, while a gateway runs.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{api_keys::SOON, setup};
use crate::harness::{Browser, OAuthClient, Place, Process, Request, Tokens, form, list_tools, pause};

const ASKING: &str = "a-long-and-secret-word-to-ask-with";

/// Somebody who is signed in with a program, and in a browser.
struct Story {
    process: Process,
    gateway: Place,
    client: OAuthClient,
    browser: Browser,
    tokens: Tokens,
}

impl Story {
    async fn begin() -> Self {
        let inspector = json!({ "clientId": "inspector", "clientSecret": ASKING, "grantTypes": [] });
        let process = setup().oauth_client(&inspector).spawn();
        let gateway = process.place().await;
        let client = OAuthClient::register(&gateway).await;
        let mut browser = Browser::at(&gateway);
        let code = client.code(&mut browser, "/mcp", "ada").await;
        let tokens = Tokens::of(&client.redeem(&gateway, &code).await);
        let story = Self { process, gateway, client, browser, tokens };
        assert_eq!((story.call().await, story.introspect().await["active"].clone()), (200, json!(true)));
        story
    }

    async fn call(&self) -> u16 {
        self.gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(&self.tokens.access)).await.status
    }

    async fn introspect(&self) -> Value {
        let fields = [("token", self.tokens.access.as_str()), ("client_id", "inspector"), ("client_secret", ASKING)];
        self.gateway.ask(&form("/oauth/introspect", &fields)).await.json()
    }

    /// Does the browser's session still say who it is?
    async fn is_known(&mut self) -> bool {
        self.browser.open(&self.client.url("/other")).await.page().text().contains("ada")
    }

    fn grants(&self, arguments: &[&str]) -> std::process::Output {
        self.process.command(&[&["grants"], arguments].concat())
    }

    fn listed(&self) -> Vec<Value> {
        let output = self.process.command(&["--json", "grants", "list", "dev|ada"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The program is out, on every way in, within a second.
    async fn is_out(&self) {
        let revoked = Instant::now();
        while self.call().await != 401 {
            assert!(revoked.elapsed() < SOON, "still in after {:?}", revoked.elapsed());
            pause(20).await;
        }
        let refreshed = self.client.refresh(&self.gateway, &self.tokens.refresh).await;
        assert_eq!((refreshed.status, refreshed.json()["error"].as_str()), (400, Some("invalid_grant")));
        assert_eq!(self.introspect().await, json!({ "active": false }));
    }
}

#[tokio::test]
async fn sec_a19_oauth_46_a_grant_taken_back_by_the_operator_is_over_within_a_second() {
    let mut story = Story::begin().await;
    let listed = story.listed();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0]["client"], &listed[0]["revokedAt"]), (&json!(story.client.id), &json!(null)));
    let resource = format!("{}/mcp", story.gateway.origin);
    assert_eq!((&listed[0]["subject"], &listed[0]["resource"]), (&json!("dev|ada"), &json!(resource)));
    let output = story.grants(&["revoke", listed[0]["id"].as_str().unwrap()]);
    assert!(output.status.success());
    story.is_out().await;
    assert!(story.listed()[0]["revokedAt"].is_string());
    assert!(story.is_known().await, "the person herself is still signed in");
}

#[tokio::test]
async fn sec_a19_oauth_46_somebody_taken_out_by_the_operator_is_out_everywhere_within_a_second() {
    let mut story = Story::begin().await;
    let other = OAuthClient::register(&story.gateway).await;
    let bystander = other.sign_in(&story.gateway, "/mcp", "bob").await;
    assert!(story.is_known().await);
    assert!(story.grants(&["revoke", "dev|ada"]).status.success());
    story.is_out().await;
    assert!(!story.is_known().await, "the browser's session is over too");
    let call = Request::post("/mcp", &list_tools(1)).bearer(&bystander.access);
    assert_eq!(story.gateway.ask(&call).await.status, 200, "nobody else is touched");
    let again = story.client.sign_in(&story.gateway, "/mcp", "ada").await;
    let call = Request::post("/mcp", &list_tools(1)).bearer(&again.access);
    assert_eq!(story.gateway.ask(&call).await.status, 200, "who may sign in again may come back");
}

#[tokio::test]
async fn whoever_was_granted_nothing_has_nothing_to_take_back() {
    let story = Story::begin().await;
    for what in ["dev|nobody", "-ids-may-begin-so"] {
        let output = story.grants(&["revoke", what]);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("neither a grant nor somebody who has one"));
    }
    let output = story.grants(&["list", "dev|nobody"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Nothing was granted"));
    assert_eq!(story.call().await, 200);
}
