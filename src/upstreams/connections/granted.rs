//! Credentials that no person connects for: fetched when needed, and held in memory alone.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{AuthMode, OAuthUpstream, SubjectToken, UpstreamChallenge, UpstreamCredential},
    refusal::{Reason, Refusal},
};
use secrecy::SecretString;

use super::{
    ConnectionBook, NoSubjectToken,
    flight::{Errand, Goal, Lack, Outcome},
    kept::{bearer, chance, renewal},
    obtain::no_store,
    refresh::refused_by_server,
    setup::{self, NoSetup, target_url},
    slot::{Held, Slot, lock},
    stored::no_right,
};
use crate::upstreams::oauth::{Flow, GrantError, TokenSet, step_up};

/// How long callers wait who cannot be helped at present.
const PAUSE: Duration = Duration::from_secs(1);

impl ConnectionBook {
    pub(super) async fn granted(&self, slot: &Arc<Slot>, errand: &Errand) -> Outcome {
        let now = self.0.clock.now();
        let held = slot.held().filter(|held| held.is_good(now, self.0.routes.version()));
        if let Some(held) = held.filter(|held| errand.goal.is_reached_by(&held.credential))
            && !matches!(errand.goal, Goal::Ahead)
        {
            return Ok(held.credential.clone());
        }
        if let Goal::GiveUp(_) = errand.goal {
            let message = "The upstream refuses the credential that the gateway was given for it.";
            return Err(Lack::Refused(Refusal::new(Reason::UpstreamUnauthorized, message)));
        }
        let pause = lock(&slot.pause).left();
        if let Some(left) = pause {
            return self.nothing_new(slot, errand, left);
        }
        match self.ask_for_token(slot, errand).await? {
            Ok(set) => Ok(self.hold_token(slot, &set, now)),
            Err(GrantError::Refused { code, words }) => {
                tracing::warn!(upstream = &*slot.upstream, subject = &*slot.subject, code, words, "no token was given");
                lock(&slot.pause).lengthen();
                Err(Lack::Refused(refused_by_server(&code)))
            }
            Err(error) => {
                tracing::warn!(upstream = &*slot.upstream, subject = &*slot.subject, %error, "no token was given");
                let pause = lock(&slot.pause).lengthen();
                self.nothing_new(slot, errand, pause)
            }
        }
    }

    /// The authorization server does not answer: the present token goes on while it lives.
    fn nothing_new(&self, slot: &Slot, errand: &Errand, pause: Duration) -> Outcome {
        let now = self.0.clock.now();
        let held = slot.held().filter(|held| held.is_good(now, self.0.routes.version()));
        match held.filter(|_| matches!(errand.goal, Goal::Any | Goal::Ahead)) {
            Some(held) => {
                held.due_again(now.plus(pause));
                Ok(held.credential.clone())
            }
            None => Err(Lack::for_now("The upstream's sign-in does not answer.", pause)),
        }
    }

    fn hold_token(&self, slot: &Slot, set: &TokenSet, asked_at: Timestamp) -> UpstreamCredential {
        lock(&slot.pause).end();
        let id = self.lasting_id(slot);
        let before = slot.held().map_or(0, |held| held.credential.version());
        // By the clock, so that it grows also where what was held before has been forgotten.
        let version = asked_at.as_millis().max(before + 1);
        let expires_at = set.expires_in.map(|lasting| asked_at.plus(lasting));
        let renew_at = expires_at.map(|end| renewal(asked_at, end, chance(&id).wrapping_add(version.unsigned_abs())));
        let credential = UpstreamCredential::new(id, version, bearer(set));
        slot.hold(Held::new(credential.clone(), self.0.routes.version(), expires_at, renew_at));
        credential
    }

    /// The same on every node, and nothing that others could guess.
    fn lasting_id(&self, slot: &Slot) -> String {
        let tenant = self.0.tenant.as_str();
        let input = serde_json::json!([tenant, slot.upstream, slot.target, slot.subject]).to_string();
        let mac = self.0.store.sealer().prf("connections without a record", input.as_bytes());
        URL_SAFE_NO_PAD.encode(&mac[..16])
    }

    async fn ask_for_token(&self, slot: &Slot, errand: &Errand) -> Result<Result<TokenSet, GrantError>, Lack> {
        let refused = match &errand.goal {
            Goal::Newer(refused) => Some(&refused.challenge),
            _ => None,
        };
        if refused.is_some_and(|challenge| challenge.status != StatusCode::UNAUTHORIZED)
            && !matches!(errand.auth.mode, AuthMode::ClientCredentials(_))
        {
            return Err(no_right());
        }
        let target = target_url(&errand.target).map_err(|error| Lack::Refused(setup::refusal(&error)))?;
        Ok(match &errand.auth.mode {
            AuthMode::ClientCredentials(upstream) => self.client_credentials(slot, errand, upstream, refused).await?,
            AuthMode::TokenExchange(exchange) => {
                let token = match exchange.subject_token {
                    SubjectToken::IdToken => self.id_token(errand).await?,
                    SubjectToken::Inbound => errand.inbound.clone().ok_or_else(no_inbound)?,
                };
                self.0.oauth.exchange(exchange, &token, &target).await
            }
            AuthMode::IdJag(id_jag) => self.0.oauth.id_jag(id_jag, &self.id_token(errand).await?, &target).await,
            AuthMode::UserOAuth(_) | AuthMode::SharedOAuth(_) | AuthMode::UserKey(_) => return Err(no_right()),
        })
    }

    async fn client_credentials(
        &self,
        slot: &Slot,
        errand: &Errand,
        upstream: &OAuthUpstream,
        refused: Option<&UpstreamChallenge>,
    ) -> Result<Result<TokenSet, GrantError>, Lack> {
        let setup = self.setup(&errand.auth, upstream, Flow::ClientCredentials, &errand.target, refused).await;
        let setup = setup.map_err(|error| match error {
            NoSetup::Failed(error) => Lack::Refused(setup::refusal(&error)),
            NoSetup::Store(error) => Lack::Refused(no_store(&error)),
        })?;
        let asked = &setup.server.scopes;
        let scopes = match refused.filter(|challenge| challenge.status != StatusCode::UNAUTHORIZED) {
            Some(challenge) => {
                let more = step_up(asked, challenge).and_then(|more| slot.steps.may_ask(more));
                more.ok_or_else(no_right)?.to_vec()
            }
            None => asked.clone(),
        };
        Ok(self.0.oauth.client_credentials(&setup.server, &setup.registration, &scopes).await)
    }

    async fn id_token(&self, errand: &Errand) -> Result<SecretString, Lack> {
        let Some(caller) = &errand.caller else { return Err(no_inbound()) };
        self.0.subjects.id_token(caller).await.map_err(|error| match error {
            NoSubjectToken::SignInAgain(why) => {
                let message = format!("What you signed in with cannot be exchanged for the upstream's token: {why}.");
                let remedy = "Sign in to the gateway once more.";
                Lack::Refused(Refusal::new(Reason::CredentialUnavailable, message).with_remedy(remedy))
            }
            NoSubjectToken::Unavailable(why) => {
                tracing::warn!(upstream = &*errand.auth.id, why, "there is no token to exchange");
                Lack::for_now("What you signed in with cannot be had at present.", PAUSE)
            }
        })
    }
}

fn no_inbound() -> Lack {
    let message = "The call shows no token that could be exchanged for the upstream's.";
    Lack::Refused(Refusal::new(Reason::CredentialUnavailable, message))
}
