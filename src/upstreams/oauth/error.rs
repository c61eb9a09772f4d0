//! Why an upstream cannot be connected to, and why it gave no token.

use std::fmt;

use portcullis_policies::kit::{fetch::FetchError, words};

use super::transcript::{Transcript, plain};
use crate::fault::Fault;

/// Why the gateway and an upstream's authorization server do not come together. Someone has to change something; the
/// transcript says what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupError {
    /// What it is.
    pub code: SetupCode,
    /// What happened and what to do.
    pub words: String,
    /// What was asked before.
    pub transcript: Transcript,
}

/// Letters of an explanation at most: vendors have a say in it.
const LONGEST: usize = 1_000;

impl SetupError {
    /// With what was seen on the way to it.
    pub(in crate::upstreams) fn new(code: SetupCode, words: &str, mut transcript: Transcript) -> Self {
        transcript.decided("ended", code.as_str());
        Self { code, words: words::plain(words, LONGEST), transcript }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.words)
    }
}

impl std::error::Error for SetupError {}

/// What is wrong with a set-up, in words that people search for. A code never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetupCode {
    /// The upstream does not say which authorization server it trusts (RFC 9728).
    NoProtectedResourceMetadata,
    /// Its metadata are of another resource: whoever wrote them could get a token for that one.
    ResourceMismatch,
    /// Its metadata name no authorization server.
    NoAuthorizationServer,
    /// The issuer of the configuration is none of those that the upstream trusts.
    IssuerNotTrusted,
    /// The authorization server publishes no metadata (RFC 8414).
    NoAuthorizationServerMetadata,
    /// The metadata found are of another issuer.
    IssuerMismatch,
    /// The authorization server does not say that it knows PKCE with S256.
    NoPkceSupport,
    /// An address is not https, or no address that may be asked or opened.
    InsecureEndpoint,
    /// The authorization server has no page where people could say yes.
    NoAuthorizationEndpoint,
    /// The gateway cannot register itself there, so an operator must.
    NoRegistrationEndpoint,
    /// The authorization server did not register the gateway.
    DynamicRegistrationFailed,
    /// The authorization server does not take the gateway's redirect URI.
    RedirectUriMismatch,
    /// There was no answer.
    Unreachable,
}

impl SetupCode {
    /// The code.
    pub const fn as_str(self) -> &'static str {
        self.fault().code()
    }

    /// What it is in the table of faults.
    pub const fn fault(self) -> Fault {
        match self {
            Self::NoProtectedResourceMetadata => Fault::NoResourceMetadata,
            Self::ResourceMismatch => Fault::ResourceMismatch,
            Self::NoAuthorizationServer => Fault::NoAuthorizationServer,
            Self::IssuerNotTrusted => Fault::IssuerNotTrusted,
            Self::NoAuthorizationServerMetadata => Fault::NoAuthorizationServerMetadata,
            Self::IssuerMismatch => Fault::IssuerMismatch,
            Self::NoPkceSupport => Fault::NoPkce,
            Self::InsecureEndpoint => Fault::InsecureEndpoint,
            Self::NoAuthorizationEndpoint => Fault::NoAuthorizationEndpoint,
            Self::NoRegistrationEndpoint => Fault::NoRegistrationEndpoint,
            Self::DynamicRegistrationFailed => Fault::RegistrationFailed,
            Self::RedirectUriMismatch => Fault::RedirectUriMismatch,
            Self::Unreachable => Fault::AuthorizationServerUnreachable,
        }
    }
}

/// Why there is no token. The words are for people: the log and pages may show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantError {
    /// The server refused: a code of RFC 6749 §5.2 or of its own, and its words.
    Refused {
        /// The code.
        code: String,
        /// Its own words.
        words: Option<String>,
    },
    /// No answer, or one that says to try again. Whether the server did what it was asked is unknown.
    Unreachable(String),
    /// Nothing was sent, and nothing will be until somebody changes something.
    Unsendable(String),
    /// An answer that is none, or no token that could be used.
    Nonsense(String),
    /// It came from another authorization server than it was begun at (RFC 9207). Nothing of it is to be shown.
    Mixup,
}

impl GrantError {
    pub(super) fn refused(code: &str, words: Option<&str>) -> Self {
        let code =
            code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).take(64).collect();
        Self::Refused { code, words: words.map(plain).filter(|words| !words.trim().is_empty()) }
    }

    /// Is the grant over: has the person to say yes once more? Besides `invalid_grant`, which it should be, two vendors
    /// have names of their own for it.
    pub fn is_end_of_grant(&self) -> bool {
        self.has_code(&["invalid_grant", "bad_refresh_token", "invalid_refresh_token"])
    }

    /// Does the server not know the gateway (any more), so that it has to register anew?
    pub fn is_unknown_client(&self) -> bool {
        self.has_code(&["invalid_client", "unauthorized_client", "incorrect_client_credentials"])
    }

    /// Did the person say no?
    pub fn is_denied(&self) -> bool {
        self.has_code(&["access_denied"])
    }

    /// What somebody has to set up differently, where the refusal says so.
    pub fn setup_code(&self) -> Option<SetupCode> {
        self.has_code(&["redirect_uri_mismatch", "invalid_redirect_uri"]).then_some(SetupCode::RedirectUriMismatch)
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Refused { code, .. } if codes.contains(&code.as_str()))
    }
}

impl From<FetchError> for GrantError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Forbidden(_) => Self::Unsendable(error.to_string()),
            FetchError::TooLarge | FetchError::Status(_) => Self::Nonsense(error.to_string()),
            FetchError::Unreachable(_) | FetchError::TimedOut => Self::Unreachable(error.to_string()),
        }
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, words: None } => write!(f, "the authorization server refused: {code}"),
            Self::Refused { code, words: Some(words) } => {
                write!(f, "the authorization server refused: {code}, in its words: {words}")
            }
            Self::Unreachable(why) => write!(f, "the authorization server gave no answer: {why}"),
            Self::Unsendable(why) => write!(f, "the authorization server was not asked: {why}"),
            Self::Nonsense(why) => write!(f, "the authorization server's answer was not accepted: {why}"),
            Self::Mixup => f.write_str("the answer did not come from the authorization server that was asked"),
        }
    }
}

impl std::error::Error for GrantError {}
