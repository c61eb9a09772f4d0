use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::policy::Problem,
    mcp_oauth::{Endpoints, Preset, check},
};

/// PingOne.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PingOne {
    /// The environment's id, a UUID. Needed unless there is a `customDomain`.
    pub environment_id: Option<String>,
    /// Where the environment is.
    #[serde(default)]
    pub region: Region,
    /// The environment's own domain by itself, instead of `environmentId` and `region`.
    pub custom_domain: Option<String>,
}

/// Where a PingOne environment is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// `auth.pingone.com`
    #[default]
    NorthAmerica,
    /// `auth.pingone.ca`
    Canada,
    /// `auth.pingone.eu`
    Europe,
    /// `auth.pingone.sg`
    Singapore,
    /// `auth.pingone.com.au`
    Australia,
    /// `auth.pingone.asia`
    AsiaPacific,
}

impl Region {
    fn host(self) -> &'static str {
        match self {
            Self::NorthAmerica => "auth.pingone.com",
            Self::Canada => "auth.pingone.ca",
            Self::Europe => "auth.pingone.eu",
            Self::Singapore => "auth.pingone.sg",
            Self::Australia => "auth.pingone.com.au",
            Self::AsiaPacific => "auth.pingone.asia",
        }
    }
}

impl Preset for PingOne {
    const NAME: &'static str = "mcp-ping-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-ping-oauth"];
    const SUMMARY: &'static str = "signs people in with PingOne";

    fn endpoints(&self, _: &str) -> Result<Endpoints, Vec<Problem>> {
        let issuer = self.issuer().map_err(|problem| vec![problem])?;
        Ok(Endpoints::below(&*issuer, &issuer, ["/authorize", "/token", "/jwks"]))
    }
}

impl PingOne {
    fn issuer(&self) -> Result<String, Problem> {
        const COPY: &str = "copy the environment ID from the environment's properties";
        if let Some(domain) = &self.custom_domain {
            return Ok(format!("https://{}/as", check::host("/customDomain", domain, "login.example.com")?));
        }
        let Some(id) = &self.environment_id else {
            let problem = Problem::new("", "neither `environmentId` nor `customDomain` says where the environment is");
            return Err(problem.hint(COPY));
        };
        let id = check::uuid("/environmentId", id, COPY)?;
        Ok(format!("https://{}/{id}/as", self.region.host()))
    }
}
