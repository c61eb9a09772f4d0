//! Refreshing a connection: once, whoever needs it and wherever.
//!
//! The claim is written before anything is redeemed. So of all tasks, processes and nodes one redeems, a refresh that
//! never ended is known of, and a store that cannot be written to is noticed while the old token is still good. What was
//! redeemed is kept whatever happens: it is in memory and in the journal until the store has it.

use std::time::Duration;

use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{AuthMode, OAuthUpstream, UpstreamChallenge},
    refusal::{Reason, Refusal},
};

use super::{
    ConnectionBook,
    flight::{Errand, Goal, Lack, Outcome},
    kept::{self, Kept, Tokens},
    slot::{Held, Slot, lock},
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

/// A refresh that is under way.
struct Refresh<'a> {
    book: &'a ConnectionBook,
    slot: &'a Slot,
    errand: &'a Errand,
    claim: Claim,
    /// What was there before.
    tokens: Tokens,
    counter: Counter,
}

impl ConnectionBook {
    /// Fetches new tokens for a connection whose present ones are over, or nearly so, or were refused with `challenge`.
    pub(super) async fn refresh(
        &self,
        slot: &Slot,
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
        Refresh { book: self, slot, errand, claim, tokens, counter }.redeem().await
    }

    async fn claim(&self, record: &ConnectionRecord) -> Result<Option<Claim>, StoreError> {
        let now = self.0.clock.now();
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        let claim = work.claim_connection(&record.key, record.version, now, now.plus(LEASE)).await?;
        work.commit().await?;
        Ok(claim)
    }

    /// Of the record's version, the next one is kept; `false` if it was overtaken.
    pub(super) async fn write_refreshed(&self, record: &ConnectionRecord, fence: i64) -> Result<bool, StoreError> {
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        let is_kept = work.finish_refresh(record, fence).await?;
        work.commit().await?;
        Ok(is_kept)
    }

    /// The same, into the journal if the store does not take it.
    async fn write_somewhere(&self, record: &ConnectionRecord, fence: i64) -> bool {
        match self.write_refreshed(record, fence).await {
            Ok(is_kept) => is_kept,
            Err(error) => {
                self.write_later(record, fence, &error).await;
                true
            }
        }
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
    ) -> Outcome {
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

    fn as_held(&self, record: &ConnectionRecord, tokens: &Tokens, errand: &Errand) -> Option<Held> {
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
        let names_another = upstream.issuer.as_ref().is_some_and(|issuer| *issuer != tokens.server.issuer);
        let moved = upstream.classic.as_ref().is_some_and(|known| known.token_endpoint != tokens.server.token_endpoint);
        if names_another || moved {
            return Err("the configuration names another sign-in of the upstream now");
        }
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

impl Refresh<'_> {
    async fn redeem(self) -> Result<Refreshed, StoreError> {
        let Some(refresh_token) = &self.tokens.set.refresh_token else { return Ok(Refreshed::LookAgain) };
        if self.claim.unfinished {
            let (subject, upstream) = (&*self.slot.subject, &*self.slot.upstream);
            tracing::warn!(subject, upstream, "an earlier refresh never ended; its refresh token is tried once more");
        }
        let began = self.book.0.clock.now();
        let Counter { server, registration } = &self.counter;
        let redeemed = self.book.0.oauth.refresh(server, registration, refresh_token, &[]).await;
        match redeemed {
            Ok(set) => self.keep(set, began).await,
            Err(error) => self.fail(&error).await,
        }
    }

    /// Writes down what was redeemed, in the place of what was claimed.
    async fn keep(self, set: TokenSet, began: Timestamp) -> Result<Refreshed, StoreError> {
        let Self { book, slot, errand, claim, tokens, counter } = self;
        lock(&slot.pause).end();
        let tokens = renewed(tokens, set, counter);
        let Claim { mut record, fence, .. } = claim;
        record.summary.expires_at = tokens.set.expires_in.map(|lasting| began.plus(lasting));
        record.summary.scope.clone_from(&tokens.set.scope);
        "refreshed".clone_into(&mut record.summary.because);
        record.secrets = Some(Kept::Tokens(Box::new(tokens.clone())).seal()?);
        if !book.write_somewhere(&record, fence).await {
            // Overtaken: the person disconnected or connected anew meanwhile. Nobody will ever use these.
            let present = book.summary(&record.key).await?;
            book.revoke_overtaken(&record, tokens, present.as_ref());
            return Ok(Refreshed::LookAgain);
        }
        record.summary.version += 1;
        tracing::debug!(subject = &*slot.subject, upstream = &*slot.upstream, version = record.version, "refreshed");
        let Some(held) = book.as_held(&record, &tokens, errand) else { return Ok(Refreshed::LookAgain) };
        let credential = held.credential.clone();
        slot.hold(held);
        Ok(Refreshed::Decided(Ok(credential)))
    }

    /// Nothing was redeemed: is the connection over, or is it worth another try?
    async fn fail(self, error: &GrantError) -> Result<Refreshed, StoreError> {
        let Self { book, slot, errand, claim, tokens, .. } = &self;
        let (subject, upstream, record) = (&*slot.subject, &*slot.upstream, &claim.record);
        tracing::warn!(subject, upstream, %error, "a connection could not be refreshed");
        if error.is_end_of_grant() {
            let because = if claim.unfinished {
                "an earlier refresh was interrupted, and the upstream takes its token no more"
            } else {
                "the upstream's sign-in ended it"
            };
            return book.over(slot, errand, record, because).await;
        }
        if error.is_unknown_client() && tokens.registration.kind == RegistrationKind::Dynamic {
            book.forget_registration(&tokens.registration).await?;
            return book.over(slot, errand, record, "the upstream's sign-in has forgotten this gateway").await;
        }
        book.release(claim).await?;
        let pause = lock(&slot.pause).lengthen();
        if let GrantError::Refused { code, .. } = error {
            return Ok(Refreshed::Decided(Err(Lack::Refused(refused_by_server(code)))));
        }
        Ok(Refreshed::Decided(book.wait_it_out(slot, errand, record, tokens, pause)))
    }
}

/// What is kept from now on. Servers may leave out what has not changed (RFC 6749 §5.1, §6).
fn renewed(old: Tokens, new: TokenSet, counter: Counter) -> Tokens {
    let set = TokenSet {
        refresh_token: new.refresh_token.or(old.set.refresh_token),
        scope: new.scope.or(old.set.scope),
        ..new
    };
    Tokens { set, asked: old.asked, server: counter.server, registration: counter.registration }
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
