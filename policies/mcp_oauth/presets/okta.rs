use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::policy::Problem,
    mcp_oauth::{Endpoints, Preset, check},
};

/// Okta.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Okta {
    /// The organization's domain by itself, such as `acme.okta.com`.
    pub okta_domain: String,
    /// A custom authorization server, such as `default`. Without it, the organization's own one.
    pub authorization_server_id: Option<String>,
}

impl Preset for Okta {
    const NAME: &'static str = "mcp-okta-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-okta-oauth"];
    const SUMMARY: &'static str = "signs people in with Okta";

    fn endpoints(&self, _: &str) -> Result<Endpoints, Vec<Problem>> {
        check::all([self.domain_problem(), self.server_problem()])?;
        let organization = format!("https://{}", self.okta_domain);
        let (issuer, base) = match &self.authorization_server_id {
            None => (organization.clone(), format!("{organization}/oauth2/v1")),
            Some(id) => (format!("{organization}/oauth2/{id}"), format!("{organization}/oauth2/{id}/v1")),
        };
        Ok(Endpoints::below(issuer, &base, ["/authorize", "/token", "/keys"]))
    }
}

impl Okta {
    fn domain_problem(&self) -> Option<Problem> {
        let domain = match check::host("/oktaDomain", &self.okta_domain, "acme.okta.com") {
            Ok(domain) => domain,
            Err(problem) => return Some(problem),
        };
        let (name, rest) = domain.split_once('.')?;
        let own = name.strip_suffix("-admin").filter(|_| rest.starts_with("okta"))?;
        let problem = Problem::new("/oktaDomain", format!("{domain:?} is where the admin console is"));
        Some(problem.hint(format!("write {:?}", format!("{own}.{rest}"))))
    }

    fn server_problem(&self) -> Option<Problem> {
        let id = self.authorization_server_id.as_deref().filter(|id| !check::is_word(id))?;
        let problem =
            Problem::new("/authorizationServerId", format!("{id:?} is not the id of an authorization server"));
        let last = id.trim_end_matches('/').rsplit('/').next().filter(|last| check::is_word(last));
        Some(match last {
            Some(last) => problem.hint(format!("write {last:?}")),
            None => problem.hint("write it like \"default\", or leave it out for the organization's own server"),
        })
    }
}
