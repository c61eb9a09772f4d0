use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::policy::Problem,
    mcp_oauth::{Endpoints, Preset, check},
};

/// OneLogin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OneLogin {
    /// What stands before `.onelogin.com`, such as `acme`.
    pub one_login_subdomain: String,
}

impl Preset for OneLogin {
    const NAME: &'static str = "mcp-onelogin-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-onelogin-oauth"];
    const SUMMARY: &'static str = "signs people in with OneLogin";

    fn endpoints(&self, _: &str) -> Result<Endpoints, Vec<Problem>> {
        let subdomain = self.one_login_subdomain.as_str();
        if !check::is_word(subdomain) {
            return Err(vec![not_a_subdomain(subdomain)]);
        }
        let issuer = format!("https://{subdomain}.onelogin.com/oidc/2");
        Ok(Endpoints::below(&*issuer, &issuer, ["/auth", "/token", "/certs"]))
    }
}

fn not_a_subdomain(found: &str) -> Problem {
    let problem = Problem::new("/oneLoginSubdomain", format!("{found:?} is not a subdomain by itself"));
    let host = found.split_once("://").map_or(found, |(_, rest)| rest);
    match host.split(['.', '/', ':']).next().filter(|name| check::is_word(name)) {
        Some(name) => problem.hint(format!("write {name:?}")),
        None => problem.hint("write it like \"acme\""),
    }
}
