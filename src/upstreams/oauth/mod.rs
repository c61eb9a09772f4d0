//! interface
#![allow(missing_docs, unused_variables, dead_code, clippy::unused_async, clippy::todo)]
mod answer;
mod authorize;
mod discovered;
mod error;
mod secret;
mod transcript;

use std::sync::Arc;

use portcullis_policies::kit::{
    clock::Clock,
    credential::{Exchange, IdJag, OAuthUpstream, UpstreamChallenge},
};
use secrecy::SecretString;
use url::Url;

pub use self::{
    answer::TokenSet,
    authorize::{CallbackParameters, PendingGrant},
    discovered::{Discovered, Flow, Registration, RegistrationKind},
    error::{GrantError, SetupCode, SetupError},
    transcript::{Step, Transcript},
};
use crate::fetch;

#[derive(Clone, Debug)]
pub struct UpstreamOAuth {
    fetch: fetch::Client,
    clock: Arc<dyn Clock>,
}

/// The union of what was asked for before and what a challenge asks for (step-up); None if it asks for nothing more.
pub fn step_up(asked: &[Box<str>], challenge: &UpstreamChallenge) -> Option<Vec<Box<str>>> {
    todo!()
}

impl UpstreamOAuth {
    pub fn new(fetch: fetch::Client, clock: Arc<dyn Clock>) -> Self {
        Self { fetch, clock }
    }
    pub async fn discover(
        &self,
        flow: Flow,
        upstream: &OAuthUpstream,
        target: &Url,
        challenge: Option<&UpstreamChallenge>,
    ) -> Result<Discovered, SetupError> {
        todo!()
    }
    /// `redirect_uri` is needed for `Flow::Code`.
    pub async fn register(
        &self,
        server: &Discovered,
        upstream: &OAuthUpstream,
        client_document: Option<&Url>,
        redirect_uri: Option<&Url>,
        client_name: &str,
    ) -> Result<Registration, SetupError> {
        todo!()
    }
    pub fn departure(
        &self,
        server: &Discovered,
        registration: &Registration,
        scopes: &[Box<str>],
        redirect_uri: &Url,
        state: &str,
    ) -> Result<(Url, PendingGrant), SetupError> {
        todo!()
    }
    pub async fn redeem(
        &self,
        server: &Discovered,
        registration: &Registration,
        pending: &PendingGrant,
        callback: &CallbackParameters,
    ) -> Result<TokenSet, GrantError> {
        todo!()
    }
    pub async fn refresh(
        &self,
        server: &Discovered,
        registration: &Registration,
        refresh_token: &SecretString,
        scopes: &[Box<str>],
    ) -> Result<TokenSet, GrantError> {
        todo!()
    }
    /// Nothing to do, and `Ok`, where the server has no revocation endpoint.
    pub async fn revoke(
        &self,
        server: &Discovered,
        registration: &Registration,
        tokens: &TokenSet,
    ) -> Result<(), GrantError> {
        todo!()
    }
    pub async fn client_credentials(
        &self,
        server: &Discovered,
        registration: &Registration,
        scopes: &[Box<str>],
    ) -> Result<TokenSet, GrantError> {
        todo!()
    }
    pub async fn exchange(
        &self,
        exchange: &Exchange,
        subject_token: &SecretString,
        target: &Url,
    ) -> Result<TokenSet, GrantError> {
        todo!()
    }
    pub async fn id_jag(
        &self,
        id_jag: &IdJag,
        subject_token: &SecretString,
        target: &Url,
    ) -> Result<TokenSet, GrantError> {
        todo!()
    }
}
