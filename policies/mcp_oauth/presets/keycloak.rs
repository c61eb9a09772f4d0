use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::{policy::Problem, sign_in::ClaimNames},
    mcp_oauth::{Endpoints, Preset, check},
};

/// Keycloak.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Keycloak {
    /// Where Keycloak is, without `/realms/…`, such as `https://login.example.com`.
    pub keycloak_base_url: String,
    /// The realm's name.
    pub realm: String,
}

impl Preset for Keycloak {
    const NAME: &'static str = "mcp-keycloak-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-keycloak-oauth"];
    const SUMMARY: &'static str = "signs people in with Keycloak";

    fn endpoints(&self, _: &str) -> Result<Endpoints, Vec<Problem>> {
        check::all([self.base_problem(), self.realm_problem()])?;
        let issuer = format!("{}/realms/{}", self.keycloak_base_url.trim_end_matches('/'), self.realm);
        let base = format!("{issuer}/protocol/openid-connect");
        Ok(Endpoints::below(issuer, &base, ["/auth", "/token", "/certs"]))
    }

    fn claims(&self, client_id: &str) -> ClaimNames {
        let of_client = format!("resource_access.{client_id}.roles");
        ClaimNames { roles: vec!["realm_access.roles".to_owned(), of_client], ..ClaimNames::default() }
    }
}

impl Keycloak {
    fn base_problem(&self) -> Option<Problem> {
        let (at, base) = ("/keycloakBaseUrl", &self.keycloak_base_url);
        if let Err(problem) = check::url(at, base) {
            return Some(problem);
        }
        let (root, realm) = base.split_once("/realms")?;
        let realm = realm.trim_matches('/').split('/').next().filter(|realm| !realm.is_empty());
        let also = realm.map(|realm| format!(" and \"realm\": {realm:?}")).unwrap_or_default();
        Some(Problem::new(at, format!("{base:?} goes on into a realm")).hint(format!("write {root:?}{also}")))
    }

    fn realm_problem(&self) -> Option<Problem> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let realm = &self.realm;
        if !realm.is_empty() && realm.bytes().all(plain) && !realm.bytes().all(|byte| byte == b'.') {
            return None;
        }
        let problem = Problem::new("/realm", format!("{realm:?} is not the name of a realm as it stands in URLs"));
        Some(problem.hint("write the name by itself, such as \"acme\""))
    }
}
