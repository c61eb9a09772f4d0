//! Refreshing: from one process, from many at once, too late, and by a thief.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use serde_json::json;
use tokio::task::JoinSet;

use super::setup;
use crate::harness::{Gateway, OAuthClient, Reply, Request, Tokens, list_tools};

struct Story {
    gateway: Arc<Gateway>,
    client: OAuthClient,
    clock: Arc<ManualClock>,
    first: Tokens,
}

impl Story {
    async fn begin() -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let setup = setup().clock(clock.clone()).gateway("oauth", json!({ "requestsPerMinuteAndAddress": 1_000_000 }));
        let gateway = Arc::new(setup.start().await);
        let client = OAuthClient::register(&gateway).await;
        let first = client.sign_in(&gateway, "/mcp", "ada").await;
        Self { gateway, client, clock, first }
    }

    async fn refresh(&self, token: &str) -> Reply {
        self.client.refresh(&self.gateway, token).await
    }

    async fn works(&self, tokens: &Tokens) -> bool {
        let request = Request::post("/mcp", &list_tools(1)).bearer(&tokens.access);
        self.gateway.ask(&request).await.status == 200
    }

    /// Many processes refresh the same token at once.
    async fn race(&self, racers: usize, token: &str) -> Vec<Tokens> {
        let mut all = JoinSet::new();
        for _ in 0..racers {
            let (gateway, client, token) = (Arc::clone(&self.gateway), self.client.clone(), token.to_owned());
            all.spawn(async move { Tokens::of(&client.refresh(&gateway, &token).await) });
        }
        all.join_all().await
    }
}

#[tokio::test]
async fn oauth_41_as_11_a_refresh_token_is_rotated() {
    let story = Story::begin().await;
    let second = Tokens::of(&story.refresh(&story.first.refresh).await);
    assert_ne!(second.refresh, story.first.refresh);
    assert!(story.works(&second).await && story.works(&story.first).await);
}

#[tokio::test]
async fn oauth_42_oauth_44_sec_a18_fault_client_refreshes_twice_in_parallel() {
    let story = Story::begin().await;
    // Both racers end with working tokens, and still work one refresh later.
    let mut token = story.first.refresh.clone();
    for _ in 0..3 {
        let winners = story.race(64, &token).await;
        assert!(winners.iter().all(|tokens| tokens.refresh == winners[0].refresh), "one successor for all");
        assert!(story.works(&winners[0]).await && story.works(&winners[63]).await);
        token = winners[0].refresh.clone();
    }
}

#[tokio::test]
async fn oauth_42_fault_answer_lost_the_client_tries_again_within_the_minute() {
    let story = Story::begin().await;
    let lost = Tokens::of(&story.refresh(&story.first.refresh).await);
    story.clock.advance(Duration::from_secs(59));
    let again = Tokens::of(&story.refresh(&story.first.refresh).await);
    assert_eq!(again.refresh, lost.refresh);
    assert!(story.works(&again).await);
    assert_eq!(story.refresh(&again.refresh).await.status, 200);
}

#[tokio::test]
async fn oauth_43_as_11_fault_stolen_refresh_used_after_the_grace_ends_the_family() {
    let story = Story::begin().await;
    let second = Tokens::of(&story.refresh(&story.first.refresh).await);
    assert!(story.works(&second).await);
    story.clock.advance(Duration::from_secs(61));
    let thief = story.refresh(&story.first.refresh).await;
    assert_eq!((thief.status, thief.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert!(!story.works(&second).await, "revocation takes effect on the next request");
    assert_eq!(story.refresh(&second.refresh).await.status, 400);
}

#[tokio::test]
async fn oauth_45_a_refresh_token_that_nobody_uses_for_thirty_days_is_over() {
    for (days, good) in [(29, true), (31, false)] {
        let story = Story::begin().await;
        story.clock.advance(Duration::from_hours(24 * days));
        assert_eq!(story.refresh(&story.first.refresh).await.status == 200, good, "{days} days");
    }
}

#[tokio::test]
async fn oauth_45_a_grant_does_not_last_for_ever_however_often_it_is_refreshed() {
    let story = Story::begin().await;
    let mut token = story.first.refresh.clone();
    let mut months = 0;
    loop {
        story.clock.advance(Duration::from_hours(24 * 29));
        let reply = story.refresh(&token).await;
        if reply.status != 200 {
            break;
        }
        token = Tokens::of(&reply).refresh;
        months += 1;
        assert!(months < 24, "it lasts for ever");
    }
    assert!(months >= 11, "{months}");
}

#[tokio::test]
async fn oauth_39_a_refresh_token_is_no_use_to_another_client_and_survives_the_attempt() {
    let story = Story::begin().await;
    let other = OAuthClient::register(&story.gateway).await;
    let reply = other.refresh(&story.gateway, &story.first.refresh).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert_eq!(story.refresh(&story.first.refresh).await.status, 200);
}

#[tokio::test]
async fn oauth_39_oauth_40_sec_a7_as_09_scope_and_resource_may_shrink_and_never_grow() {
    let story = Story::begin().await;
    let token = story.first.refresh.as_str();
    let refresh = async |more: (&str, String)| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), (more.0, more.1.as_str())];
        story.client.token(&story.gateway, &fields).await
    };
    let at = |path: &str| format!("http://{}{path}", story.gateway.address);
    assert_eq!(refresh(("scope", "mcp:tools admin".to_owned())).await.json()["error"], "invalid_scope");
    assert_eq!(refresh(("resource", at("/other"))).await.json()["error"], "invalid_target");
    assert_eq!(refresh(("resource", at("/mcp"))).await.status, 200);
    assert_eq!(refresh(("scope", "mcp:tools".to_owned())).await.json()["scope"], "mcp:tools");
}

#[tokio::test]
async fn oauth_78_an_access_token_is_over_after_fifteen_minutes() {
    let story = Story::begin().await;
    story.clock.advance(Duration::from_secs(899));
    assert!(story.works(&story.first).await);
    story.clock.advance(Duration::from_secs(62));
    assert!(!story.works(&story.first).await);
}

/// The whole figure takes a minute or two; `--ignored` runs it, and so does `.ci/run`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; .ci/run runs it"]
async fn sec_a18_sixty_four_at_once_a_thousand_times_and_no_session_is_lost() {
    let story = Story::begin().await;
    let mut token = story.first.refresh.clone();
    for round in 0..1_000 {
        let winners = story.race(64, &token).await;
        assert!(winners.iter().all(|tokens| tokens.refresh == winners[0].refresh), "round {round}");
        token = winners[0].refresh.clone();
    }
    let last = Tokens::of(&story.refresh(&token).await);
    assert!(story.works(&last).await);
}
