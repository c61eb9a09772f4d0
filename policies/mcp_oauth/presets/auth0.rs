use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::{policy::Problem, sign_in::ClaimNames},
    mcp_oauth::{Endpoints, Preset, check},
};

/// Auth0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth0 {
    /// The tenant's domain by itself, such as `acme.eu.auth0.com`.
    pub auth0_domain: String,
    /// The identifier of an API, sent along when people sign in.
    pub audience: Option<String>,
}

impl Preset for Auth0 {
    const NAME: &'static str = "mcp-auth0-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-auth0-oauth"];
    const SUMMARY: &'static str = "signs people in with Auth0";

    fn endpoints(&self, _: &str) -> Result<Endpoints, Vec<Problem>> {
        let domain =
            check::host("/auth0Domain", &self.auth0_domain, "acme.eu.auth0.com").map_err(|problem| vec![problem])?;
        let base = format!("https://{domain}");
        let paths = ["/authorize", "/oauth/token", "/.well-known/jwks.json"];
        Ok(Endpoints::below(format!("{base}/"), &base, paths))
    }

    /// Claims of one's own have a namespace at Auth0, which is a URL of one's choice.
    fn claims(&self, _: &str) -> ClaimNames {
        ClaimNames {
            roles: vec!["*/roles".to_owned()],
            groups: vec!["*/groups".to_owned()],
            tenant: Some("org_id".to_owned()),
        }
    }

    fn parameters(&self) -> BTreeMap<String, String> {
        self.audience.iter().map(|audience| ("audience".to_owned(), audience.clone())).collect()
    }
}
