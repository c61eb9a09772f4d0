//! `POST /oauth/introspect`: what a token is worth, for programs of the operator (RFC 7662).

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    Authority,
    client::ClientOrigin,
    error::{Code, OAuthError, json_answer},
    form::Parameters,
    router::Visitor,
};
use crate::store::{Digest, GrantRecord};

impl Authority {
    pub(super) async fn introspect(
        &self,
        visitor: &Visitor,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, OAuthError> {
        let form = Parameters::of_form(headers, body)?;
        let client = self.authenticate(visitor, headers, &form).await?;
        if !client.is_confidential() || client.origin != ClientOrigin::Configured {
            return Err(OAuthError::new(Code::UnauthorizedClient, "only clients of the operator may ask"));
        }
        let token = form.require("token")?;
        let known = match self.introspect_access(token).await? {
            Some(answer) => Some(answer),
            None => self.introspect_refresh(token).await?,
        };
        Ok(json_answer(StatusCode::OK, &known.unwrap_or_else(|| json!({ "active": false }))))
    }

    async fn introspect_access(&self, token: &str) -> Result<Option<Value>, OAuthError> {
        let Some(claims) = self.own_claims(token) else { return Ok(None) };
        let holds = self.grant_in_force(claims.text("sid").unwrap_or_default()).await?.is_some();
        Ok(holds.then(|| {
            let mut answer = Value::Object(claims.as_map().clone());
            answer["active"] = true.into();
            answer["token_type"] = "Bearer".into();
            answer
        }))
    }

    async fn introspect_refresh(&self, token: &str) -> Result<Option<Value>, OAuthError> {
        let record = self.store.refresh_token(&self.tenant, &Digest::of(token.as_bytes())).await?;
        let good =
            |record: &crate::store::RefreshRecord| record.rotated_at.is_none() && self.clock.now() < record.expires_at;
        let Some(record) = record.filter(good) else { return Ok(None) };
        let Some(grant) = self.grant_in_force(&record.grant).await? else { return Ok(None) };
        Ok(Some(json!({
            "active": true,
            "iss": self.origin.issuer(None),
            "aud": grant.resource,
            "sub": grant.subject,
            "client_id": grant.client_id,
            "scope": grant.scope,
            "iat": record.issued_at.as_seconds(),
            "exp": record.expires_at.as_seconds(),
        })))
    }

    async fn grant_in_force(&self, id: &str) -> Result<Option<GrantRecord>, OAuthError> {
        let grant = self.store.grant(&self.tenant, id).await?;
        Ok(grant.filter(|grant| grant.revoked_at.is_none() && self.clock.now() < grant.expires_at))
    }
}
