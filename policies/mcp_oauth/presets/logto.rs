use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::policy::Problem,
    mcp_oauth::{Endpoints, Preset, check},
};

/// Logto.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logto {
    /// Where Logto is, without `/oidc`, such as `https://acme.logto.app`.
    pub logto_endpoint: String,
}

impl Preset for Logto {
    const NAME: &'static str = "mcp-logto-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-logto-oauth"];
    const SUMMARY: &'static str = "signs people in with Logto";

    fn endpoints(&self, _: &str) -> Result<Endpoints, Vec<Problem>> {
        let origin = check::origin("/logtoEndpoint", &self.logto_endpoint).map_err(|problem| vec![problem])?;
        let issuer = format!("{origin}/oidc");
        Ok(Endpoints::below(&*issuer, &issuer, ["/auth", "/token", "/jwks"]))
    }
}
