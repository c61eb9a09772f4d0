//! Codes: a person's yes on its way to the client, which it reaches through the browser (RFC 6749 §4.1.2).

use std::time::Duration;

use axum::response::Response;
use portcullis_policies::kit::{random, sign_in::SignIn};

use super::{Authority, request::AuthorizationRequest};
use crate::store::{AccountRecord, CodeRecord, Digest, GrantRecord, SessionRecord, StoreError, Work};

/// How long a code is good.
pub(super) const LIFETIME: Duration = Duration::from_mins(1);

/// A person's yes to a request, and what is written down with it.
pub(super) struct Yes<'a> {
    pub(super) request: &'a AuthorizationRequest,
    pub(super) sign_in: &'a SignIn,
    /// Who says it.
    pub(super) session: &'a SessionRecord,
    /// They have just signed in.
    pub(super) arrival: Option<Arrival>,
    /// Said on our page just now, so that it is remembered.
    pub(super) is_new: bool,
}

/// What comes with a session that begins.
pub(super) struct Arrival {
    /// What the provider says about the person.
    pub(super) account: AccountRecord,
    /// The session that the browser had before, which ends.
    pub(super) before: Option<Digest>,
}

impl Arrival {
    async fn write(&self, work: &mut Work, session: &SessionRecord) -> Result<(), StoreError> {
        if let Some(before) = &self.before {
            work.delete_session(before).await?;
        }
        work.insert_session(session).await?;
        work.put_account(&self.account).await
    }
}

impl Authority {
    /// Grants what was asked, and sends the browser back with a code.
    pub(super) async fn grant(&self, yes: Yes<'_>) -> Result<Response, StoreError> {
        let Yes { request, sign_in, session, arrival, is_new } = yes;
        let (now, code) = (self.clock.now(), random::secret());
        // The session remembers who somebody was when it began; the account may know better.
        let account = match &arrival {
            Some(arrival) => Some(arrival.account.clone()),
            None => self.store.account(&self.tenant, &session.provider, &session.subject).await?,
        };
        let identity = account.map_or_else(|| session.identity.clone(), |account| account.identity);
        let grant = self.new_grant(request, session, identity, sign_in);
        let record = CodeRecord {
            code: Digest::of(code.as_bytes()),
            grant: grant.id.clone(),
            client_id: request.client_id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.code_challenge.clone(),
            expires_at: now.plus(LIFETIME),
        };
        let mut work = self.store.begin(&self.tenant).await?;
        if let Some(arrival) = arrival {
            arrival.write(&mut work, session).await?;
        }
        if is_new {
            work.remember_consent(&self.consent_key(request, session), now).await?;
        }
        work.insert_grant(&grant).await?;
        work.insert_code(&record).await?;
        work.touch_client(&request.client_id, now).await?;
        work.commit().await?;
        tracing::info!(client = grant.client_id, subject = grant.subject, route = request.route, "granted");
        Ok(self.send_back(&request.back(), &[("code", &code)]))
    }

    /// Somebody has signed in, and asks for nothing more.
    pub(super) async fn arrive(&self, session: &SessionRecord, arrival: &Arrival) -> Result<(), StoreError> {
        let mut work = self.store.begin(&self.tenant).await?;
        arrival.write(&mut work, session).await?;
        work.commit().await
    }

    fn new_grant(
        &self,
        request: &AuthorizationRequest,
        session: &SessionRecord,
        identity: Vec<u8>,
        sign_in: &SignIn,
    ) -> GrantRecord {
        let now = self.clock.now();
        GrantRecord {
            id: random::id(),
            provider: session.provider.clone(),
            subject: session.subject.clone(),
            client_id: request.client_id.clone(),
            resource: self.origin.resource(&request.route),
            scope: request.scope.clone(),
            identity,
            created_at: now,
            refreshed_at: now,
            // Longer once the code is redeemed.
            expires_at: now.plus(LIFETIME).plus(sign_in.lifetimes.access_token),
            revoked_at: None,
        }
    }
}
