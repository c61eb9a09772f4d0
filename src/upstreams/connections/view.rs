//! What pages and commands are told of connections.

use std::sync::Arc;

use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{ConnectState, UpstreamAuth},
};
use url::Url;

use super::error::SetupFailure;
use crate::store::{ConnectionStage, StoreError};

/// A link to the page on which somebody connects, that is still good.
#[derive(Clone, Debug)]
pub struct LinkView {
    /// What they connect to, and how.
    pub auth: Arc<UpstreamAuth>,
    /// Who may use it. Empty where all callers share the connection: then it is whoever the operator gave the link.
    pub subject: String,
    /// The route that asked for it.
    pub route: String,
    /// The host that will get the credential.
    pub target_host: String,
    /// Is it the first time, or once more?
    pub state: ConnectState,
    /// What the upstream asks for beyond what is usual, in the link that a call was answered with.
    pub scopes: Vec<Box<str>>,
}

/// Where a browser is sent to, after its person said yes on our page.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The upstream's authorization endpoint, with the whole request.
    pub url: Url,
    /// The `state` of the request: names the flow.
    pub state: String,
}

/// Somebody has connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The upstream's name for people.
    pub display_name: String,
}

/// A person and an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    /// The upstream's id.
    pub upstream: String,
    /// Its name for people; its id, if the configuration does not know it any more.
    pub display_name: String,
    /// What people connect to, in a sentence.
    pub summary: Option<String>,
    /// The first route that leads there; none if the configuration has none any more.
    pub route: Option<String>,
    /// The host that gets the credential.
    pub target_host: String,
    /// Where the connection stands.
    pub standing: ConnectionStage,
    /// Why it stands there; empty if there is none.
    pub because: String,
    /// What the upstream granted.
    pub scope: Option<String>,
    /// When the person connected.
    pub connected_at: Option<Timestamp>,
}

/// Why somebody could not connect. The words are for people; none of them were written by an upstream, unless said so.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The link, or the flow that began with it, is not known: used, expired, or never given.
    #[error("this link was used already, or is too old; repeat the call to get a new one")]
    Gone,
    /// The link is somebody else's.
    #[error("this link was made for somebody else, and nothing was changed; open the link that your own client shows")]
    NotYours,
    /// The flow began in another browser.
    #[error("this was begun in another browser, and nothing was changed; open your own link in this one")]
    OtherBrowser,
    /// What was typed in cannot be sent.
    #[error("{0}")]
    Unusable(String),
    /// The upstream's sign-in cannot be set up.
    #[error("{0}")]
    Setup(SetupFailure),
    /// The upstream's authorization server said no. The words are its own.
    #[error("the upstream's sign-in refused: {code}")]
    Refused {
        /// Its error code (RFC 6749 §4.1.2.1, §5.2).
        code: String,
        /// What it said besides, for the log.
        words: String,
    },
    /// The answer came from another authorization server than the one that was asked (RFC 9207).
    #[error("the answer did not come from the sign-in that was asked, so it was not used")]
    Mixup,
    /// The upstream's authorization server does not answer, or not so that it can be understood.
    #[error("the upstream's sign-in does not answer as it should; try again in a moment")]
    Unavailable(String),
    /// The gateway's store does not do its work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ConnectError {
    /// A code that never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gone => "link_gone",
            Self::NotYours => "not_yours",
            Self::OtherBrowser => "other_browser",
            Self::Unusable(_) => "unusable_value",
            Self::Setup(_) => "upstream_setup_failed",
            Self::Refused { .. } => "upstream_refused",
            Self::Mixup => "mixup",
            Self::Unavailable(_) => "upstream_unavailable",
            Self::Store(_) => "store_unavailable",
        }
    }
}
