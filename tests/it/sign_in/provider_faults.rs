//! A provider that is down, slow, or answers with nonsense: the page says so, and nobody is signed in.

use std::{collections::BTreeSet, time::Duration};

use portcullis_policies::kit::jwt::SigningKey;
use serde_json::json;
use tokio::time::Instant;

use super::provider::{assert_failed, provider, route};
use crate::harness::{
    Answer, Browser, DISCOVERY, Gateway, JWKS, Landed, OAuthClient, Page, Provider, Route, Setup, TOKEN, parameters,
    sign,
};

/// The ways in which one of its parts fails, and what the page says of each.
fn faults() -> [(Answer, &'static str); 7] {
    [
        (Answer::hang_up(), "cannot be reached"),
        (Answer::never(), "no answer in time"),
        (Answer::status(500), "status 500"),
        (Answer::body(503, "text/html", "<h1>Back soon</h1>"), "status 503"),
        (Answer::body(429, "text/plain", "slow down").header("Retry-After", "60"), "status 429"),
        (Answer::body(200, "text/html", "<h1>Welcome</h1>"), "cannot be read"),
        (Answer::status(302).header("Location", "https://elsewhere.example/"), "redirect"),
    ]
}

/// A gateway that gives the provider half a second.
async fn impatient(provider: &Provider) -> (Gateway, OAuthClient) {
    let mut options = provider.options();
    options["browserLogin"]["remoteTimeoutMs"] = 500.into();
    let gateway = Setup::new().route("/mcp", Route::demo().policy("mcp-oauth-inbound", &options)).start().await;
    let client = OAuthClient::register(&gateway).await;
    (gateway, client)
}

/// Says yes, signs in if the provider can be found at all, and comes back.
async fn attempt(provider: &Provider, gateway: &Gateway, client: &OAuthClient) -> Page {
    let mut browser = Browser::at(gateway);
    let sealed = browser.open(&client.url("/mcp")).await.page().field("request");
    let begun = Instant::now();
    let page = match browser.submit("/oauth/consent", &[("request", &sealed), ("decision", "allow")]).await {
        Landed::Page(page) => *page,
        Landed::Elsewhere(login) => browser.open(&provider.sign_in(&login, "ada")).await.page(),
    };
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    page
}

#[tokio::test]
async fn fault_idp_discovery_fails_and_works_again_with_the_next_sign_in() {
    let provider = provider().await;
    let (gateway, client) = impatient(&provider).await;
    for (answer, why) in faults() {
        provider.answers(DISCOVERY, Some(answer));
        let page = attempt(&provider, &gateway, &client).await;
        assert_failed(&page, why);
        assert_failed(&page, "discovery document");
    }
    provider.answers(DISCOVERY, None);
    client.through(&provider, &gateway, "/mcp", "ada").await;
}

#[tokio::test]
async fn fault_idp_the_token_endpoint_fails_and_works_again_with_the_next_sign_in() {
    let provider = provider().await;
    let (gateway, client) = impatient(&provider).await;
    for (answer, why) in faults() {
        provider.answers(TOKEN, Some(answer));
        let page = attempt(&provider, &gateway, &client).await;
        assert_failed(&page, why);
        assert_failed(&page, "token endpoint");
    }
    let refused = Answer::body(400, "application/json", json!({ "error": "invalid_client" }).to_string());
    provider.answers(TOKEN, Some(refused));
    assert_failed(&attempt(&provider, &gateway, &client).await, "refused: invalid_client");
    let without = json!({ "access_token": "x", "token_type": "Bearer" });
    provider.answers(TOKEN, Some(Answer::json(&without)));
    assert_failed(&attempt(&provider, &gateway, &client).await, "no ID token");
    provider.answers(TOKEN, None);
    client.through(&provider, &gateway, "/mcp", "ada").await;
}

#[tokio::test]
async fn fault_idp_its_keys_cannot_be_had_and_are_asked_for_again_a_moment_later() {
    let provider = provider().await;
    for (answer, _) in faults() {
        let (gateway, client) = impatient(&provider).await;
        provider.answers(JWKS, Some(answer));
        assert_failed(&attempt(&provider, &gateway, &client).await, "its keys cannot be had");
    }
    let (gateway, client) = impatient(&provider).await;
    let before = provider.asked(JWKS);
    for _ in 0..5 {
        assert_failed(&attempt(&provider, &gateway, &client).await, "its keys cannot be had");
    }
    assert!(provider.asked(JWKS) - before <= 2, "a provider that fails is left alone for a second");
    provider.answers(JWKS, None);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    client.through(&provider, &gateway, "/mcp", "ada").await;
}

#[tokio::test]
async fn fault_idp_keys_that_are_known_go_on_to_be_good_while_the_provider_gives_none() {
    let provider = provider().await;
    let (gateway, client) = impatient(&provider).await;
    client.through(&provider, &gateway, "/mcp", "ada").await;
    provider.answers(JWKS, Some(Answer::status(500)));
    client.through(&provider, &gateway, "/mcp", "bob").await;
}

#[tokio::test]
async fn fault_idp_a_new_key_is_found_with_one_fetch_and_unknown_ones_are_not_looked_for_again_and_again() {
    let provider = provider().await;
    let gateway = Setup::new().route("/mcp", route(&provider)).start().await;
    let client = OAuthClient::register(&gateway).await;
    client.through(&provider, &gateway, "/mcp", "ada").await;
    assert_eq!(provider.asked(JWKS), 1);
    provider.rotates_its_key();
    client.through(&provider, &gateway, "/mcp", "ada").await;
    assert_eq!(provider.asked(JWKS), 2, "the new key is accepted after one fetch");
    // From then on, keys that nobody knows.
    provider.signs(|key, claims| sign(&SigningKey::generate(key.algorithm()).unwrap(), &claims));
    for _ in 0..20 {
        assert_failed(&attempt(&provider, &gateway, &client).await, "not signed with a key");
    }
    assert_eq!(provider.asked(JWKS), 2, "one look in half a minute");
    provider.signs_plainly();
    client.through(&provider, &gateway, "/mcp", "ada").await;
}

#[tokio::test]
async fn fault_idp_many_sign_ins_at_once_ask_for_the_discovery_document_once() {
    let provider = provider().await;
    let (gateway, client) = impatient(&provider).await;
    let begin = async || client.to_provider(&mut Browser::at(&gateway), "/mcp").await;
    let (one, two, three, four) = tokio::join!(begin(), begin(), begin(), begin());
    assert_eq!(provider.asked(DISCOVERY), 1);
    let states: BTreeSet<_> = [one, two, three, four].iter().map(|url| parameters(url)["state"].clone()).collect();
    assert_eq!(states.len(), 4, "each is a sign-in of its own");
}
