//! Who asks for tokens: one type for clients that the operator configured, that registered themselves (RFC 7591), and
//! that are named by the URL of a document.

use std::sync::Arc;

use portcullis_policies::kit::{jwt::KeySet, words::plain};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::redirect_uri::{RedirectUri, Unfit};
use crate::store::Digest;

/// A client, whatever it is known from.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// As in `client_id`.
    pub(super) id: String,
    /// Where it is known from.
    pub(super) origin: ClientOrigin,
    /// What it says about itself.
    pub(super) metadata: ClientMetadata,
    /// The digest of what consent was given to: name, redirect URIs, keys.
    pub(super) digest: Digest,
    pub(super) redirect_uris: Vec<RedirectUri>,
    pub(super) keys: ClientKeys,
}

/// Where a client is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientOrigin {
    /// `gateway.oauth.clients`.
    Configured,
    /// It registered itself.
    Registered,
    /// Its id is the URL of a document.
    Document,
}

/// Public keys with which a client proves itself.
#[derive(Clone, Debug)]
pub(super) enum ClientKeys {
    None,
    /// In the metadata.
    Inline(Arc<KeySet>),
    /// At a URL.
    At(Url),
}

/// Client metadata (RFC 7591 §2), as far as they matter here; others are ignored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ClientMetadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_name: Option<String>,
    #[serde(default)]
    pub(super) redirect_uris: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) grant_types: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) response_types: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token_endpoint_auth_method: Option<AuthMethod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) application_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) jwks: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) jwks_uri: Option<String>,
    /// The digest of the secret, in hexadecimal digits; never the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret_digest: Option<String>,
}

/// How a client proves itself at the token endpoint (RFC 7591 §2, OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AuthMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

impl AuthMethod {
    /// All that work, as the metadata list them.
    pub(super) const ALL: [&'static str; 4] = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];

    pub(super) fn needs_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// What is wrong with metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadMetadata {
    RedirectUri(String),
    Other(String),
}

impl From<Unfit> for BadMetadata {
    fn from(unfit: Unfit) -> Self {
        Self::RedirectUri(unfit.to_string())
    }
}

const MOST_REDIRECT_URIS: usize = 20;
const LONGEST_NAME: usize = 200;

impl Client {
    /// Judges metadata, wherever they come from.
    pub(super) fn new(
        id: String,
        origin: ClientOrigin,
        metadata: ClientMetadata,
        schemes: &[String],
    ) -> Result<Self, BadMetadata> {
        let other = |why: &str| Err(BadMetadata::Other(why.to_owned()));
        if metadata.redirect_uris.len() > MOST_REDIRECT_URIS {
            return Err(BadMetadata::RedirectUri("there are too many redirect URIs".to_owned()));
        }
        let judged = metadata.redirect_uris.iter().map(|uri| RedirectUri::parse(uri, schemes));
        let redirect_uris: Vec<_> = match origin {
            // Nobody here can change a document: what is unfit in it is left out.
            ClientOrigin::Document => judged.filter_map(Result::ok).collect(),
            _ => judged.collect::<Result<_, _>>()?,
        };
        if redirect_uris.is_empty() && metadata.allows("authorization_code") {
            return Err(BadMetadata::RedirectUri(
                "redirect_uris must name at least one address that may be used".to_owned(),
            ));
        }
        if metadata.response_types.as_ref().is_some_and(|types| types.iter().any(|kind| kind != "code")) {
            return other("response_types may only name code");
        }
        if metadata.client_name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            return other("client_name is too long");
        }
        let keys = ClientKeys::of(&metadata)?;
        if metadata.auth_method() == AuthMethod::PrivateKeyJwt && matches!(keys, ClientKeys::None) {
            return other("private_key_jwt needs jwks or jwks_uri");
        }
        Ok(Self { digest: metadata.digest(), id, origin, metadata, redirect_uris, keys })
    }

