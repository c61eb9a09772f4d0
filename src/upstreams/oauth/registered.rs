//! What a server makes of a registration (RFC 7591 §3.2).

use bytes::Bytes;
use http::{Response, StatusCode};
use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{ClientAuth, ClientAuthMethod},
    fetch::FetchError,
};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{Discovered, SetupCode, SetupError, Transcript, transcript::plain};

/// What the server made of it (RFC 7591 §3.2.1).
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<SecretString>,
    client_secret_expires_at: Option<i64>,
    token_endpoint_auth_method: Option<String>,
    redirect_uris: Option<Vec<String>>,
}

/// A refusal (RFC 7591 §3.2.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

const WHAT: &str = "registration";

/// A registration under way.
pub(super) struct Attempt<'a> {
    pub(super) server: &'a Discovered,
    pub(super) redirect_uri: Option<&'a Url>,
    pub(super) transcript: Transcript,
}

impl Attempt<'_> {
    pub(super) fn registered(
        &mut self,
        endpoint: &Url,
        answer: &Response<Bytes>,
        asked: &str,
    ) -> Result<(ClientAuth, Option<Timestamp>), SetupError> {
        if !answer.status().is_success() {
            return Err(self.refused(endpoint, answer));
        }
        let registered = serde_json::from_slice::<Registered>(answer.body()).ok();
        let Some(registered) = registered.filter(|registered| !registered.client_id.is_empty()) else {
            return Err(self.rejected(endpoint, "the answer is no registration"));
        };
        let is_ours =
            |uris: &Vec<String>| self.redirect_uri.is_none_or(|ours| uris.iter().any(|uri| uri == ours.as_str()));
        if !registered.redirect_uris.as_ref().is_none_or(is_ours) {
            return Err(self.other_redirect_uri(endpoint));
        }
        let expires_at = registered.client_secret_expires_at.filter(|end| *end > 0).map(Timestamp::from_seconds);
        match method(registered.token_endpoint_auth_method.as_deref(), registered.client_secret, asked) {
            Ok(method) => Ok((ClientAuth { client_id: registered.client_id, method }, expires_at)),
            Err(why) => Err(self.rejected(endpoint, why)),
        }
    }

    fn refused(&mut self, endpoint: &Url, answer: &Response<Bytes>) -> SetupError {
        let status = answer.status();
        match serde_json::from_slice::<Refusal>(answer.body()) {
            Ok(refusal) if matches!(&*refusal.error, "invalid_redirect_uri" | "redirect_uri_mismatch") => {
                self.other_redirect_uri(endpoint)
            }
            Ok(Refusal { error, error_description: None }) => self.rejected(endpoint, &error),
            Ok(Refusal { error, error_description: Some(words) }) => {
                self.rejected(endpoint, &format!("{error}: {words}"))
            }
            // Nobody promised that there is an endpoint.
            Err(_)
                if self.server.is_guess && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) =>
            {
                let words = format!(
                    "{} publishes no metadata (RFC 9728) and registers nobody; if its metadata are elsewhere, \
                     `protectedResourceMetadataUrl` says where, and a vendor without any can be given by hand with \
                     `classicOAuth`",
                    self.server.issuer
                );
                self.fails(endpoint, SetupCode::NoProtectedResourceMetadata, &words)
            }
            Err(_) => self.rejected(endpoint, &format!("it has status {status}, and does not say why")),
        }
    }

    pub(super) fn failed(&mut self, endpoint: &Url, error: &FetchError) -> SetupError {
        let code = match error {
            FetchError::Forbidden(_) => SetupCode::InsecureEndpoint,
            FetchError::Unreachable(_) | FetchError::TimedOut => SetupCode::Unreachable,
            FetchError::TooLarge | FetchError::Status(_) => SetupCode::DynamicRegistrationFailed,
        };
        self.fails(endpoint, code, &format!("the registration endpoint: {error}"))
    }

    fn rejected(&mut self, endpoint: &Url, why: &str) -> SetupError {
        self.fails(endpoint, SetupCode::DynamicRegistrationFailed, &plain(why))
    }

    fn other_redirect_uri(&mut self, endpoint: &Url) -> SetupError {
        let ours = self.redirect_uri.map(Url::as_str).unwrap_or_default();
        let words = format!(
            "{} does not take {ours} as a redirect URI; ask the vendor to allow it, or register a client there by hand \
             and name it in `clientRegistration`",
            self.server.issuer
        );
        self.fails(endpoint, SetupCode::RedirectUriMismatch, &words)
    }

    fn fails(&mut self, endpoint: &Url, code: SetupCode, words: &str) -> SetupError {
        self.transcript.asked(WHAT, endpoint, words);
        SetupError::new(code, words, std::mem::take(&mut self.transcript))
    }

    pub(super) fn is_up_to_operator(&mut self) -> SetupError {
        let uri = self.redirect_uri.map(|uri| format!(" with the redirect URI {uri}")).unwrap_or_default();
        let words = format!(
            "the gateway cannot register itself at {}; register a client there{uri}, and name it in \
             `clientRegistration`",
            self.server.issuer
        );
        self.transcript.decided(WHAT, "up to the operator");
        SetupError::new(SetupCode::NoRegistrationEndpoint, &words, std::mem::take(&mut self.transcript))
    }
}

/// How the gateway proves to be itself with what it got: as the server says, else as it was asked. Whoever gets a secret
/// without having asked for one shows it in the way that RFC 7591 §2 has for those who do not say.
fn method(named: Option<&str>, secret: Option<SecretString>, asked: &str) -> Result<ClientAuthMethod, &'static str> {
    let unnamed = match (&secret, asked) {
        (None, _) => "none",
        (Some(_), "none") => "client_secret_basic",
        (Some(_), asked) => asked,
    };
    match (named.unwrap_or(unnamed), secret) {
        ("none", _) => Ok(ClientAuthMethod::None),
        ("client_secret_post", Some(secret)) => Ok(ClientAuthMethod::Post(secret)),
        ("client_secret_basic", Some(secret)) => Ok(ClientAuthMethod::Basic(secret)),
        ("client_secret_basic" | "client_secret_post", None) => Err("the client got no secret to prove itself with"),
        _ => Err("the client has to prove itself in a way that the gateway does not know"),
    }
}
