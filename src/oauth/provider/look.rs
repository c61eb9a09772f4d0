//! What a provider says, for who only looks.

use portcullis_policies::kit::{
    fetch::{Fetch, Wanted},
    jwt::KeySet,
    sign_in::OpenIdProvider,
};
use url::Url;

use super::{
    ProviderError,
    discovery::{LARGEST, Providers},
};

/// What is wrong with a provider.
#[derive(Debug)]
pub(crate) enum ProviderFlaw {
    /// What it says about itself: nobody gets as far as to its page.
    Discovery(ProviderError),
    /// Its keys, and where they should be: nobody comes back from its page.
    Keys(Url, String),
}

impl Providers {
    /// Reads what signing in takes, by the same code; returns where people are sent.
    pub(crate) async fn look(&self, provider: &OpenIdProvider) -> Result<Url, ProviderFlaw> {
        let endpoints = self.endpoints(provider).await.map_err(ProviderFlaw::Discovery)?;
        let jwks = &endpoints.jwks;
        let flaw = |why: String| ProviderFlaw::Keys(jwks.clone(), why);
        let wanted = Wanted { url: jwks.clone(), max_bytes: LARGEST, patience: provider.patience };
        let fetched = self.fetch.fetch(wanted).await.map_err(|error| flaw(error.to_string()))?;
        KeySet::read(&fetched.body).map_err(|error| flaw(error.to_string()))?;
        Ok(endpoints.authorization.clone())
    }
}
