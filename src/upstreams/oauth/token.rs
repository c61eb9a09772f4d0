//! Asking token endpoints.
//!
//! All requests are made here and not by the `oauth2` crate, which the authorization request is made with: of the seven
//! kinds, it knows three. It can neither exchange tokens nor redeem or show assertions, and revokes at https only, also
//! on this machine.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use portcullis_policies::kit::credential::ClientAuth;
use secrecy::SecretString;
use url::Url;

use super::{
    CallbackParameters, Discovered, GrantError, PendingGrant, Registration, TokenSet, UpstreamOAuth,
    answer::{self, TokenType},
    client_auth::authenticate,
    form::Form,
    survey::BUDGET,
};

/// Whom a request goes to, and as whom.
pub(super) struct Party<'a> {
    pub(super) endpoint: &'a Url,
    pub(super) client: &'a ClientAuth,
    /// Whom an assertion of the client is for.
    pub(super) audience: &'a str,
}

impl<'a> Party<'a> {
    /// The server that a registration is of, and no other (`sec_a14` of `tests/COVERAGE.md`): what it proves itself with
    /// stays there.
    pub(super) fn of(server: &'a Discovered, registration: &'a Registration) -> Result<Self, GrantError> {
        if registration.issuer != server.issuer {
            return Err(GrantError::Unsendable("the gateway's registration is at another issuer".to_owned()));
        }
        let endpoint = &server.token_endpoint;
        let audience = if server.is_issuer_known { server.issuer.as_str() } else { endpoint.as_str() };
        Ok(Self { endpoint, client: &registration.client, audience })
    }
}

impl UpstreamOAuth {
    /// Redeems what a browser brought back (RFC 6749 §4.1.3).
    ///
    /// # Errors
    ///
    /// [`GrantError::Mixup`] first of all, then what the server said in the browser, then what it says now.
    pub async fn redeem(
        &self,
        server: &Discovered,
        registration: &Registration,
        pending: &PendingGrant,
        callback: &CallbackParameters,
    ) -> Result<TokenSet, GrantError> {
        let code = callback.code(server, pending)?;
        let mut form = Form::of("authorization_code");
        form.push_secret("code", code);
        form.push("redirect_uri", pending.redirect_uri.as_str());
        if let Some(verifier) = &pending.verifier {
            form.push_secret("code_verifier", verifier);
        }
        form.push_given("resource", server.resource.as_deref());
        self.tokens(&Party::of(server, registration)?, form).await
    }

    /// Redeems a refresh token (RFC 6749 §6). Without `scopes` the new token is good for the same as the one before.
    pub async fn refresh(
        &self,
        server: &Discovered,
        registration: &Registration,
        refresh_token: &SecretString,
        scopes: &[Box<str>],
    ) -> Result<TokenSet, GrantError> {
        let mut form = Form::of("refresh_token");
        form.push_secret("refresh_token", refresh_token);
        form.push_given("scope", Some(&scopes.join(&server.scope_delimiter)));
        form.push_given("resource", server.resource.as_deref());
        self.tokens(&Party::of(server, registration)?, form).await
    }

    /// Asks for the gateway itself (RFC 6749 §4.4).
    pub async fn client_credentials(
        &self,
        server: &Discovered,
        registration: &Registration,
        scopes: &[Box<str>],
    ) -> Result<TokenSet, GrantError> {
        let mut form = Form::of("client_credentials");
        form.push_given("scope", Some(&scopes.join(&server.scope_delimiter)));
        form.push_given("resource", server.resource.as_deref());
        self.tokens(&Party::of(server, registration)?, form).await
    }

    /// Asks the server to forget the tokens (RFC 7009): the refresh token, with which it forgets all that came of it,
    /// or the access token where there is no other. Nothing is asked of a server that revokes nothing.
    pub async fn revoke(
        &self,
        server: &Discovered,
        registration: &Registration,
        tokens: &TokenSet,
    ) -> Result<(), GrantError> {
        let Some(endpoint) = &server.revocation_endpoint else { return Ok(()) };
        let (token, hint) = match &tokens.refresh_token {
            Some(token) => (token, "refresh_token"),
            None => (&tokens.access_token, "access_token"),
        };
        let mut form = Form::empty();
        form.push_secret("token", token);
        form.push("token_type_hint", hint);
        let party = Party { endpoint, ..Party::of(server, registration)? };
        let (answer, secrets) = self.ask(&party, form).await?;
        if answer.status().is_success() { Ok(()) } else { Err(answer::refusal(&answer, &secrets)) }
    }

    /// Asks for a bearer token.
    pub(super) async fn tokens(&self, party: &Party<'_>, form: Form) -> Result<TokenSet, GrantError> {
        let (answer, secrets) = self.ask(party, form).await?;
        answer::tokens(&answer, TokenType::Bearer, &secrets)
    }

    /// Sends a form, and returns the answer with what it must not be quoted with.
    pub(super) async fn ask(
        &self,
        party: &Party<'_>,
        mut form: Form,
    ) -> Result<(Response<Bytes>, Vec<SecretString>), GrantError> {
        let proof = authenticate(party.client, party.audience, self.clock.now(), &mut form)?;
        let (body, secrets) = form.into_parts();
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = party
            .endpoint
            .as_str()
            .parse()
            .map_err(|_| GrantError::Unsendable("its endpoint cannot be written in a request".to_owned()))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(proof) = proof {
            headers.insert(AUTHORIZATION, proof);
        }
        Ok((self.fetch.send(request, BUDGET).await?, secrets))
    }
}
