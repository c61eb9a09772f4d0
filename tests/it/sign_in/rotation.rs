//! How the keys that sign access tokens succeed each other.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use serde_json::Value;

use super::setup;
use crate::harness::{Gateway, OAuthClient, Request, list_tools};

const DAY: Duration = Duration::from_hours(24);

struct Story {
    gateway: Gateway,
    client: OAuthClient,
    clock: Arc<ManualClock>,
}

impl Story {
    async fn begin() -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let gateway = setup().clock(clock.clone()).start().await;
        let client = OAuthClient::register(&gateway).await;
        Self { gateway, client, clock }
    }

    async fn later(&self, time: Duration) {
        self.clock.advance(time);
        self.gateway.tidy().await;
    }

    async fn published(&self) -> Vec<String> {
        let keys = self.gateway.ask(&Request::get("/oauth/jwks")).await.json();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    async fn token(&self) -> String {
        self.client.sign_in(&self.gateway, "/mcp", "ada").await.access
    }

    async fn works(&self, token: &str) -> bool {
        let status = self.gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(token)).await.status;
        assert!(matches!(status, 200 | 401), "{status}");
        status == 200
    }
}

fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn oauth_71_a_new_key_is_published_a_day_before_it_signs_and_an_old_one_a_day_after() {
    let story = Story::begin().await;
    let first = kid(&story.token().await);
    assert_eq!(story.published().await, [first.as_str()]);
    story.later(DAY * 28).await;
    assert_eq!(story.published().await, [first.as_str()]);
    story.later(DAY).await;
    let published = story.published().await;
    let second = published.iter().find(|kid| **kid != first).expect("the next key is announced").clone();
    assert_eq!((published.len(), kid(&story.token().await)), (2, first.clone()), "and does not sign yet");
    story.later(Duration::from_mins(24 * 60 - 1)).await;
    let old = story.token().await;
    assert_eq!(kid(&old), first);
    story.later(Duration::from_mins(1)).await;
    assert_eq!(kid(&story.token().await), second, "now it signs");
    assert!(story.works(&old).await, "what the old one signed is good for its life");
    story.later(Duration::from_secs(13 * 60 + 59)).await;
    assert!(story.works(&old).await);
    assert_eq!(story.published().await.len(), 2);
    story.later(DAY).await;
    assert_eq!(story.published().await, [second], "the old key is gone");
    assert!(!story.works(&old).await);
}

#[tokio::test]
async fn oauth_71_a_session_lives_on_through_three_new_keys() {
    let story = Story::begin().await;
    let mut kids = std::collections::BTreeSet::new();
    let mut tokens = story.client.sign_in(&story.gateway, "/mcp", "ada").await;
    for day in 0..90 {
        story.later(DAY).await;
        tokens = crate::harness::Tokens::of(&story.client.refresh(&story.gateway, &tokens.refresh).await);
        assert!(story.works(&tokens.access).await, "day {day}");
        assert!(story.published().await.contains(&kid(&tokens.access)), "day {day}");
        kids.insert(kid(&tokens.access));
    }
    assert_eq!(kids.len(), 3 + 1, "a key signs for thirty days");
}
