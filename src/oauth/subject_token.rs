//! The ID tokens of people, for upstreams where they are exchanged for what lets a call in (RFC 8693, cross-app access).
//!
//! A provider's ID token is kept sealed with the account. It lives for minutes, so that mostly the provider is asked for
//! another one first: with its own refresh token, and once for all who wait, on whichever node.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::{
    clock::Timestamp,
    host::Caller,
    sign_in::{OpenIdProvider, Provider},
};
use secrecy::SecretString;
use serde::Deserialize;

use super::{Authority, TokenJudge, provider::provider_key};
use crate::{
    store::{AccountRecord, StoreError},
    upstreams::connections::{NoSubjectToken, SubjectTokens},
};

/// A token must be good for so long still, so that it arrives.
const MARGIN: Duration = Duration::from_secs(30);
/// How long one question to the provider may keep others from asking.
const ASKING: Duration = Duration::from_secs(30);
/// How often, and how many times, somebody looks for the answer to a question that another asked.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 50;

#[async_trait]
impl SubjectTokens for TokenJudge {
    async fn id_token(&self, caller: &Caller) -> Result<SecretString, NoSubjectToken> {
        match self.authority() {
            Some(authority) => authority.id_token(&caller.subject).await,
            None => Err(NoSubjectToken::Unavailable("the gateway's store is not open".to_owned())),
        }
    }
}

impl Authority {
    /// An ID token of somebody that is good now.
    async fn id_token(self: &Arc<Self>, subject: &str) -> Result<SecretString, NoSubjectToken> {
        let Some((provider, account)) = self.vouching(subject).await? else {
            let why = "nobody signed this caller in who gives ID tokens: programs and the sign-in without a password \
                       have none";
            return Err(NoSubjectToken::SignInAgain(why.to_owned()));
        };
        match good(&account, self.clock.now()) {
            Some(token) => Ok(token),
            None if account.refresh_token.is_none() => {
                let why = "the ID token has expired, and the identity provider gave no refresh token; with the scope \
                           `offline_access` most do";
                Err(NoSubjectToken::SignInAgain(why.to_owned()))
            }
            None => self.fresh(provider, account).await,
        }
    }

    /// The provider that somebody signed in with, as far as one still does in this configuration, and what it said.
    async fn vouching(&self, subject: &str) -> Result<Option<(OpenIdProvider, AccountRecord)>, StoreError> {
        for route in self.ways_in() {
            let Some(sign_in) = self.routes.sign_in(&route) else { continue };
            let Provider::OpenId(provider) = &sign_in.provider else { continue };
            if !subject.strip_prefix(&*provider.issuer).is_some_and(|rest| rest.starts_with('|')) {
                continue;
            }
            let key = provider_key(&sign_in.provider);
            if let Some(account) = self.store.account(&self.tenant, &key, subject).await? {
                return Ok(Some(((**provider).clone(), account)));
            }
        }
        Ok(None)
    }

    /// Has the provider asked for a new one: by us, or by whoever asks already.
    async fn fresh(
        self: &Arc<Self>,
        provider: OpenIdProvider,
        known: AccountRecord,
    ) -> Result<SecretString, NoSubjectToken> {
        let now = self.clock.now();
        let mut work = self.store.begin(&self.tenant).await?;
        let claimed = work.claim_account(&known.provider, &known.subject, now, now, now.plus(ASKING)).await?;
        work.commit().await?;
        if let Some(account) = claimed {
            // In a task of its own: the provider's new refresh token must be kept also if nobody waits any more.
            let this = Arc::clone(self);
            let asking = tokio::spawn(async move { this.ask_about(&provider, account).await });
            let asked = asking.await.map_err(|_| NoSubjectToken::Unavailable("the gateway failed".to_owned()))?;
            asked.map_err(|error| NoSubjectToken::SignInAgain(error.description))?;
            return self.answered(&known).await?.unwrap_or_else(|| Err(unanswered()));
        }
        for _ in 0..LOOKS {
            if let Some(answer) = self.answered(&known).await? {
                return answer;
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(unanswered())
    }

    /// What the provider has answered since, if it has.
    async fn answered(
        &self,
        known: &AccountRecord,
    ) -> Result<Option<Result<SecretString, NoSubjectToken>>, StoreError> {
        let account = self.store.account(&self.tenant, &known.provider, &known.subject).await?;
        let Some(account) = account.filter(|account| account.refreshed_at > known.refreshed_at) else {
            return Ok(None);
        };
        let again = || NoSubjectToken::SignInAgain("the identity provider gives no new ID token".to_owned());
        Ok(Some(good(&account, self.clock.now()).ok_or_else(again)))
    }
}

fn unanswered() -> NoSubjectToken {
    NoSubjectToken::Unavailable("the identity provider was asked for a new ID token, and did not answer".to_owned())
}

/// The account's ID token, if it is good for a while.
fn good(account: &AccountRecord, now: Timestamp) -> Option<SecretString> {
    let token = std::str::from_utf8(account.id_token.as_deref()?).ok()?;
    (now.plus(MARGIN) < expires(token)?).then(|| token.to_owned().into())
}

/// When a token ends. It was judged when it came; who gets it judges it too.
fn expires(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Ends {
        exp: i64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok().map(|Ends { exp }| Timestamp::from_seconds(exp))
}

impl From<StoreError> for NoSubjectToken {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::Unavailable("the gateway's store does not answer".to_owned())
    }
}