    /// The name for people to read: its own, without what could mislead the eye, or its id.
    pub(super) fn shown_name(&self) -> String {
        let name = self.metadata.client_name.as_deref().unwrap_or_default();
        let clean = plain(name, LONGEST_NAME);
        if clean.trim().is_empty() { self.id.clone() } else { clean.trim().to_owned() }
    }

    /// The host of a client-id URL, which is what vouches for the name.
    pub(super) fn shown_host(&self) -> Option<String> {
        let url = (self.origin == ClientOrigin::Document).then(|| Url::parse(&self.id).ok())??;
        url.host_str().map(ToOwned::to_owned)
    }

    /// The registered address that a request means by `asked`. Where one alone is registered, the request may leave it
    /// out.
    pub(super) fn redirect_uri(&self, asked: Option<&str>) -> Option<String> {
        match (asked, self.redirect_uris.as_slice()) {
            (Some(asked), uris) => uris.iter().any(|uri| uri.admits(asked)).then(|| asked.to_owned()),
            (None, [only]) => Some(only.as_str().to_owned()),
            (None, _) => None,
        }
    }

    /// Can it not be told from another program that says the same of itself? Neither a secret nor a host vouches for a
    /// client that listens on loopback or to a scheme of its own.
    pub(super) fn is_unproven(&self) -> bool {
        self.metadata.auth_method() == AuthMethod::None && !self.redirect_uris.iter().all(RedirectUri::is_web)
    }

    /// May a browser be sent to `redirect_uri` with nothing but an error, before anybody said yes? Anybody can register a
    /// site, and use us to send people there (OAuth 2.1 §7.12.2); a program on the person's machine is no such site.
    pub(super) fn is_trusted_with_errors(&self, redirect_uri: &str) -> bool {
        self.origin == ClientOrigin::Configured || !redirect_uri.starts_with("https:")
    }
}

impl ClientMetadata {
    /// How it proves itself. RFC 7591 §2 has `client_secret_basic` where nothing is said; a client with no secret can
    /// only mean `none`.
    pub(super) fn auth_method(&self) -> AuthMethod {
        match (self.token_endpoint_auth_method, &self.secret_digest) {
            (Some(method), _) => method,
            (None, Some(_)) => AuthMethod::ClientSecretBasic,
            (None, None) => AuthMethod::None,
        }
    }

    /// May it use this grant type? Clients that list none mean the code grant, and expect to be able to refresh.
    pub(super) fn allows(&self, grant_type: &str) -> bool {
        match &self.grant_types {
            Some(types) => types.iter().any(|allowed| allowed == grant_type),
            None => matches!(grant_type, "authorization_code" | "refresh_token"),
        }
    }

    /// What a person consents to when consenting to this client; another digest means asking again.
    fn digest(&self) -> Digest {
        let text = serde_json::json!([self.client_name, self.redirect_uris, self.jwks, self.jwks_uri]).to_string();
        Digest::of(text.as_bytes())
    }
}

impl ClientKeys {
    fn of(metadata: &ClientMetadata) -> Result<Self, BadMetadata> {
        let other = |why: String| BadMetadata::Other(why);
        match (&metadata.jwks, &metadata.jwks_uri) {
            (Some(_), Some(_)) => Err(other("jwks and jwks_uri exclude each other".to_owned())),
            (Some(jwks), None) => {
                if has_private_part(jwks) {
                    return Err(other("jwks holds a private or symmetric key".to_owned()));
                }
                let keys = KeySet::read(jwks.to_string().as_bytes());
                let keys = keys.map_err(|error| other(format!("jwks cannot be used: {error}")))?;
                Ok(Self::Inline(Arc::new(keys)))
            }
            (None, Some(uri)) => match Url::parse(uri) {
                Ok(url) if url.scheme() == "https" => Ok(Self::At(url)),
                _ => Err(other("jwks_uri must be an https URL".to_owned())),
            },
            (None, None) => Ok(Self::None),
        }
    }
}

fn has_private_part(jwks: &Value) -> bool {
    let keys = jwks["keys"].as_array().into_iter().flatten();
    keys.into_iter().any(|key| ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|part| key.get(part).is_some()))
}
