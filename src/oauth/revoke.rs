//! `POST /oauth/revoke`: a client gives a grant back (RFC 7009).

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};

use super::{Authority, client::Client, error::OAuthError, form::Parameters, router::Visitor};
use crate::store::Digest;

impl Authority {
    /// Whichever of its tokens is shown, the whole grant ends. A token that nobody knows is as good as revoked.
    pub(super) async fn revoke(
        &self,
        visitor: &Visitor,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, OAuthError> {
        let form = Parameters::of_form(headers, body)?;
        let client = self.authenticate(visitor, headers, &form).await?;
        let token = form.require("token")?;
        if let Some(grant) = self.grant_of(token, &client).await? {
            self.revoke_grant(&grant, "its client gave it back").await?;
        }
        Ok(StatusCode::OK.into_response())
    }

    /// The grant that a token of this client belongs to.
    async fn grant_of(&self, token: &str, client: &Client) -> Result<Option<String>, OAuthError> {
        let id = match self.store.refresh_token(&self.tenant, &Digest::of(token.as_bytes())).await? {
            Some(record) => Some(record.grant),
            None => self.own_claims(token).and_then(|claims| claims.text("sid").map(ToOwned::to_owned)),
        };
        let Some(id) = id else { return Ok(None) };
        let grant = self.store.grant(&self.tenant, &id).await?;
        Ok(grant.filter(|grant| grant.client_id == client.id).map(|grant| grant.id))
    }
}
