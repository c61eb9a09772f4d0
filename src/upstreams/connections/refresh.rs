//! Refreshing a connection: once, whoever needs it and wherever.
//!
//! The claim is written before anything is redeemed. So of all tasks, processes and nodes one redeems, a refresh that
//! never ended is known of, and a store that cannot be written to is noticed while the old token is still good. What was
//! redeemed is kept whatever happens: it is in memory and in the journal until the store has it.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{AuthMode, OAuthUpstream, UpstreamChallenge},
    refusal::{Reason, Refusal},
};

use super::{
    ConnectionBook,
    flight::{Errand, Goal, Lack},
    kept::{self, Kept, Tokens},
    slot::{Slot, lock},
    stored::Refreshed,
};
use crate::{
    store::{Claim, ConnectionRecord, StoreError},
    upstreams::oauth::{Discovered, Flow, GrantError, Registration, RegistrationKind, TokenSet},
};

/// How long a refresh may keep others from trying; longer than an authorization server may take to answer.
const LEASE: Duration = Duration::from_mins(1);

/// Where, and as whom, a connection is refreshed now.
struct Counter {
    server: Discovered,
    registration: Registration,
}

impl ConnectionBook {
    /// Fetches new tokens for a connection whose present ones are over, or nearly so, or were refused with `challenge`.
    pub(super) async fn refresh(
        &self,
        slot: &Arc<Slot>,
        errand: &Errand,
        record: ConnectionRecord,
        tokens: Tokens,
        challenge: Option<&UpstreamChallenge>,
    ) -> Result<Refreshed, StoreError> {
        let Some(upstream) = oauth_upstream(&errand.auth.mode) else { return Ok(Refreshed::LookAgain) };
        if tokens.set.refresh_token.is_none() {
            let because = "its token is over, and the upstream gave nothing to renew it with";
            return self.over(slot, errand, &record, because).await;
        }
        let pause = lock(&slot.pause).left();
        if let Some(left) = pause {
            return Ok(Refreshed::Decided(self.wait_it_out(slot, errand, &record, &tokens, left)));
        }
        let counter = match self.counter(errand, upstream, &tokens, challenge).await {
            Ok(counter) => counter,
            Err(because) => return self.over(slot, errand, &record, because).await,
        };
        let Some(claim) = self.claim(&record).await? else {
            let is_ahead = matches!(errand.goal, Goal::Ahead);
            // Somebody else is at it. The present token goes on until theirs is there.
            return Ok(match self.as_held(&record, &tokens, errand).filter(|_| is_ahead) {
                Some(held) => Refreshed::Decided(Ok(held.credential)),
                None => Refreshed::LookAgain,
            });
        };
        self.redeem_refresh_token(slot, errand, claim, tokens, &counter).await
    }

    async fn claim(&self, record: &ConnectionRecord) -> Result<Option<Claim>, StoreError> {
        let now = self.0.clock.now();
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        let claim = work.claim_connection(&record.key, record.version, now, now.plus(LEASE)).await?;
        work.commit().await?;
        Ok(claim)
    }

    async fn redeem_refresh_token(
        &self,
        slot: &Arc<Slot>,
        errand: &Errand,
        claim: Claim,
        tokens: Tokens,
        counter: &Counter,
    ) -> Result<Refreshed, StoreError> {
        let Some(refresh_token) = &tokens.set.refresh_token else { return Ok(Refreshed::LookAgain) };
        if claim.unfinished {
            let (subject, upstream) = (&*slot.subject, &*slot.upstream);
            tracing::warn!(subject, upstream, "an earlier refresh never ended; its refresh token is tried once more");
        }
        let began = self.0.clock.now();
        let Counter { server, registration } = counter;
        match self.0.oauth.refresh(server, registration, refresh_token, &[]).await {
            Ok(set) => self.keep(slot, errand, claim, tokens, set, counter, began).await,
            Err(error) => self.not_refreshed(slot, errand, claim, &tokens, &error).await,
        }
    }

    /// Writes down what was redeemed, in the place of what was claimed.
    #[expect(clippy::too_many_arguments, reason = "all that is known at the end of a refresh")]
    async fn keep(
        &self,
        slot: &Arc<Slot>,
        errand: &Errand,
        claim: Claim,
        old: Tokens,
        set: TokenSet,
        counter: &Counter,
        began: Timestamp,
    ) -> Result<Refreshed, StoreError> {
        lock(&slot.pause).end();
        let Claim { mut record, fence, .. } = claim;
        record.summary.expires_at = set.expires_in.map(|lasting| began.plus(lasting));
        let set = TokenSet {
            refresh_token: set.refresh_token.or(old.set.refresh_token),
            scope: set.scope.or(old.set.scope),
            ..set
        };
        record.summary.scope.clone_from(&set.scope);
        let Counter { server, registration } = counter;
        let kept = Tokens { set, asked: old.asked, server: server.clone(), registration: registration.clone() };
        record.secrets = Some(Kept::Tokens(Box::new(kept.clone())).seal()?);
        "refreshed".clone_into(&mut record.summary.because);
        let is_kept = match self.write_refreshed(&record, fence).await {
            Ok(is_kept) => is_kept,
            Err(error) => {
                self.write_later(&record, fence, &error).await;
                true
            }
        };
        if !is_kept {
            // Overtaken: the person disconnected or connected anew meanwhile. Nobody will ever use these.
            self.revoke_in_background(slot, kept);
            return Ok(Refreshed::LookAgain);
        }
        record.summary.version += 1;
        tracing::debug!(subject = &*slot.subject, upstream = &*slot.upstream, version = record.version, "refreshed");
        let Some(held) = self.as_held(&record, &kept, errand) else { return Ok(Refreshed::LookAgain) };
        let credential = held.credential.clone();
        slot.hold(held);
        Ok(Refreshed::Decided(Ok(credential)))
    }

