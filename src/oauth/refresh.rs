//! Refresh tokens: each is good for one step, and the step can be repeated for a short while.
//!
//! Clients refresh from several processes at once, and answers get lost. So a token that was used a moment ago gives the
//! same successor again: the successor is computed from the token and a key that only the store has, and need not be kept
//! anywhere. A token that was used longer ago is in two hands, one of which is not the client's: the whole family ends.

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::clock::Timestamp;

use super::{
    Authority,
    client::Client,
    error::{Code, OAuthError},
    form::Parameters,
    scope::Scopes,
    token::{Issued, check_resource},
};
use crate::store::{Digest, GrantRecord, RefreshRecord, Rotation};

/// How long a used token gives its successor again.
pub(super) const GRACE: Duration = Duration::from_mins(1);

impl Authority {
    /// RFC 6749 §6.
    pub(super) async fn refresh(self: &Arc<Self>, client: &Client, form: &Parameters) -> Result<Response, OAuthError> {
        let token = form.require("refresh_token")?;
        let arrived = self.clock.now();
        let (record, grant) = self.find_refresh(client, token).await?;
        check_resource(form, &grant)?;
        let scopes = scopes_within(form.get("scope"), &grant)?;
        let sign_in = self.sign_in_of(&grant)?;
        if record.rotated_at.is_none() {
            self.refresh_identity(&grant, &sign_in).await?;
        }
        let successor = self.rotate(token, &grant, sign_in.lifetimes.refresh_token, arrived).await?;
        self.issue(&Issued { grant: &grant, sign_in: &sign_in, scopes, refresh_token: Some(successor) })
    }

    /// The token and its grant, if both still hold and are this client's. Nothing is changed yet.
    async fn find_refresh(&self, client: &Client, token: &str) -> Result<(RefreshRecord, GrantRecord), OAuthError> {
        let wrong = |why: &str| OAuthError::new(Code::InvalidGrant, why);
        let record = self.store.refresh_token(&self.tenant, &Digest::of(token.as_bytes())).await?;
        let record = record.ok_or_else(|| wrong("the refresh token is unknown"))?;
        let grant = self.store.grant(&self.tenant, &record.grant).await?;
        let grant = grant.filter(|grant| grant.client_id == client.id);
        let grant = grant.ok_or_else(|| wrong("the refresh token is unknown"))?;
        if grant.revoked_at.is_some() {
            return Err(wrong("the grant was revoked; sign in again"));
        }
        let now = self.clock.now();
        if now >= record.expires_at || now >= grant.expires_at {
            return Err(wrong("the refresh token has expired; sign in again"));
        }
        if record.rotated_at.is_some_and(|at| now.since(at) > GRACE) {
            self.end_family(&grant).await?;
            return Err(wrong("the refresh token was used before; all that came of it is revoked"));
        }
        Ok((record, grant))
    }

    /// Uses a token up, and makes its successor: in one step, of which one of many at once is the first. Whether a token was
    /// used long ago is judged by when it `arrived`: asking the provider may have taken its time.
    async fn rotate(
        &self,
        token: &str,
        grant: &GrantRecord,
        lifetime: Duration,
        arrived: Timestamp,
    ) -> Result<String, OAuthError> {
        let now = self.clock.now();
        let successor = self.successor(token);
        let mut work = self.store.begin(&self.tenant).await?;
        match work.rotate_refresh(&Digest::of(token.as_bytes()), now).await? {
            Rotation::First(record) => {
                work.insert_refresh(&RefreshRecord {
                    token: Digest::of(successor.as_bytes()),
                    grant: record.grant,
                    issued_at: now,
                    expires_at: now.plus(lifetime).min(grant.expires_at),
                    rotated_at: None,
                })
                .await?;
                work.touch_client(&grant.client_id, now).await?;
                work.commit().await?;
                Ok(successor)
            }
            Rotation::Again(record) if record.rotated_at.is_some_and(|at| arrived.since(at) <= GRACE) => Ok(successor),
            Rotation::Again(_) => {
                drop(work);
                self.end_family(grant).await?;
                Err(OAuthError::new(Code::InvalidGrant, "the refresh token was used before; all is revoked"))
            }
            Rotation::Unknown => Err(OAuthError::new(Code::InvalidGrant, "the refresh token is unknown")),
        }
    }

    fn successor(&self, token: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.store.sealer().prf("refresh token", token.as_bytes()))
    }

    async fn end_family(&self, grant: &GrantRecord) -> Result<(), OAuthError> {
        tracing::warn!(
            grant = grant.id,
            client = grant.client_id,
            subject = grant.subject,
            "a refresh token was shown again long after its use: somebody has a copy, so the grant is revoked"
        );
        Ok(self.revoke_grant(&grant.id, "a refresh token was shown again long after its use").await?)
    }
}

/// Scopes may become fewer, never more (RFC 6749 §6).
fn scopes_within(asked: Option<&str>, grant: &GrantRecord) -> Result<Scopes, OAuthError> {
    let granted = Scopes::parse(&grant.scope).unwrap_or_default();
    let mut scopes = Scopes::parse(asked.unwrap_or_default())
        .ok_or_else(|| OAuthError::new(Code::InvalidScope, "scope has characters that are not allowed"))?;
    scopes.remove("offline_access");
    match scopes {
        scopes if scopes.is_empty() => Ok(granted),
        scopes if scopes.is_within(&granted) => Ok(scopes),
        _ => Err(OAuthError::new(Code::InvalidScope, "the grant is for fewer scopes")),
    }
}
