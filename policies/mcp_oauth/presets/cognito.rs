use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kit::{policy::Problem, sign_in::ClaimNames},
    mcp_oauth::{Endpoints, Preset, check},
};

/// Amazon Cognito.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cognito {
    /// The region of the user pool, such as `eu-central-1`.
    pub aws_region: String,
    /// The id of the user pool, such as `eu-central-1_AbCdEfGhI`.
    pub user_pool_id: String,
    /// The domain of the pool's login pages by itself, such as `acme.auth.eu-central-1.amazoncognito.com`.
    pub user_pool_domain: String,
}

impl Preset for Cognito {
    const NAME: &'static str = "mcp-cognito-oauth-inbound";
    const ALIASES: &'static [&'static str] = &["mcp-cognito-oauth"];
    const SUMMARY: &'static str = "signs people in with Amazon Cognito";

    fn endpoints(&self, _: &str) -> Result<Endpoints, Vec<Problem>> {
        check::all([self.region_problem(), self.pool_problem(), self.domain_problem()])?;
        let issuer = format!("https://cognito-idp.{}.amazonaws.com/{}", self.aws_region, self.user_pool_id);
        let login = format!("https://{}/oauth2", self.user_pool_domain);
        let jwks = format!("{issuer}/.well-known/jwks.json");
        Ok(Endpoints { jwks: Some(jwks), ..Endpoints::below(issuer, &login, ["/authorize", "/token", ""]) })
    }

    fn claims(&self, _: &str) -> ClaimNames {
        ClaimNames {
            groups: vec!["cognito:groups".to_owned()],
            roles: vec!["cognito:roles".to_owned()],
            ..ClaimNames::default()
        }
    }
}

impl Cognito {
    fn region_problem(&self) -> Option<Problem> {
        let region = &self.aws_region;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.split('-').count() >= 3 && region.bytes().all(plain) {
            return None;
        }
        let problem = Problem::new("/awsRegion", format!("{region:?} is not a region"));
        Some(problem.hint("write it like \"eu-central-1\""))
    }

    fn pool_problem(&self) -> Option<Problem> {
        let (pool, region) = (&self.user_pool_id, &self.aws_region);
        let problem = |why: String| Problem::new("/userPoolId", why);
        match pool.split_once('_') {
            Some((of, id)) if of == region && check::is_word(id) => None,
            Some((of, id)) if check::is_word(of) && check::is_word(id) => {
                let why = format!("the pool {pool:?} is in {of}, and `awsRegion` says {region}");
                Some(problem(why).hint(format!("write \"awsRegion\": {of:?}, or take another pool")))
            }
            _ => Some(
                problem(format!("{pool:?} is not the id of a user pool"))
                    .hint("write it like \"eu-central-1_AbCdEfGhI\""),
            ),
        }
    }

    fn domain_problem(&self) -> Option<Problem> {
        let (domain, region) = (&self.user_pool_domain, &self.aws_region);
        if check::is_word(domain) {
            let problem = Problem::new("/userPoolDomain", format!("{domain:?} is only the beginning of the domain"));
            return Some(problem.hint(format!("write {:?}", format!("{domain}.auth.{region}.amazoncognito.com"))));
        }
        if let Err(problem) = check::host("/userPoolDomain", domain, "acme.auth.eu-central-1.amazoncognito.com") {
            return Some(problem);
        }
        let of = domain.strip_suffix(".amazoncognito.com")?.rsplit('.').next().filter(|of| of != region)?;
        let why = format!("the domain {domain:?} is in {of}, and `awsRegion` says {region}");
        Some(
            Problem::new("/userPoolDomain", why).hint("take the domain, the pool and the region of the same user pool"),
        )
    }
}