    /// Of the record's version, the next one is kept; `false` if it was overtaken.
    pub(super) async fn write_refreshed(&self, record: &ConnectionRecord, fence: i64) -> Result<bool, StoreError> {
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        let is_kept = work.finish_refresh(record, fence).await?;
        work.commit().await?;
        Ok(is_kept)
    }

    async fn not_refreshed(
        &self,
        slot: &Arc<Slot>,
        errand: &Errand,
        claim: Claim,
        tokens: &Tokens,
        error: &GrantError,
    ) -> Result<Refreshed, StoreError> {
        let (subject, upstream) = (&*slot.subject, &*slot.upstream);
        tracing::warn!(subject, upstream, %error, "a connection could not be refreshed");
        let record = &claim.record;
        if error.is_end_of_grant() {
            let because = if claim.unfinished {
                "an earlier refresh was interrupted, and the upstream takes its token no more"
            } else {
                "the upstream's sign-in ended it"
            };
            return self.over(slot, errand, record, because).await;
        }
        if error.is_unknown_client() && tokens.registration.kind == RegistrationKind::Dynamic {
            self.forget_registration(&tokens.registration).await?;
            return self.over(slot, errand, record, "the upstream's sign-in has forgotten this gateway").await;
        }
        self.release(&claim).await?;
        if let GrantError::Refused { code, .. } = error {
            return Ok(Refreshed::Decided(Err(Lack::Refused(refused_by_server(code)))));
        }
        let pause = lock(&slot.pause).lengthen();
        Ok(Refreshed::Decided(self.wait_it_out(slot, errand, record, tokens, pause)))
    }

    async fn release(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        work.release_claim(&claim.record.key, claim.fence).await?;
        work.commit().await
    }

    /// The connection gives nothing any more, unless somebody has changed it since it was read.
    async fn over(
        &self,
        slot: &Slot,
        errand: &Errand,
        record: &ConnectionRecord,
        because: &str,
    ) -> Result<Refreshed, StoreError> {
        let is_marked = self.mark(slot, record, because, errand.request_id).await?;
        Ok(if is_marked { Refreshed::Decided(Err(Lack::once_more(because))) } else { Refreshed::LookAgain })
    }

    /// The authorization server does not answer: the present token goes on while it lives.
    fn wait_it_out(
        &self,
        slot: &Slot,
        errand: &Errand,
        record: &ConnectionRecord,
        tokens: &Tokens,
        pause: Duration,
    ) -> Result<portcullis_policies::kit::credential::UpstreamCredential, Lack> {
        let now = self.0.clock.now();
        let is_alive = record.expires_at.is_none_or(|end| now < end);
        let may_go_on = is_alive && matches!(errand.goal, Goal::Any | Goal::Ahead);
        if let Some(held) = self.as_held(record, tokens, errand).filter(|_| may_go_on) {
            if let Some(known) = slot.held() {
                known.due_again(now.plus(pause));
            }
            return Ok(held.credential);
        }
        Err(Lack::for_now("The upstream's sign-in does not answer, so the credential cannot be renewed.", pause))
    }

    fn as_held(&self, record: &ConnectionRecord, tokens: &Tokens, errand: &Errand) -> Option<super::slot::Held> {
        kept::held_tokens(record, tokens, &errand.auth.mode, self.0.routes.version(), self.0.clock.now())
    }

    /// Where the connection is refreshed, or why it cannot be: what is of one authorization server is never shown to
    /// another.
    async fn counter(
        &self,
        errand: &Errand,
        upstream: &OAuthUpstream,
        tokens: &Tokens,
        challenge: Option<&UpstreamChallenge>,
    ) -> Result<Counter, &'static str> {
        // Only a refusal makes the gateway ask whom the upstream trusts now. If nobody says, it is as it was.
        let setup = match challenge {
            Some(_) => self.setup(&errand.auth, upstream, Flow::Code, &errand.target, challenge).await.ok(),
            None => None,
        };
        let server = setup.as_ref().map_or(&tokens.server, |setup| &setup.server);
        if server.issuer != tokens.server.issuer {
            return Err("the upstream trusts another sign-in now");
        }
        let registration = match &upstream.client {
            Some(client) if client.client_id != tokens.registration.client.client_id => {
                return Err("the gateway is registered at the upstream under another id now");
            }
            Some(client) => Registration { client: client.clone(), ..tokens.registration.clone() },
            None => tokens.registration.clone(),
        };
        if registration.expires_at.is_some_and(|end| end <= self.0.clock.now()) {
            return Err("the gateway's registration at the upstream has ended");
        }
        Ok(Counter { server: server.clone(), registration })
    }
}

pub(super) fn oauth_upstream(mode: &AuthMode) -> Option<&OAuthUpstream> {
    match mode {
        AuthMode::UserOAuth(upstream) | AuthMode::SharedOAuth(upstream) | AuthMode::ClientCredentials(upstream) => {
            Some(upstream)
        }
        AuthMode::UserKey(_) | AuthMode::TokenExchange(_) | AuthMode::IdJag(_) => None,
    }
}

/// The authorization server does not take the gateway's own words, which only an operator can mend.
pub(super) fn refused_by_server(code: &str) -> Refusal {
    Refusal::new(Reason::UpstreamSetup, "The upstream's sign-in refuses the gateway itself.")
        .with_data("setup", code.to_owned())
}
