//! What connections need from levels above, as small traits that the server fills.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use portcullis_policies::kit::{
    credential::{UpstreamAuth, UpstreamTarget},
    host::Caller,
};
use secrecy::SecretString;

/// A route whose upstream asks for a credential.
#[derive(Clone, Debug)]
pub struct UpstreamRoute {
    /// Its path.
    pub path: Arc<str>,
    /// How its calls are let in.
    pub auth: Arc<UpstreamAuth>,
    /// Where they go.
    pub target: UpstreamTarget,
}

/// The routes of the configuration in force, as far as their upstreams ask for credentials.
pub trait UpstreamRoutes: fmt::Debug + Send + Sync {
    /// The route with this path.
    fn upstream_auth(&self, path: &str) -> Option<UpstreamRoute>;

    /// All of them, in the order of the file.
    fn all(&self) -> Vec<UpstreamRoute>;

    /// Another number for each configuration.
    fn version(&self) -> u64;
}

/// What people signed in with, for the grants that exchange it.
#[async_trait]
pub trait SubjectTokens: fmt::Debug + Send + Sync {
    /// An ID token of the caller that is good now.
    async fn id_token(&self, caller: &Caller) -> Result<SecretString, NoSubjectToken>;
}

/// Why there is no token to exchange.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoSubjectToken {
    /// The identity provider gave none that can be kept, or takes it back: the person must sign in once more.
    #[error("{0}")]
    SignInAgain(String),
    /// It cannot be had at present.
    #[error("{0}")]
    Unavailable(String),
}
