use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::{policy::Problem, sign_in::ClaimNames},
    mcp_oauth::{Endpoints, Preset, check},
};

/// Microsoft Entra ID.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entra {
    /// The directory's id, a UUID.
    pub tenant_id: String,
}

impl Preset for Entra {
    const NAME: &'static str = "mcp-entra-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-entra-oauth"];
    const SUMMARY: &'static str = "signs people in with Microsoft Entra ID";

    fn endpoints(&self, client_id: &str) -> Result<Endpoints, Vec<Problem>> {
        let client = check::uuid("/clientId", client_id, "copy the application (client) ID, not its name or secret ID");
        let tenant = self.tenant();
        match (tenant, client) {
            (Ok(tenant), Ok(_)) => Ok(at(&tenant)),
            (tenant, client) => Err([tenant.err(), client.err()].into_iter().flatten().collect()),
        }
    }

    fn claims(&self, _: &str) -> ClaimNames {
        ClaimNames { tenant: Some("tid".to_owned()), ..ClaimNames::default() }
    }
}

fn at(tenant: &str) -> Endpoints {
    let base = format!("https://login.microsoftonline.com/{tenant}");
    let paths = ["/oauth2/v2.0/authorize", "/oauth2/v2.0/token", "/discovery/v2.0/keys"];
    Endpoints::below(format!("{base}/v2.0"), &base, paths)
}

impl Entra {
    fn tenant(&self) -> Result<String, Problem> {
        const COPY: &str = "copy the directory (tenant) ID from the application's overview";
        if ["common", "organizations", "consumers"].contains(&self.tenant_id.to_ascii_lowercase().as_str()) {
            let why = format!(
                "{:?} lets people of any directory in: their tokens name each its own issuer, and one is expected here",
                self.tenant_id
            );
            return Err(Problem::new("/tenantId", why).hint(COPY));
        }
        check::uuid("/tenantId", &self.tenant_id, COPY)
    }
}
