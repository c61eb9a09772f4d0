//! `POST /oauth/token`: codes and refresh tokens become access tokens (RFC 6749 §3.2).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::sync::Arc;

use axum::response::Response;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use portcullis_policies::kit::{host::Identity, random, sign_in::SignIn};
use serde_json::json;

use super::{
    Authority,
    client::Client,
    error::{Code, OAuthError, json_answer},
    form::Parameters,
    grants::{ITSELF, is_through},
    router::Visitor,
    scope::Scopes,
};
use crate::store::{CodeRecord, CodeUse, Digest, GrantRecord, RefreshRecord};

/// The longest that a grant may be kept alive by refreshing, as a multiple of the time for which a refresh token lasts
/// unused.
pub(super) const GRANT_SPAN: u32 = 12;

/// What a token request ends with.
pub(super) struct Issued<'a> {
    pub(super) grant: &'a GrantRecord,
    pub(super) sign_in: &'a SignIn,
    pub(super) scopes: Scopes,
    pub(super) refresh_token: Option<String>,
}

impl Authority {
    pub(super) async fn token(
        self: &Arc<Self>,
        visitor: &Visitor,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, OAuthError> {
        if query.is_some_and(|query| !query.is_empty()) {
            return Err(OAuthError::new(Code::InvalidRequest, "parameters belong into the body, not into the URL"));
        }
        let form = Parameters::of_form(headers, body)?;
        let grant_type = form.require("grant_type")?;
        if !matches!(grant_type, "authorization_code" | "refresh_token" | "client_credentials") {
            let known = "grant_type must be authorization_code, refresh_token or client_credentials";
            return Err(OAuthError::new(Code::UnsupportedGrantType, known));
        }
        let client = self.authenticate(visitor, headers, &form).await?;
        if !client.metadata.allows(grant_type) {
            return Err(OAuthError::new(Code::UnauthorizedClient, "the client is not registered for this grant type"));
        }
        match grant_type {
            "authorization_code" => self.redeem_code(&client, &form).await,
            "refresh_token" => self.refresh(&client, &form).await,
            _ => self.client_credentials(&client, &form).await,
        }
    }

    /// RFC 6749 §4.1.3. Whatever else is wrong, a code that was shown is spent.
    async fn redeem_code(&self, client: &Client, form: &Parameters) -> Result<Response, OAuthError> {
        let code = form.require("code")?;
        let mut work = self.store.begin(&self.tenant).await?;
        let found = work.use_code(&Digest::of(code.as_bytes()), self.clock.now()).await?;
        work.commit().await?;
        match found {
            CodeUse::Fresh(record) => match self.issue_for_code(client, form, &record).await {
                Ok(response) => Ok(response),
                // The code is spent either way; only what the client got wrong ends the grant.
                Err(error) if error.is_temporary() => Err(error),
                Err(error) => {
                    self.revoke_grant(&record.grant, "its code was shown with wrong proof").await?;
                    Err(error)
                }
            },
            CodeUse::Used(record) => {
                tracing::warn!(grant = record.grant, "a code was shown twice: what it gave is revoked");
                self.revoke_grant(&record.grant, "its code was shown twice").await?;
                Err(OAuthError::new(Code::InvalidGrant, "the code was used before; what it gave is revoked"))
            }
            CodeUse::Unknown => Err(OAuthError::new(Code::InvalidGrant, "the code is unknown or has expired")),
        }
    }

    async fn issue_for_code(
        &self,
        client: &Client,
        form: &Parameters,
        code: &CodeRecord,
    ) -> Result<Response, OAuthError> {
        check_code(client, form, code)?;
        let grant = self.store.grant(&self.tenant, &code.grant).await?;
        let grant = grant.filter(|grant| grant.revoked_at.is_none());
        let mut grant = grant.ok_or_else(|| OAuthError::new(Code::InvalidGrant, "the grant was revoked"))?;
        let sign_in = self.sign_in_of(&grant)?;
        check_resource(form, &grant)?;
        let now = self.clock.now();
        let scopes = Scopes::parse(&grant.scope).unwrap_or_default();
        let refresh_token = client.metadata.allows("refresh_token").then(random::secret);
        let mut work = self.store.begin(&self.tenant).await?;
        if let Some(token) = &refresh_token {
            work.insert_refresh(&RefreshRecord {
                token: Digest::of(token.as_bytes()),
                grant: grant.id.clone(),
                issued_at: now,
                expires_at: now.plus(sign_in.lifetimes.refresh_token),
                rotated_at: None,
            })
            .await?;
            grant.expires_at = now.plus(sign_in.lifetimes.refresh_token * GRANT_SPAN);
            work.extend_grant(&grant.id, grant.expires_at).await?;
        }
        work.commit().await?;
        self.issue(&Issued { grant: &grant, sign_in: &sign_in, scopes, refresh_token })
    }

    /// RFC 6749 §4.4, for programs that act for themselves. Only clients that the operator configured may.
    async fn client_credentials(&self, client: &Client, form: &Parameters) -> Result<Response, OAuthError> {
        if client.origin != super::client::ClientOrigin::Configured || !client.is_confidential() {
            return Err(OAuthError::new(Code::UnauthorizedClient, "this client may only act for people"));
        }
        let wrong = |refused: super::request::Refused| OAuthError::new(refused.code, refused.description);
        let (route, sign_in) = self.route_asked(None, form.get("resource")).map_err(wrong)?;
        let scopes = super::request::scopes_asked(form.get("scope"), &sign_in).map_err(wrong)?;
        let now = self.clock.now();
        let subject = format!("client|{}", client.id);
        let identity =
            Identity { subject: subject.as_str().into(), name: Some(client.shown_name()), ..Identity::default() };
        let grant = GrantRecord {
            id: random::id(),
            provider: ITSELF.to_owned(),
            subject,
            client_id: client.id.clone(),
            resource: self.origin.resource(&route),
            scope: scopes.to_string(),
            identity: serde_json::to_vec(&identity).unwrap_or_default(),
            created_at: now,
            refreshed_at: now,
            expires_at: now.plus(sign_in.lifetimes.access_token),
            revoked_at: None,
        };
        let mut work = self.store.begin(&self.tenant).await?;
        work.insert_grant(&grant).await?;
        work.commit().await?;
        self.issue(&Issued { grant: &grant, sign_in: &sign_in, scopes, refresh_token: None })
    }

    /// The answer (RFC 6749 §5.1).
    pub(super) fn issue(&self, issued: &Issued<'_>) -> Result<Response, OAuthError> {
        let Issued { grant, sign_in, scopes, refresh_token } = issued;
        let lifetime = sign_in.lifetimes.access_token;
        let mut answer = json!({
            "access_token": self.access_token(grant, scopes, lifetime)?,
            "token_type": "Bearer",
            "expires_in": lifetime.as_secs(),
            "scope": scopes.to_string(),
        });
        if let Some(token) = refresh_token {
            answer["refresh_token"] = token.as_str().into();
        }
        Ok(json_answer(StatusCode::OK, &answer))
    }

    /// How people sign in to the route of a grant; a route that is gone takes its grants along.
    pub(super) fn sign_in_of(&self, grant: &GrantRecord) -> Result<Arc<SignIn>, OAuthError> {
        let sign_in = self.origin.route_of(&grant.resource).and_then(|route| self.routes.sign_in(&route));
        let sign_in = sign_in.ok_or_else(|| OAuthError::new(Code::InvalidGrant, "the route of this grant is gone"))?;
        if !is_through(&grant.provider, &sign_in) {
            let why = "people sign in to this route in another way now; sign in again";
            return Err(OAuthError::new(Code::InvalidGrant, why));
        }
        Ok(sign_in)
    }
}

/// A code is bound to its client, its redirect URI and its challenge (OAuth 2.1 §4.1.3).
fn check_code(client: &Client, form: &Parameters, code: &CodeRecord) -> Result<(), OAuthError> {
    let wrong = |why: &str| Err(OAuthError::new(Code::InvalidGrant, why));
    if code.client_id != client.id {
        return wrong("the code is for another client");
    }
    // OAuth 2.1 no longer sends it; OAuth 2.0 does, and then it must be the same.
    if form.get("redirect_uri").is_some_and(|uri| uri != code.redirect_uri) {
        return wrong("redirect_uri is not the one that was asked with");
    }
    let Some(verifier) = form.get("code_verifier") else { return wrong("code_verifier is missing") };
    if !(43..=128).contains(&verifier.len()) {
        return wrong("code_verifier must be 43 to 128 characters");
    }
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes());
    match verify_slices_are_equal(challenge.as_bytes(), code.challenge.as_bytes()) {
        Ok(()) => Ok(()),
        Err(_) => wrong("code_verifier does not fit code_challenge"),
    }
}

/// A token is for the resource that was asked for when the person said yes, and for no other (RFC 8707 §2.2).
pub(super) fn check_resource(form: &Parameters, grant: &GrantRecord) -> Result<(), OAuthError> {
    match form.get("resource") {
        Some(resource) if !same_resource(resource, &grant.resource) => {
            Err(OAuthError::new(Code::InvalidTarget, "the grant is for another resource"))
        }
        _ => Ok(()),
    }
}

fn same_resource(asked: &str, granted: &str) -> bool {
    let normal = |text: &str| url::Url::parse(text).map(|url| url.to_string()).ok();
    asked == granted || (normal(asked).is_some() && normal(asked) == normal(granted))
}
