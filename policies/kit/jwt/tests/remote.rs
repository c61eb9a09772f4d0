use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::time::advance;

use super::{
    provider::{Provider, jwks, key},
    *,
};
use crate::kit::fetch::FetchError;

const URL: &str = "https://as.example/jwks";

fn remote(provider: &Arc<Provider>) -> RemoteKeys {
    RemoteKeys::new(URL.parse().unwrap(), Arc::clone(provider) as _)
}

async fn knows(keys: &RemoteKeys, kid: &str) -> bool {
    keys.get(Some(kid)).await.unwrap().knows(kid)
}

/// Lets tasks in the background run, without time passing.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn later(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn fault_ten_thousand_tokens_with_unknown_keys_cause_at_most_two_fetches() {
    let (provider, key) = (Provider::new(), key());
    provider.answers(URL, jwks(&[&key]));
    let keys = remote(&provider);
    for number in 0..10_000 {
        assert!(!knows(&keys, &format!("random-{number}")).await);
    }
    assert!(knows(&keys, key.kid()).await);
    assert_eq!(provider.asked().len(), 2);
    later(29).await;
    assert!(!knows(&keys, "random").await);
    assert_eq!(provider.asked().len(), 0);
    later(1).await;
    assert!(!knows(&keys, "random").await && !knows(&keys, "another").await);
    assert_eq!(provider.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_the_issuer_changes_its_keys_and_the_first_token_with_the_new_one_is_accepted() {
    let (provider, old, new) = (Provider::new(), key(), key());
    provider.answers(URL, jwks(&[&old]));
    let keys = remote(&provider);
    assert!(knows(&keys, old.kid()).await);
    provider.answers(URL, jwks(&[&old, &new]));
    assert!(knows(&keys, new.kid()).await);
    assert!(knows(&keys, old.kid()).await);
    assert_eq!(provider.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn fault_a_thousand_first_tokens_at_once_cause_one_fetch() {
    let (provider, key) = (Provider::new(), key());
    provider.answers(URL, jwks(&[&key]));
    provider.takes(Duration::from_secs(1));
    let keys = remote(&provider);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let (keys, kid) = (keys.clone(), key.kid().to_owned());
        calls.spawn(async move { knows(&keys, &kid).await });
    }
    assert!(calls.join_all().await.into_iter().all(|known| known));
    assert_eq!(provider.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_a_token_whose_bearer_hangs_up_does_not_stop_the_fetch_for_others() {
    let (provider, key) = (Provider::new(), key());
    provider.answers(URL, jwks(&[&key]));
    provider.takes(Duration::from_secs(1));
    let keys = remote(&provider);
    let call = keys.get(Some(key.kid()));
    assert!(tokio::time::timeout(Duration::from_millis(10), call).await.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(knows(&keys, key.kid()).await);
    assert_eq!(provider.asked().len(), 1);
}

fn break_it(provider: &Provider, how: &str) {
    match how {
        "down" => provider.fails(URL, FetchError::Unreachable("refused".into())),
        "slow" => provider.takes(Duration::from_mins(1)),
        "500" => provider.fails(URL, FetchError::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        "429" => provider.fails(URL, FetchError::Status(StatusCode::TOO_MANY_REQUESTS)),
        "HTML" => provider.answers(URL, "<!doctype html><title>Sign in to the Wi-Fi</title>"),
        "other JSON" => provider.answers(URL, r#"{"error":"temporarily_unavailable"}"#),
        "no keys" => provider.answers(URL, r#"{"keys":[]}"#),
        "only private keys" => provider.answers(URL, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#),
        other => panic!("{other}"),
    }
}

const WAYS: [&str; 8] = ["down", "slow", "500", "429", "HTML", "other JSON", "no keys", "only private keys"];

#[tokio::test(start_paused = true)]
async fn fault_while_the_issuer_is_broken_its_last_keys_count_for_a_day_and_then_no_more() {
    for how in WAYS {
        let (provider, key) = (Provider::new(), key());
        provider.answers(URL, jwks(&[&key]));
        let keys = remote(&provider);
        assert!(knows(&keys, key.kid()).await);
        break_it(&provider, how);
        for _ in 0..23 {
            later(3600).await;
            let before = tokio::time::Instant::now();
            assert!(knows(&keys, key.kid()).await, "{how}");
            assert_eq!(before.elapsed(), Duration::ZERO, "{how}: nobody waits");
        }
        later(3600).await;
        assert!(keys.get(Some(key.kid())).await.is_err(), "{how}");
        provider.takes(Duration::ZERO);
        provider.answers(URL, jwks(&[&key]));
        later(30).await;
        assert!(knows(&keys, key.kid()).await, "{how}: it is back");
    }
}

#[tokio::test(start_paused = true)]
async fn fault_a_broken_issuer_is_asked_less_and_less_often_and_nothing_is_accepted() {
    for how in WAYS {
        let provider = Provider::new();
        break_it(&provider, how);
        let keys = remote(&provider);
        for _ in 0..600 {
            let unavailable = keys.get(Some("kid")).await.unwrap_err();
            assert!(unavailable.retry_after <= Duration::from_secs(30), "{how}");
            later(1).await;
        }
        let asked = provider.asked().len();
        assert!((5..=26).contains(&asked), "{how}: {asked} times in ten minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_when_the_issuer_says_within_reason() {
    for (says, seconds) in [
        ("", 600),
        ("max-age=3600", 3600),
        ("public, max-age=7200, must-revalidate", 7200),
        ("MAX-AGE=120", 120),
        ("max-age=0", 60),
        ("no-store", 60),
        ("no-cache, max-age=3600", 60),
        ("max-age=99999999", 86_400),
        ("max-age=soon", 600),
    ] {
        let (provider, key) = (Provider::new(), key());
        provider.answers(URL, jwks(&[&key]));
        provider.caches(URL, says);
        let keys = remote(&provider);
        knows(&keys, key.kid()).await;
        later(seconds - 1).await;
        knows(&keys, key.kid()).await;
        settle().await;
        assert_eq!(provider.asked().len(), 1, "{says}");
        later(1).await;
        let _ = keys.get(Some(key.kid())).await;
        settle().await;
        assert_eq!(provider.asked().len(), 1, "{says}");
    }
}

const OPENID: &str = "https://as.example/tenant/.well-known/openid-configuration";
const RFC_8414: &str = "https://as.example/.well-known/oauth-authorization-server/tenant";

fn says(issuer: &str, jwks_uri: &str) -> String {
    json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string()
}

#[tokio::test(start_paused = true)]
async fn keys_are_found_by_either_kind_of_discovery_document() {
    for (place, asked) in [(OPENID, vec![OPENID, URL]), (RFC_8414, vec![OPENID, RFC_8414, URL])] {
        let (provider, key) = (Provider::new(), key());
        provider.answers(place, says("https://as.example/tenant", URL));
        provider.answers(URL, jwks(&[&key]));
        let keys = RemoteKeys::discover("https://as.example/tenant", Arc::clone(&provider) as _);
        assert!(knows(&keys, key.kid()).await);
        assert_eq!(provider.asked(), asked);
        // What was found is not looked for again.
        later(600).await;
        assert!(knows(&keys, key.kid()).await);
        settle().await;
        assert_eq!(provider.asked(), [URL]);
    }
}

#[tokio::test(start_paused = true)]
async fn oauth_84_a_discovery_document_of_another_issuer_gives_no_keys() {
    let issuer = "https://as.example/tenant";
    for document in [
        says("https://as.example/tenant/", URL),
        says("https://as.example", URL),
        says("https://AS.example/tenant", URL),
        says("https://evil.example", URL),
        json!({ "jwks_uri": URL }).to_string(),
        json!({ "issuer": [issuer], "jwks_uri": URL }).to_string(),
        format!(r#"{{"issuer":"https://evil.example","issuer":"{issuer}","jwks_uri":"{URL}"}}"#),
        says(issuer, "http://as.example/jwks"),
        says(issuer, "file:///etc/passwd"),
        json!({ "issuer": issuer }).to_string(),
        "<html>".to_owned(),
    ] {
        let (provider, key) = (Provider::new(), key());
        provider.answers(OPENID, document.clone());
        provider.answers(URL, jwks(&[&key]));
        provider.answers("http://as.example/jwks", jwks(&[&key]));
        let keys = RemoteKeys::discover(issuer, Arc::clone(&provider) as _);
        assert!(keys.get(Some(key.kid())).await.is_err(), "{document}");
        assert_eq!(provider.asked(), [OPENID], "{document}");
    }
}
