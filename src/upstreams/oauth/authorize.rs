//! The authorization request, and judging what a browser brings back.

use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope, basic::BasicClient};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Discovered, Flow, GrantError, Registration, SetupCode, SetupError, UpstreamOAuth, secret, server::OFFLINE_ACCESS,
};

/// What must be remembered until the browser comes back. It is kept sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingGrant {
    /// Where it was begun, noted before the browser was sent there.
    pub issuer: String,
    /// Where the browser comes back.
    pub redirect_uri: Url,
    /// Proves that the code is ours (RFC 7636). None where the server does not know PKCE.
    #[serde(with = "secret::optional")]
    pub verifier: Option<SecretString>,
    /// What was asked for.
    pub scopes: Vec<Box<str>>,
}

/// What a browser brings back, unread.
#[derive(Clone, Default, Deserialize)]
pub struct CallbackParameters {
    /// The code.
    pub code: Option<SecretString>,
    /// What it was sent with.
    pub state: Option<String>,
    /// Who the server says that it is (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The same in words.
    pub error_description: Option<String>,
}

impl UpstreamOAuth {
    /// The authorization request (RFC 6749 §4.1.1, with PKCE and the resource), and what to remember until its answer.
    /// `state` must be one that nobody can guess, for this request alone.
    ///
    /// # Errors
    ///
    /// [`SetupCode::NoAuthorizationEndpoint`] for a server that was looked up for grants without people.
    pub fn departure(
        &self,
        server: &Discovered,
        registration: &Registration,
        scopes: &[Box<str>],
        redirect_uri: &Url,
        state: &str,
    ) -> Result<(Url, PendingGrant), SetupError> {
        let Some(endpoint) = server.authorization_endpoint.clone().filter(|_| server.flow == Flow::Code) else {
            let words = format!("{} has no page where people could say yes", server.issuer);
            return Err(SetupError::new(SetupCode::NoAuthorizationEndpoint, &words, server.transcript.clone()));
        };
        let scopes = with_offline_access(server, scopes);
        let client = BasicClient::new(ClientId::new(registration.client.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(endpoint))
            .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
        let mut request = client.authorize_url(|| CsrfToken::new(state.to_owned()));
        if !scopes.is_empty() {
            request = request.add_scope(Scope::new(scopes.join(&server.scope_delimiter)));
        }
        for (name, value) in further(server, &scopes) {
            request = request.add_extra_param(name, value);
        }
        let mut verifier = None;
        if server.pkce {
            let (challenge, secret) = PkceCodeChallenge::new_random_sha256();
            request = request.set_pkce_challenge(challenge);
            verifier = Some(SecretString::from(secret.into_secret()));
        }
        let (url, _) = request.url();
        Ok((url, PendingGrant { issuer: server.issuer.clone(), redirect_uri: redirect_uri.clone(), verifier, scopes }))
    }
}

/// What the request has besides what OAuth 2.0 has.
fn further<'a>(server: &'a Discovered, scopes: &[Box<str>]) -> Vec<(&'a str, &'a str)> {
    let mut further: Vec<_> = server.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    further.extend(server.resource.as_deref().map(|resource| ("resource", resource)));
    // Without asking the person, OpenID providers leave `offline_access` out (OpenID Connect Core §11).
    let offline = scopes.iter().any(|scope| **scope == *OFFLINE_ACCESS);
    if offline && !server.parameters.contains_key("prompt") {
        further.push(("prompt", "consent"));
    }
    further
}

/// The scopes, and where the server knows it, the one that it gives refresh tokens for.
pub(super) fn with_offline_access(server: &Discovered, scopes: &[Box<str>]) -> Vec<Box<str>> {
    let mut scopes = scopes.to_vec();
    if server.offline_access && !scopes.iter().any(|scope| **scope == *OFFLINE_ACCESS) {
        scopes.push(OFFLINE_ACCESS.into());
    }
    scopes
}

impl CallbackParameters {
    /// The code in it.
    ///
    /// # Errors
    ///
    /// [`GrantError::Mixup`] before anything else is looked at, also before an error: it may come from anybody.
    pub(super) fn code(&self, server: &Discovered, pending: &PendingGrant) -> Result<&SecretString, GrantError> {
        self.check_issuer(server, pending)?;
        if let Some(error) = &self.error {
            return Err(GrantError::refused(error, self.error_description.as_deref()));
        }
        self.code.as_ref().ok_or_else(|| GrantError::Nonsense("the browser brought no code back".to_owned()))
    }

    /// RFC 9207 §2.4: byte for byte, also where the server did not promise to name itself. A vendor of which only
    /// addresses are known may say what it likes: its redirect URI is its own.
    fn check_issuer(&self, server: &Discovered, pending: &PendingGrant) -> Result<(), GrantError> {
        if pending.issuer != server.issuer {
            return Err(GrantError::Mixup);
        }
        match &self.iss {
            Some(issuer) if *issuer != server.issuer && server.is_issuer_known => Err(GrantError::Mixup),
            None if server.names_itself => Err(GrantError::Mixup),
            _ => Ok(()),
        }
    }
}
