use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::{policy::Problem, sign_in::ClaimNames},
    mcp_oauth::{Endpoints, Preset, check},
};

/// Google.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Google {
    /// The domain of a Workspace, such as `acme.example`: nobody else is let in. Without it, everybody with a Google
    /// account is.
    pub hosted_domain: Option<String>,
}

/// The claim, and the parameter, that name a Workspace by its domain.
const HOSTED_DOMAIN: &str = "hd";

impl Preset for Google {
    const NAME: &'static str = "mcp-google-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-google-oauth"];
    const SUMMARY: &'static str = "signs people in with Google";

    fn endpoints(&self, client_id: &str) -> Result<Endpoints, Vec<Problem>> {
        const END: &str = ".apps.googleusercontent.com";
        if let Some(domain) = &self.hosted_domain {
            check::host("/hostedDomain", domain, "acme.example").map_err(|problem| vec![problem])?;
        }
        if !client_id.ends_with(END) {
            let problem =
                Problem::new("/clientId", format!("{client_id:?} is not the client id of a Google application"));
            return Err(vec![problem.hint(format!("copy it whole: it ends with \"{END}\""))]);
        }
        Ok(Endpoints {
            issuer: "https://accounts.google.com".to_owned(),
            authorization: Some("https://accounts.google.com/o/oauth2/v2/auth".to_owned()),
            token: Some("https://oauth2.googleapis.com/token".to_owned()),
            jwks: Some("https://www.googleapis.com/oauth2/v3/certs".to_owned()),
        })
    }

    /// The domain of a Workspace.
    fn claims(&self, _: &str) -> ClaimNames {
        ClaimNames { tenant: Some(HOSTED_DOMAIN.to_owned()), ..ClaimNames::default() }
    }

    fn required_claims(&self) -> BTreeMap<String, String> {
        let domain = self.hosted_domain.as_ref().map(|domain| domain.to_ascii_lowercase());
        domain.map(|domain| (HOSTED_DOMAIN.to_owned(), domain)).into_iter().collect()
    }

    /// Google then offers accounts of that domain alone; that it let in no other is judged by the claim.
    fn parameters(&self) -> BTreeMap<String, String> {
        self.required_claims()
    }
}
