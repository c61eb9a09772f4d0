//! The ID tokens of people, for upstreams where they are exchanged.

use std::{sync::Arc, time::Duration};

use portcullis::upstreams::connections::{NoSubjectToken, SubjectTokens};
use portcullis_policies::kit::{
    clock::{Clock, ManualClock, SystemClock},
    host::Caller,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::harness::{Answer, Gateway, OAuthClient, Provider, Route, Setup, TOKEN};

struct Story {
    provider: Provider,
    gateway: Gateway,
    clock: Arc<ManualClock>,
}

impl Story {
    /// Ada has signed in.
    async fn begin(offline: bool) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let provider = Provider::new(clock.clone()).await;
        if !offline {
            provider.gives_no_refresh_tokens();
        }
        let route = Route::demo().policy("mcp-oauth-inbound", &provider.options());
        let gateway = Setup::new().clock(clock.clone()).route("/mcp", route).start().await;
        OAuthClient::register(&gateway).await.through(&provider, &gateway, "/mcp", "ada").await;
        Self { provider, gateway, clock }
    }

    async fn token(&self) -> Result<SecretString, NoSubjectToken> {
        let subject = format!("{}|ada", self.provider.issuer());
        self.gateway.subject_tokens().id_token(&Caller::new(subject)).await
    }

    /// How often the provider was asked for tokens.
    fn asked(&self) -> usize {
        self.provider.asked(TOKEN)
    }
}

#[tokio::test]
async fn oauth_52_the_id_token_of_the_sign_in_is_used_while_it_is_good_and_then_another() {
    let story = Story::begin(true).await;
    let first = story.token().await.unwrap();
    assert_eq!(story.token().await.unwrap().expose_secret(), first.expose_secret());
    assert_eq!(story.asked(), 1, "only at the sign-in");
    story.clock.advance(Duration::from_mins(5));
    let second = story.token().await.unwrap();
    assert_ne!(second.expose_secret(), first.expose_secret());
    assert_eq!(story.token().await.unwrap().expose_secret(), second.expose_secret());
    assert_eq!(story.asked(), 2);
}

#[tokio::test]
async fn however_many_wait_the_provider_is_asked_once() {
    let story = Arc::new(Story::begin(true).await);
    story.clock.advance(Duration::from_mins(5));
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let story = Arc::clone(&story);
            tokio::spawn(async move { story.token().await.unwrap().expose_secret().to_owned() })
        })
        .collect();
    let mut tokens = Vec::new();
    for asked in asking {
        tokens.push(asked.await.unwrap());
    }
    tokens.dedup();
    assert_eq!((tokens.len(), story.asked()), (1, 2));
}

#[tokio::test]
async fn sec_a9_nobody_gets_a_token_that_nobody_gave() {
    let story = Story::begin(false).await;
    story.token().await.unwrap();
    story.clock.advance(Duration::from_mins(5));
    let error = story.token().await.unwrap_err();
    assert!(matches!(&error, NoSubjectToken::SignInAgain(why) if why.contains("offline_access")), "{error}");
    for subject in ["dev|ada", "key|1", "client|1", "", "https://elsewhere.example|ada"] {
        let error = story.gateway.subject_tokens().id_token(&Caller::new(subject)).await.unwrap_err();
        assert!(matches!(&error, NoSubjectToken::SignInAgain(_)), "{subject}: {error}");
    }
    // Bob has not signed in.
    let bob = Caller::new(format!("{}|bob", story.provider.issuer()));
    assert!(story.gateway.subject_tokens().id_token(&bob).await.is_err());
}

#[tokio::test]
async fn whom_the_provider_locked_out_must_sign_in_again_and_while_it_is_down_nobody_need() {
    let story = Story::begin(true).await;
    story.clock.advance(Duration::from_mins(5));
    story.provider.answers(TOKEN, Some(Answer::status(500)));
    let error = story.token().await.unwrap_err();
    assert!(matches!(error, NoSubjectToken::Unavailable(_)), "{error}");
    story.provider.answers(TOKEN, None);
    story.clock.advance(Duration::from_mins(1));
    story.token().await.unwrap();
    story.clock.advance(Duration::from_mins(5));
    story.provider.locks_out("ada");
    let error = story.token().await.unwrap_err();
    assert!(matches!(error, NoSubjectToken::SignInAgain(_)), "{error}");
}

#[tokio::test]
async fn a_provider_that_names_somebody_else_gives_no_token() {
    let story = Story::begin(true).await;
    story.clock.advance(Duration::from_mins(5));
    story.provider.claims(json!({ "sub": "bob" }));
    let error = story.token().await.unwrap_err();
    assert!(matches!(error, NoSubjectToken::Unavailable(_)), "{error}");
}
