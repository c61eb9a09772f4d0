//! Who people are, asked again whenever one of their clients refreshes.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use serde_json::json;

use super::provider::route;
use crate::harness::{
    Answer, Browser, Gateway, JWKS, OAuthClient, Provider, Request, Route, Setup, TOKEN, Tokens, call, list_tools,
    parameters,
};

/// A provider and a gateway that keep to one clock. On the gateway's route, each value of the claim `roles` is good for
/// one call, which is how a policy can be seen to know them.
struct Story {
    provider: Provider,
    gateway: Gateway,
    clock: Arc<ManualClock>,
}

impl Story {
    async fn begin() -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let provider = Provider::new(clock.clone()).await;
        let by_roles = json!({ "rateLimitBy": { "claim": "roles" }, "requestsAllowed": 1, "timeWindowMinutes": 1440 });
        let route = route(&provider).policy("rate-limit", &by_roles);
        let gateway = Setup::new().clock(clock.clone()).route("/mcp", route).start().await;
        provider.knows("ada", json!({ "roles": ["reader"] }));
        Self { provider, gateway, clock }
    }

    /// Ada signs in with a new client.
    async fn ada(&self) -> (OAuthClient, Tokens) {
        let client = OAuthClient::register(&self.gateway).await;
        let tokens = client.through(&self.provider, &self.gateway, "/mcp", "ada").await;
        (client, tokens)
    }

    /// The status of a call.
    async fn call(&self, tokens: &Tokens) -> u16 {
        let request = Request::post("/mcp", &call(1, "list_notes", &json!({}))).bearer(&tokens.access);
        self.gateway.ask(&request).await.status
    }

    /// Makes the provider call Ada something else, and lets time pass.
    fn ada_becomes(&self, roles: &[&str]) {
        self.provider.knows("ada", json!({ "roles": roles }));
        self.later();
    }

    fn later(&self) {
        self.clock.advance(Duration::from_mins(2));
    }

    async fn refresh(&self, client: &OAuthClient, tokens: &Tokens) -> Tokens {
        Tokens::of(&client.refresh(&self.gateway, &tokens.refresh).await)
    }
}

#[tokio::test]
async fn roles_that_change_at_the_provider_count_from_the_next_refresh_on_whichever_token_is_shown() {
    let story = Story::begin().await;
    let (client, first) = story.ada().await;
    assert_eq!((story.call(&first).await, story.call(&first).await), (200, 429));
    story.ada_becomes(&["writer"]);
    assert_eq!(story.call(&first).await, 429, "nobody has asked the provider yet");
    let second = story.refresh(&client, &first).await;
    assert_eq!((story.call(&first).await, story.call(&second).await), (200, 429), "both are a writer's");
    story.ada_becomes(&["writer", "admin"]);
    let third = story.refresh(&client, &second).await;
    assert_eq!((story.call(&second).await, story.call(&third).await), (200, 429));
}

#[tokio::test]
async fn a_provider_is_asked_once_a_minute_about_somebody_and_all_their_clients_hear_of_it() {
    let story = Story::begin().await;
    let (one, ones) = story.ada().await;
    let (other, others) = story.ada().await;
    let asked = story.provider.asked(TOKEN);
    story.ada_becomes(&["writer"]);
    let ones = story.refresh(&one, &ones).await;
    let others = story.refresh(&other, &others).await;
    assert_eq!(story.provider.asked(TOKEN), asked + 1);
    assert_eq!((story.call(&others).await, story.call(&ones).await), (200, 429), "both are a writer's");
}

