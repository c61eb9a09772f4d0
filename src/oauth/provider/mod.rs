//! Signing people in at an OpenID provider: the gateway is its client, and nothing that the provider gives out ever
//! reaches an MCP client.

mod callback;
mod claims;
mod discovery;
mod exchange;
mod login;
mod look;

use portcullis_policies::kit::sign_in::Provider;

pub(crate) use self::{discovery::Providers, look::ProviderFlaw};
pub(super) use self::{
    exchange::{Answer, Renewed},
    login::Begun,
};
use crate::store::Digest;

/// Which provider, as the store knows it: sessions and grants of one are worth nothing at another.
pub(super) fn provider_key(provider: &Provider) -> String {
    match provider {
        Provider::Dev => "dev".to_owned(),
        Provider::OpenId(provider) => {
            let mut registration = format!("{}\n{}", provider.issuer, provider.client_id);
            // Whoever came in where less is required has not come in where more is.
            registration.extend(provider.required_claims.iter().map(|(name, value)| format!("\n{name}={value}")));
            format!("{}#{}", provider.issuer, &Digest::of(registration.as_bytes()).to_string()[..8])
        }
    }
}

/// Why a provider did not say who somebody is. The words are for the person; the log has the details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProviderError {
    /// No answer, or none in time.
    Unreachable(String),
    /// It answers with something that is no answer.
    Nonsense(String),
    /// It refused: a code of RFC 6749, and its own words.
    Refused { code: String, words: Option<String> },
    /// It says something that cannot be believed.
    Unbelievable(String),
}

impl ProviderError {
    /// A refusal. What the provider says is shown to people, so it is made short and plain.
    fn refused(code: &str, words: Option<&str>) -> Self {
        let code = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        let plain = |words: &str| words.chars().filter(|c| !c.is_control()).take(300).collect();
        Self::Refused { code, words: words.map(plain) }
    }
}

impl std::fmt::Display for ProviderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the sign-in provider cannot be reached: {why}"),
            Self::Nonsense(why) => write!(f, "the sign-in provider's answer cannot be read: {why}"),
            Self::Refused { code, words: None } => write!(f, "the sign-in provider refused: {code}"),
            Self::Refused { code, words: Some(words) } => {
                write!(f, "the sign-in provider refused: {code}, in its words: {words}")
            }
            Self::Unbelievable(why) => write!(f, "the sign-in provider's answer was not accepted: {why}"),
        }
    }
}
