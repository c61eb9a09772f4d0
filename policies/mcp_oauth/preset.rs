//! Providers whose URLs follow from a few words.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{BrowserTimes, ClaimOptions, Demands, SignInOptions, check::Registration, options::openid};
use crate::kit::{
    policy::Problem,
    sign_in::{ClaimNames, OpenIdProvider, Provider},
};

/// A provider whose URLs are known. The type holds the options that only this provider has.
pub trait Preset: DeserializeOwned + JsonSchema + 'static {
    /// The policy's name.
    const NAME: &'static str;
    /// Its other names.
    const ALIASES: &'static [&'static str];
    /// One line about it.
    const SUMMARY: &'static str;

    /// The provider's addresses, or every mistake in the options that they follow from.
    fn endpoints(&self, client_id: &str) -> Result<Endpoints, Vec<Problem>>;

    /// Where this provider puts roles, groups and the tenant.
    fn claims(&self, _client_id: &str) -> ClaimNames {
        ClaimNames::default()
    }

    /// Claims without which nobody is let in.
    fn required_claims(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Further parameters of the authorization request.
    fn parameters(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// Where a provider is. What is not given is found by discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Exactly as in the `iss` claim.
    pub issuer: String,
    /// The authorization endpoint.
    pub authorization: Option<String>,
    /// The token endpoint.
    pub token: Option<String>,
    /// The key set.
    pub jwks: Option<String>,
}

impl Endpoints {
    /// All of them below one address.
    pub fn below(issuer: impl Into<String>, base: &str, [authorization, token, jwks]: [&str; 3]) -> Self {
        let at = |path: &str| Some(format!("{base}{path}"));
        Self { issuer: issuer.into(), authorization: at(authorization), token: at(token), jwks: at(jwks) }
    }
}

/// Options of a provider whose URLs are known: its own, and those that all of them have.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "{P}Options")]
pub struct PresetOptions<P> {
    /// What only this provider has.
    #[serde(flatten)]
    pub provider: P,
    /// The gateway's client id at the provider.
    pub client_id: String,
    /// The gateway's client secret at the provider; `$env(NAME)` keeps it out of the file.
    #[schemars(with = "String")]
    pub client_secret: SecretString,
    /// What the gateway asks the provider for.
    #[serde(default = "openid")]
    pub scope: String,
    /// How long the browser's part lasts.
    #[serde(default)]
    pub browser_login_overrides: Overrides,
    /// Which claims of the ID token hold roles, groups and the tenant. Default: where this provider puts them.
    #[serde(default)]
    pub claims: ClaimOptions,
    /// What a token must have been given for, and how long it lasts.
    #[serde(flatten)]
    pub demands: Demands,
}

/// How long the browser's part lasts.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// How long things last.
    #[serde(flatten)]
    pub times: BrowserTimes,
}

impl<P: Preset> SignInOptions for PresetOptions<P> {
    const NAME: &'static str = P::NAME;
    const ALIASES: &'static [&'static str] = P::ALIASES;
    const SUMMARY: &'static str = P::SUMMARY;

    fn demands(&self) -> &Demands {
        &self.demands
    }

    fn provider(&self) -> Result<Provider, Vec<Problem>> {
        let mut problems = Vec::new();
        Registration { client_id: &self.client_id, client_secret: &self.client_secret, scope: &self.scope }
            .check("", &mut problems);
        let endpoints = self.provider.endpoints(&self.client_id).map_err(|found| problems.extend(found));
        let Ok(endpoints) = endpoints else { return Err(problems) };
        let mut parsed = |text: Option<String>| text.and_then(|text| parse(&text, &mut problems));
        let (authorization_endpoint, token_endpoint, jwks_url) =
            (parsed(endpoints.authorization), parsed(endpoints.token), parsed(endpoints.jwks));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Provider::OpenId(Box::new(OpenIdProvider {
            issuer: endpoints.issuer,
            authorization_endpoint,
            token_endpoint,
            jwks_url,
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            scope: self.scope.clone(),
            audience: None,
            parameters: self.provider.parameters(),
            claims: self.claims.or(self.provider.claims(&self.client_id)),
            required_claims: self.provider.required_claims(),
            patience: self.browser_login_overrides.times.patience(),
        })))
    }

    fn browser(&self) -> BrowserTimes {
        self.browser_login_overrides.times
    }
}

fn parse(text: &str, problems: &mut Vec<Problem>) -> Option<Url> {
    let parsed = Url::parse(text);
    parsed.map_err(|error| problems.push(Problem::new("", format!("{text:?} is not a URL: {error}")))).ok()
}
