//! The authorization request, and judging what a browser brings back.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::secret;

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
