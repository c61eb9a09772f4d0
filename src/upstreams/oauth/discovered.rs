//! What is known of an upstream's authorization server, and of the gateway there.

use std::collections::BTreeMap;

use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{ClientAuth, ClientAuthMethod},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{secret, transcript::Transcript};

/// How tokens are had from an authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flow {
    /// A person says yes in a browser, and a code is redeemed (RFC 6749 §4.1).
    Code,
    /// The gateway asks for itself (RFC 6749 §4.4).
    ClientCredentials,
}

/// What is known of the authorization server of an upstream, from its metadata or from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "servers can do these things in any combination")]
pub struct Discovered {
    /// What it was looked up for.
    pub flow: Flow,
    /// Who it is. Everything that is good at one issuer is worth nothing at another.
    pub issuer: String,
    /// Was the issuer told, by metadata or by the configuration? If not, it is only the origin of its token endpoint.
    pub is_issuer_known: bool,
    /// Were the endpoints guessed, as 2025-03-26 says where there are no metadata?
    pub is_guess: bool,
    /// Where people say yes.
    pub authorization_endpoint: Option<Url>,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: Url,
    /// Where the gateway can register itself (RFC 7591).
    pub registration_endpoint: Option<Url>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// How clients may prove to be themselves; empty if it does not say.
    pub auth_methods: Vec<String>,
    /// The resource that tokens are asked for (RFC 8707). None where the server must not be told.
    pub resource: Option<String>,
    /// The scopes to ask for.
    pub scopes: Vec<Box<str>>,
    /// All that the gateway may come to ask for: those, and what else the upstream knows. Servers give nobody a scope that
    /// it was not registered for.
    pub possible_scopes: Vec<Box<str>>,
    /// What stands between them.
    pub scope_delimiter: String,
    /// Does it give refresh tokens to those who ask for `offline_access`?
    pub offline_access: bool,
    /// Is the challenge of PKCE sent?
    pub pkce: bool,
    /// Further parameters of the authorization request.
    pub parameters: BTreeMap<String, String>,
    /// Does it promise to name itself in every answer that a browser brings back (RFC 9207 §3)?
    pub names_itself: bool,
    /// Does it take the URL of a document as a client's id?
    pub client_documents: bool,
    /// How all this was found. It is for whoever waits for what comes of it, and not kept.
    #[serde(skip)]
    pub transcript: Transcript,
}

/// The gateway's registration at an authorization server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registration {
    /// Where. It is never shown to another one.
    pub issuer: String,
    /// The gateway's id there, and how it proves to be itself.
    #[serde(with = "Client")]
    pub client: ClientAuth,
    /// How it came about.
    pub kind: RegistrationKind,
    /// The redirect URI that it is for. None for grants without people.
    pub redirect_uri: Option<Url>,
    /// When its secret ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// How a registration came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistrationKind {
    /// An operator registered the gateway.
    Configured,
    /// The gateway's id is the URL of its document. Good at every issuer.
    Document,
    /// The gateway registered itself (RFC 7591). Worth keeping.
    Dynamic,
}

impl Registration {
    /// Can it be used for this server and this redirect URI now, or does the gateway have to register anew?
    pub fn is_good_for(&self, server: &Discovered, redirect_uri: Option<&Url>, now: Timestamp) -> bool {
        self.issuer == server.issuer
            && self.redirect_uri.as_ref() == redirect_uri
            && self.expires_at.is_none_or(|end| now < end)
    }
}

/// [`ClientAuth`] as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ClientAuth")]
struct Client {
    client_id: String,
    #[serde(with = "Method")]
    method: ClientAuthMethod,
}

/// [`ClientAuthMethod`] as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ClientAuthMethod")]
enum Method {
    None,
    Basic(#[serde(with = "secret")] SecretString),
    Post(#[serde(with = "secret")] SecretString),
    PrivateKey {
        #[serde(with = "secret")]
        key: SecretString,
        algorithm: String,
        key_id: Option<String>,
    },
}
