//! What a provider says about itself (OpenID Connect Discovery), where the configuration does not say it.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use portcullis_policies::kit::{
    clock::Clock,
    fetch::{Fetch, FetchError, Fetching, Wanted},
    jwt::{Claims, JwtError, RemoteKeys, Rules, Token},
    sign_in::OpenIdProvider,
};
use serde::Deserialize;
use url::Url;

use super::ProviderError;
use crate::{fault::Fault, fetch};

/// Where a provider does what.
#[derive(Debug)]
pub(in crate::oauth) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
    /// Does it take the client's secret in a header? RFC 6749 §2.3.1 says that all do.
    pub(super) basic: bool,
    /// Does it promise to name itself in every answer that a browser brings back (RFC 9207 §3)?
    pub(super) names_itself: bool,
    pub(super) jwks: Url,
    keys: RemoteKeys,
}

/// The providers in use.
#[derive(Debug)]
pub(crate) struct Providers {
    pub(super) fetch: fetch::Client,
    clock: Arc<dyn Clock>,
    known: Cache<String, Arc<Endpoints>>,
}

/// The members of a discovery document that matter here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Fetches for a provider: none takes longer than the provider may.
#[derive(Debug)]
struct Patient {
    fetch: fetch::Client,
    patience: Duration,
}

impl Fetch for Patient {
    fn fetch(&self, wanted: Wanted) -> Fetching<'_> {
        self.fetch.fetch(Wanted { patience: wanted.patience.min(self.patience), ..wanted })
    }
}

/// The person is told what happened; the operator also what to do.
fn note(provider: &OpenIdProvider, fault: Fault) {
    let (issuer, remedy) = (&*provider.issuer, fault.fix());
    tracing::warn!(issuer, fault = fault.code(), remedy, "{}", fault.cause());
}

/// Bytes of a discovery document at most.
pub(super) const LARGEST: usize = 256 << 10;
/// How long it is believed.
const KEPT: Duration = Duration::from_hours(1);

impl Providers {
    pub(crate) fn new(fetch: fetch::Client, clock: Arc<dyn Clock>) -> Self {
        Self { fetch, clock, known: Cache::builder().max_capacity(1_000).time_to_live(KEPT).build() }
    }

    /// Where the provider does what. Many may ask at once; the provider is asked once, and a failure is not kept.
    pub(super) async fn endpoints(&self, provider: &OpenIdProvider) -> Result<Arc<Endpoints>, ProviderError> {
        let key = format!(
            "{}\n{:?}\n{:?}\n{:?}\n{:?}",
            provider.issuer,
            provider.authorization_endpoint,
            provider.token_endpoint,
            provider.jwks_url,
            provider.patience
        );
        let found = self.known.try_get_with(key, self.find(provider)).await;
        found.map_err(|error: Arc<ProviderError>| ProviderError::clone(&error))
    }

    async fn find(&self, provider: &OpenIdProvider) -> Result<Arc<Endpoints>, ProviderError> {
        let told = (&provider.authorization_endpoint, &provider.token_endpoint, &provider.jwks_url);
        let keys_at = |url: &Url| {
            let fetch = Patient { fetch: self.fetch.clone(), patience: provider.patience };
            RemoteKeys::new(url.clone(), Arc::new(fetch))
        };
        let endpoints = match told {
            (Some(authorization), Some(token), Some(jwks)) => Endpoints {
                authorization: authorization.clone(),
                token: token.clone(),
                basic: true,
                names_itself: false,
                jwks: jwks.clone(),
                keys: keys_at(jwks),
            },
            (authorization, token, jwks) => {
                let found = self.discover(provider).await?;
                let methods = found.token_endpoint_auth_methods_supported;
                Endpoints {
                    authorization: authorization.clone().unwrap_or(found.authorization_endpoint),
                    token: token.clone().unwrap_or(found.token_endpoint),
                    basic: methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
                    names_itself: found.authorization_response_iss_parameter_supported,
                    keys: keys_at(jwks.as_ref().unwrap_or(&found.jwks_uri)),
                    jwks: jwks.clone().unwrap_or(found.jwks_uri),
                }
            }
        };
        Ok(Arc::new(endpoints))
    }

    async fn discover(&self, provider: &OpenIdProvider) -> Result<Document, ProviderError> {
        let issuer = provider.issuer.trim_end_matches('/');
        let url = Url::parse(&format!("{issuer}/.well-known/openid-configuration"));
        let url = url.map_err(|error| ProviderError::Nonsense(error.to_string()))?;
        let wanted = Wanted { url, max_bytes: LARGEST, patience: provider.patience };
        let fetched = self.fetch.fetch(wanted).await.map_err(|error| {
            let is_there = matches!(error, FetchError::Status(_) | FetchError::TooLarge);
            let fault =
                if is_there { Fault::NoAuthorizationServerMetadata } else { Fault::AuthorizationServerUnreachable };
            note(provider, fault);
            ProviderError::Unreachable(format!("its discovery document: {error}"))
        })?;
        let document: Document = serde_json::from_slice(&fetched.body).map_err(|error| {
            note(provider, Fault::NoAuthorizationServerMetadata);
            ProviderError::Nonsense(format!("its discovery document: {error}"))
        })?;
        if document.issuer != provider.issuer {
            note(provider, Fault::IssuerMismatch);
            let why = format!("its discovery document is of the issuer {:?}", document.issuer);
            return Err(ProviderError::Unbelievable(why));
        }
        Ok(document)
    }

    /// Verifies what the provider signed.
    pub(super) async fn verify(
        &self,
        provider: &OpenIdProvider,
        token: &str,
        rules: &Rules,
    ) -> Result<Claims, ProviderError> {
        let endpoints = self.endpoints(provider).await?;
        let unbelievable = |error: JwtError| ProviderError::Unbelievable(error.to_string());
        let token = Token::parse(token).map_err(unbelievable)?;
        let keys = endpoints.keys.get(token.kid()).await;
        let keys = keys.map_err(|_| ProviderError::Unreachable("its keys cannot be had".to_owned()))?;
        token.verify(&keys, rules, self.clock.now()).map_err(unbelievable)
    }
}
