use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::policy::Problem,
    mcp_oauth::{Endpoints, Preset, check},
};

/// Clerk.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Clerk {
    /// The Frontend API URL, such as `https://clerk.example.com`.
    pub frontend_api_url: String,
}

impl Preset for Clerk {
    const NAME: &'static str = "mcp-clerk-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-clerk-oauth"];
    const SUMMARY: &'static str = "signs people in with Clerk";

    fn endpoints(&self, _: &str) -> Result<Endpoints, Vec<Problem>> {
        let issuer = check::origin("/frontendApiUrl", &self.frontend_api_url).map_err(|problem| vec![problem])?;
        Ok(Endpoints::below(issuer, issuer, ["/oauth/authorize", "/oauth/token", "/.well-known/jwks.json"]))
    }
}
