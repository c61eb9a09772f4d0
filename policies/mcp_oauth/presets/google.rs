use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::{policy::Problem, sign_in::ClaimNames},
    mcp_oauth::{Endpoints, Preset},
};

/// Google.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Google {}

impl Preset for Google {
    const NAME: &'static str = "mcp-google-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-google-oauth"];
    const SUMMARY: &'static str = "signs people in with Google";

    fn endpoints(&self, client_id: &str) -> Result<Endpoints, Vec<Problem>> {
        const END: &str = ".apps.googleusercontent.com";
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
        ClaimNames { tenant: Some("hd".to_owned()), ..ClaimNames::default() }
    }
}
