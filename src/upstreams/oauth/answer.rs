//! Reading what a token endpoint answers (RFC 6749 §5).

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::secret;

/// What a token endpoint gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenSet {
    /// The token for the upstream: a bearer token that can stand in a header as it is.
    #[serde(with = "secret")]
    pub access_token: SecretString,
    /// With what to ask for the next one. None: the one before stays good.
    #[serde(with = "secret::optional")]
    pub refresh_token: Option<SecretString>,
    /// How long it is good. None: the server did not say anything that could be believed.
    pub expires_in: Option<Duration>,
    /// What it is good for, as the server says it. None: what was asked for.
    pub scope: Option<String>,
}
