use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::{policy::Problem, sign_in::ClaimNames},
    mcp_oauth::{Endpoints, Preset, check},
};

/// WorkOS AuthKit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkOs {
    /// The AuthKit domain by itself, such as `acme.authkit.app`, for an application of WorkOS Connect. Without it, the
    /// environment that the client id names.
    pub authkit_domain: Option<String>,
}

impl Preset for WorkOs {
    const NAME: &'static str = "mcp-workos-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-workos-oauth"];
    const SUMMARY: &'static str = "signs people in with WorkOS AuthKit";

    fn endpoints(&self, client_id: &str) -> Result<Endpoints, Vec<Problem>> {
        let domain = self.authkit_domain.as_deref();
        let domain = domain.map(|domain| check::host("/authkitDomain", domain, "acme.authkit.app")).transpose();
        check::all([domain.as_ref().err().cloned(), client_problem(client_id)])?;
        let Ok(Some(domain)) = domain else { return Ok(of_environment(client_id)) };
        let issuer = format!("https://{domain}");
        Ok(Endpoints::below(&*issuer, &issuer, ["/oauth2/authorize", "/oauth2/token", "/oauth2/jwks"]))
    }

    fn claims(&self, _: &str) -> ClaimNames {
        ClaimNames { roles: vec!["role".to_owned()], tenant: Some("org_id".to_owned()), ..ClaimNames::default() }
    }
}

/// Which endpoints belong to it says its discovery document.
fn of_environment(client_id: &str) -> Endpoints {
    Endpoints {
        issuer: format!("https://api.workos.com/user_management/{client_id}"),
        authorization: None,
        token: None,
        jwks: Some(format!("https://api.workos.com/sso/jwks/{client_id}")),
    }
}

/// The id becomes part of URLs.
fn client_problem(client_id: &str) -> Option<Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if client_id.starts_with("client_") && client_id.bytes().all(plain) {
        return None;
    }
    let problem = Problem::new("/clientId", format!("{client_id:?} is not a client id of WorkOS"));
    Some(problem.hint("copy it from the dashboard: it begins with \"client_\""))
}
