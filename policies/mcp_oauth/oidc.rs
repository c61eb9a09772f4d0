//! `mcp-oauth-inbound`: any OpenID provider, described by its issuer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{
    BrowserTimes, ClaimOptions, Demands, SignInOptions,
    check::{self, Registration},
    options::openid,
};
use crate::kit::{
    policy::Problem,
    sign_in::{ClaimNames, OpenIdProvider, Provider},
};

/// Options of `mcp-oauth-inbound`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenIdOptions {
    /// The provider.
    pub oidc: Oidc,
    /// How people sign in there.
    pub browser_login: BrowserLogin,
    /// Which claims of the ID token hold roles, groups and the tenant.
    #[serde(default)]
    pub claims: ClaimOptions,
    /// What a token must have been given for, and how long it lasts.
    #[serde(flatten)]
    pub demands: Demands,
}

/// An OpenID provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oidc {
    /// The issuer, exactly as in the provider's discovery document.
    pub issuer: String,
    /// Where the provider's keys are. Default: what its discovery document says.
    pub jwks_url: Option<String>,
    /// The `aud` of ID tokens, where it is not the client id.
    pub audience: Option<String>,
}

/// How people sign in at the provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrowserLogin {
    /// The provider's authorization endpoint. Default: what its discovery document says.
    pub url: Option<String>,
    /// The provider's token endpoint. Default: what its discovery document says.
    pub token_url: Option<String>,
    /// The gateway's client id at the provider.
    pub client_id: String,
    /// The gateway's client secret at the provider; `$env(NAME)` keeps it out of the file.
    #[schemars(with = "String")]
    pub client_secret: SecretString,
    /// What the gateway asks the provider for.
    #[serde(default = "openid")]
    pub scope: String,
    /// How long things last.
    #[serde(flatten)]
    pub times: BrowserTimes,
}

impl SignInOptions for OpenIdOptions {
    const NAME: &'static str = "mcp-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-oauth"];
    const SUMMARY: &'static str = "signs people in with any OpenID provider; MCP clients find everything by themselves";

    fn demands(&self) -> &Demands {
        &self.demands
    }

    fn provider(&self) -> Result<Provider, Vec<Problem>> {
        let (login, mut problems) = (&self.browser_login, Vec::new());
        Registration { client_id: &login.client_id, client_secret: &login.client_secret, scope: &login.scope }
            .check("/browserLogin", &mut problems);
        problems.extend(check::url("/oidc/issuer", &self.oidc.issuer).err());
        if self.oidc.issuer.ends_with(check::DISCOVERY) {
            let issuer = self.oidc.issuer.trim_end_matches(check::DISCOVERY);
            let problem = Problem::new("/oidc/issuer", "this is the address of the discovery document, not the issuer");
            problems.push(problem.hint(format!("write what stands in it as `issuer`, probably {issuer:?}")));
        }
        let mut optional = |at: &str, value: &Option<String>| -> Option<Url> {
            check::url(at, value.as_ref()?).map_err(|problem| problems.push(problem)).ok()
        };
        let jwks_url = optional("/oidc/jwksUrl", &self.oidc.jwks_url);
        let authorization_endpoint = optional("/browserLogin/url", &login.url);
        let token_endpoint = optional("/browserLogin/tokenUrl", &login.token_url);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Provider::OpenId(Box::new(OpenIdProvider {
            issuer: self.oidc.issuer.clone(),
            authorization_endpoint,
            token_endpoint,
            jwks_url,
            client_id: login.client_id.clone(),
            client_secret: login.client_secret.clone(),
            scope: login.scope.clone(),
            audience: self.oidc.audience.clone(),
            parameters: BTreeMap::new(),
            claims: self.claims.or(ClaimNames::default()),
            required_claims: BTreeMap::new(),
            patience: login.times.patience(),
        })))
    }

    fn browser(&self) -> BrowserTimes {
        self.browser_login.times
    }
}
