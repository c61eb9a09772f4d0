//! What a client asks of a person: judged once, then sealed, so that what the consent page shows is what is granted.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::{clock::Timestamp, sign_in::SignIn};
use serde::{Deserialize, Serialize};

use super::{Authority, client::Client, error::Code, form::Parameters, scope::Scopes};
use crate::store::Digest;

/// An authorization request (RFC 6749 §4.1.1) that may be granted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AuthorizationRequest {
    /// The route whose own issuer was asked, if not the one for all.
    pub(super) issuer: Option<String>,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) code_challenge: String,
    pub(super) route: String,
    pub(super) scope: String,
    /// The person must say anew who they are.
    pub(super) sign_in_again: bool,
    /// Of the client, as the person saw it.
    pub(super) client_digest: String,
    pub(super) expires_at: Timestamp,
}

/// Where to send a browser back, once that is known to be safe.
#[derive(Clone, Debug)]
pub(super) struct Return {
    pub(super) issuer: Option<String>,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
}

/// A request that is not granted, told to the client through the browser (RFC 6749 §4.1.2.1).
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) code: Code,
    pub(super) description: String,
}

pub(super) fn refused<T>(code: Code, description: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { code, description: description.into() })
}

impl AuthorizationRequest {
    /// Where its answer goes.
    pub(super) fn back(&self) -> Return {
        Return { issuer: self.issuer.clone(), redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }
}

impl Authority {
    /// Judges the parameters of a request whose client and redirect URI are good.
    pub(super) fn judge_request(
        &self,
        client: &Client,
        back: &Return,
        parameters: &Parameters,
    ) -> Result<(AuthorizationRequest, Arc<SignIn>), Refused> {
        match parameters.get("response_type") {
            Some("code") => {}
            Some(_) => return refused(Code::UnsupportedResponseType, "response_type must be code"),
            None => return refused(Code::InvalidRequest, "response_type is missing; it must be code"),
        }
        if !client.metadata.allows("authorization_code") {
            return refused(Code::UnauthorizedClient, "this client may not ask people");
        }
        if parameters.get("request").is_some() || parameters.get("request_uri").is_some() {
            return refused(Code::InvalidRequest, "request objects are not supported");
        }
        if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
            return refused(Code::InvalidRequest, "response_mode must be query");
        }
        let code_challenge = challenge(parameters)?;
        let (route, sign_in) = self.route_asked(back.issuer.as_deref(), parameters.get("resource"))?;
        let scope = scopes_asked(parameters.get("scope"), &sign_in)?;
        let request = AuthorizationRequest {
            issuer: back.issuer.clone(),
            client_id: client.id.clone(),
            redirect_uri: back.redirect_uri.clone(),
            state: back.state.clone(),
            code_challenge,
            route,
            scope: scope.to_string(),
            sign_in_again: prompts(parameters).any(|prompt| matches!(prompt, "login" | "select_account")),
            client_digest: client.digest.to_string(),
            expires_at: self.clock.now().plus(sign_in.lifetimes.state),
        };
        Ok((request, sign_in))
    }

    /// The route that tokens are asked for (RFC 8707 §2). Clients of 2025-03-26 do not say: then it is the one whose
    /// issuer they asked, or the only one.
    pub(super) fn route_asked(
        &self,
        issuer: Option<&str>,
        resource: Option<&str>,
    ) -> Result<(String, Arc<SignIn>), Refused> {
        let known = |route: String| self.routes.sign_in(&route).map(|sign_in| (route, sign_in));
        let asked = match (resource, issuer) {
            (Some(resource), _) => self.origin.route_of(resource).and_then(known),
            (None, Some(route)) => known(route.to_owned()),
            (None, None) => match self.routes.signed_in().as_slice() {
                [only] => known(only.to_string()),
                _ => return refused(Code::InvalidTarget, "resource is missing; it must be the URL of a route"),
            },
        };
        match asked {
            Some((route, _)) if issuer.is_some_and(|issuer| issuer != route) => {
                refused(Code::InvalidTarget, "resource is not the route of this issuer")
            }
            Some(asked) => Ok(asked),
            None => refused(Code::InvalidTarget, "resource must be the URL of one of this gateway's routes"),
        }
    }

    /// Seals a request into a form of this browser and of whoever is signed in with it: the page shows who that is.
    pub(super) fn seal_request(
        &self,
        request: &AuthorizationRequest,
        browser: &Digest,
        session: Option<Digest>,
    ) -> String {
        let plain = serde_json::to_vec(request).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(self.store.sealer().seal("consent", &viewer(browser, session), &plain))
    }

    /// Opens what [`Self::seal_request`] sealed, in the same browser and in time.
    pub(super) fn open_request(
        &self,
        sealed: &str,
        browser: &Digest,
        session: Option<Digest>,
    ) -> Option<AuthorizationRequest> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let plain = self.store.sealer().open("consent", &viewer(browser, session), &sealed).ok()?;
        let request: AuthorizationRequest = serde_json::from_slice(&plain).ok()?;
        (self.clock.now() < request.expires_at).then_some(request)
    }
}

/// Whom a page is shown to: a form on it counts for nobody else.
pub(super) fn viewer(browser: &Digest, session: Option<Digest>) -> String {
    format!("{browser} {}", session.map(|id| id.to_string()).unwrap_or_default())
}

/// What the client wants the person to be asked (OpenID Connect Core §3.1.2.1).
pub(super) fn prompts(parameters: &Parameters) -> impl Iterator<Item = &str> {
    parameters.get("prompt").unwrap_or_default().split(' ')
}

/// PKCE (RFC 7636) with S256, always.
fn challenge(parameters: &Parameters) -> Result<String, Refused> {
    let Some(challenge) = parameters.get("code_challenge") else {
        return refused(Code::InvalidRequest, "code_challenge is missing; PKCE with S256 is required");
    };
    if parameters.get("code_challenge_method") != Some("S256") {
        return refused(Code::InvalidRequest, "code_challenge_method must be S256");
    }
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&challenge.len()) || !challenge.bytes().all(unreserved) {
        return refused(Code::InvalidRequest, "code_challenge must be 43 to 128 unreserved characters");
    }
    Ok(challenge.to_owned())
}

pub(super) fn scopes_asked(asked: Option<&str>, sign_in: &SignIn) -> Result<Scopes, Refused> {
    let Some(mut scopes) = Scopes::parse(asked.unwrap_or_default()) else {
        return refused(Code::InvalidScope, "scope has characters that are not allowed");
    };
    // Asked for by clients that want to refresh, which they may here without asking.
    scopes.remove("offline_access");
    if scopes.is_empty() {
        return Ok(Scopes::default_of(sign_in));
    }
    if !scopes.is_within(&Scopes::all_of(sign_in)) {
        return refused(Code::InvalidScope, format!("the route knows these scopes: {}", Scopes::all_of(sign_in)));
    }
    Ok(scopes)
}