#[tokio::test]
async fn oauth_46_whoever_is_locked_out_at_the_provider_is_locked_out_of_everything_here() {
    let story = Story::begin().await;
    let (one, ones) = story.ada().await;
    let mut browser = Browser::at(&story.gateway);
    let other = OAuthClient::register(&story.gateway).await;
    let login = other.to_provider(&mut browser, "/mcp").await;
    let back = browser.open(&story.provider.sign_in(&login, "ada")).await.elsewhere();
    let others = Tokens::of(&other.redeem(&story.gateway, &parameters(&back)["code"]).await);
    let bob = OAuthClient::register(&story.gateway).await;
    let bobs = bob.through(&story.provider, &story.gateway, "/mcp", "bob").await;
    story.provider.locks_out("ada");
    story.later();
    let reply = one.refresh(&story.gateway, &ones.refresh).await;
    assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_grant")), "{}", reply.text());
    for tokens in [&ones, &others] {
        assert_eq!(story.call(tokens).await, 401);
    }
    assert_eq!(other.refresh(&story.gateway, &others.refresh).await.status, 400);
    assert!(!browser.open(&other.url("/mcp")).await.page().text().contains("Signed in as"));
    // Nobody else is concerned, and Ada may come back if the provider lets her.
    assert_eq!(story.call(&bobs).await, 200);
    story.refresh(&bob, &bobs).await;
    let (_, again) = story.ada().await;
    assert_eq!(story.call(&again).await, 200);
}

#[tokio::test]
async fn a_session_that_ends_at_the_provider_locks_nobody_out_here() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let provider = Provider::new(clock.clone()).await;
    let mut options = provider.options();
    options["browserLogin"]["scope"] = json!("openid profile email");
    let route = Route::demo().policy("mcp-oauth-inbound", &options);
    let gateway = Setup::new().clock(clock.clone()).route("/mcp", route).start().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.through(&provider, &gateway, "/mcp", "ada").await;
    // Without `offline_access` a provider's refresh token ends with the person's session there.
    provider.locks_out("ada");
    clock.advance(Duration::from_mins(2));
    let again = Tokens::of(&client.refresh(&gateway, &tokens.refresh).await);
    let call = Request::post("/mcp", &list_tools(1)).bearer(&again.access);
    assert_eq!(gateway.ask(&call).await.status, 200);
}

#[tokio::test]
async fn fault_idp_while_a_provider_cannot_be_asked_what_is_known_stays() {
    let story = Story::begin().await;
    let (client, mut tokens) = story.ada().await;
    assert_eq!(story.call(&tokens).await, 200);
    story.ada_becomes(&["writer"]);
    for answer in [
        Answer::hang_up(),
        Answer::status(500),
        Answer::body(429, "text/plain", "slow down"),
        Answer::body(200, "text/html", "<h1>Welcome</h1>"),
        Answer::body(400, "application/json", json!({ "error": "temporarily_unavailable" }).to_string()),
        Answer::body(401, "application/json", json!({ "error": "invalid_client" }).to_string()),
        Answer::never(),
    ] {
        story.provider.answers(TOKEN, Some(answer));
        tokens = story.refresh(&client, &tokens).await;
        assert_eq!(story.call(&tokens).await, 429, "still a reader's");
        story.later();
    }
    story.provider.answers(TOKEN, None);
    tokens = story.refresh(&client, &tokens).await;
    assert_eq!(story.call(&tokens).await, 200, "a writer's");
}

#[tokio::test]
async fn sec_a17_claims_that_cannot_be_believed_are_not_taken_over() {
    let now = SystemClock.now().as_seconds();
    for claims in [
        json!({ "sub": "mallory" }),
        json!({ "iss": "https://elsewhere.example" }),
        json!({ "aud": "another-client" }),
        json!({ "exp": now - 3600 }),
    ] {
        let story = Story::begin().await;
        let (client, tokens) = story.ada().await;
        assert_eq!(story.call(&tokens).await, 200);
        story.ada_becomes(&["admin"]);
        let mut with_roles = claims.clone();
        with_roles["roles"] = json!(["admin"]);
        story.provider.claims(with_roles);
        let tokens = story.refresh(&client, &tokens).await;
        assert_eq!(story.call(&tokens).await, 429, "{claims}: still a reader's");
    }
}

#[tokio::test]
async fn a_provider_that_gives_no_refresh_tokens_is_not_asked_again() {
    let story = Story::begin().await;
    story.provider.gives_no_refresh_tokens();
    let (client, tokens) = story.ada().await;
    let asked = (story.provider.asked(TOKEN), story.provider.asked(JWKS));
    story.ada_becomes(&["writer"]);
    let tokens = story.refresh(&client, &tokens).await;
    assert_eq!((story.provider.asked(TOKEN), story.provider.asked(JWKS)), asked);
    assert_eq!((story.call(&tokens).await, story.call(&tokens).await), (200, 429));
}
