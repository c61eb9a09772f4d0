use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::kit::{
    challenge::is_scope,
    fetch::{Fetch, is_loopback},
    jwt::{Algorithm, RemoteKeys, Rules},
    policy::Problem,
    sign_in::OutsideIssuer,
};

/// Whose tokens count, and what they must say.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtInboundOptions {
    /// The authorization servers whose tokens are accepted.
    pub issuers: Vec<IssuerOptions>,
    /// What `aud` must name, for issuers that do not say it themselves: this route's URL, or the name under which it is
    /// registered at the issuer.
    pub audience: Option<Audience>,
    /// Scopes that every call needs.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// One authorization server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerOptions {
    /// Exactly as in the `iss` claim, an https URL.
    pub issuer: String,
    /// Where its keys are. Left out: where its discovery document says.
    pub jwks_url: Option<String>,
    /// What `aud` must name in its tokens.
    pub audience: Option<Audience>,
    /// Algorithms that its tokens may be signed with. Left out: all that its keys are meant for.
    pub algorithms: Option<Vec<Algorithm>>,
    /// The claim with the scopes. Left out: `scope` and `scp`.
    pub scopes_claim: Option<String>,
    /// The claim with the client's id. Left out: `client_id`, `azp` or `cid`.
    pub client_id_claim: Option<String>,
    /// The claim with the roles, also inside another one: `realm_access.roles`.
    #[serde(default = "roles")]
    pub roles_claim: String,
    /// The claim with the groups.
    #[serde(default = "groups")]
    pub groups_claim: String,
}

fn roles() -> String {
    "roles".to_owned()
}

fn groups() -> String {
    "groups".to_owned()
}

/// One name, or several of which one is enough.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    AnyOf(Vec<String>),
}

impl Audience {
    fn names(&self) -> Vec<Box<str>> {
        match self {
            Self::One(name) => vec![name.as_str().into()],
            Self::AnyOf(names) => names.iter().map(|name| name.as_str().into()).collect(),
        }
    }
}

/// One authorization server, ready to judge by.
pub(super) struct Issuer {
    pub(super) rules: Rules,
    pub(super) keys: RemoteKeys,
    pub(super) claims: ClaimNames,
}

/// Which claims of its tokens hold what.
pub(super) struct ClaimNames {
    pub(super) scopes: Vec<String>,
    pub(super) client: Vec<String>,
    pub(super) roles: String,
    pub(super) groups: String,
}

type Checked = (Vec<Issuer>, Vec<Box<str>>);

/// Finds every problem, not only the first.
pub(super) fn checked(options: JwtInboundOptions, fetch: Option<&Arc<dyn Fetch>>) -> Result<Checked, Vec<Problem>> {
    let mut problems = Vec::new();
    if options.issuers.is_empty() {
        problems.push(Problem::new("/issuers", "nobody's tokens are accepted").hint("name at least one issuer"));
    }
    if fetch.is_none() {
        problems.push(Problem::new("", "this program cannot fetch the keys of an issuer"));
    }
    check_scopes(&options.scopes, &mut problems);
    for (index, one) in options.issuers.iter().enumerate() {
        let earlier = options.issuers[..index].iter().any(|other| other.issuer == one.issuer);
        check_issuer(one, earlier, options.audience.as_ref(), &format!("/issuers/{index}"), &mut problems);
    }
    match fetch {
        Some(fetch) if problems.is_empty() => {
            let audience = options.audience;
            let issuers = options.issuers.into_iter().map(|one| issuer(one, audience.as_ref(), fetch));
            Ok((issuers.collect(), options.scopes.into_iter().map(Into::into).collect()))
        }
        _ => Err(problems),
    }
}

fn check_scopes(scopes: &[String], problems: &mut Vec<Problem>) {
    for (index, scope) in scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
        let problem = Problem::new(format!("/scopes/{index}"), format!("{scope:?} is not one scope"));
        problems.push(problem.hint("write each scope by itself, without blanks, quotes and backslashes"));
    }
}

fn check_issuer(one: &IssuerOptions, again: bool, audience: Option<&Audience>, at: &str, problems: &mut Vec<Problem>) {
    let mut problem = |key: &str, why: String, hint: &str| {
        problems.push(Problem::new(format!("{at}/{key}"), why).hint(hint));
    };
    if let Err(why) = secure_url(&one.issuer) {
        problem("issuer", format!("{:?} {why}", one.issuer), "write it exactly as in the `iss` claim");
    }
    if again {
        problem("issuer", format!("{:?} is there twice", one.issuer), "put its audiences into one list");
    }
    if let Some((url, why)) = one.jwks_url.as_ref().and_then(|url| Some((url, secure_url(url).err()?))) {
        problem("jwksUrl", format!("{url:?} {why}"), "leave it out if the issuer has a discovery document");
    }
    let names = one.audience.as_ref().or(audience).map(Audience::names).unwrap_or_default();
    if names.is_empty() || names.iter().any(|name| name.is_empty()) {
        let why = "nothing says what its tokens' `aud` must be".to_owned();
        problem("audience", why, "write this route's URL, or its name at the issuer; any token would do otherwise");
    }
    if one.algorithms.as_ref().is_some_and(Vec::is_empty) {
        problem("algorithms", "no algorithm is allowed".to_owned(), "leave it out to allow those of the issuer's keys");
    }
}

/// Keys that come without TLS are anybody's, except on this machine.
fn secure_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("is not an https URL"),
    }
}

impl IssuerOptions {
    /// What its tokens must say.
    pub(super) fn outside(&self, audience: Option<&Audience>) -> OutsideIssuer {
        let rules = Rules {
            types: Rules::ANY,
            audiences: self.audience.as_ref().or(audience).map(Audience::names).unwrap_or_default(),
            required: &["sub", "iat"],
            algorithms: self.algorithms.clone(),
            ..Rules::access_token(self.issuer.as_str(), "")
        };
        OutsideIssuer {
            rules,
            jwks_url: self.jwks_url.as_deref().and_then(|url| secure_url(url).ok()),
            scope_claims: names(self.scopes_claim.clone(), &["scope", "scp"]),
        }
    }
}

fn names(chosen: Option<String>, usual: &[&str]) -> Vec<String> {
    chosen.map_or_else(|| usual.iter().map(|name| (*name).to_owned()).collect(), |name| vec![name])
}

fn issuer(options: IssuerOptions, audience: Option<&Audience>, fetch: &Arc<dyn Fetch>) -> Issuer {
    let outside = options.outside(audience);
    let keys = outside.keys(Arc::clone(fetch));
    let OutsideIssuer { rules, scope_claims, .. } = outside;
    let claims = ClaimNames {
        scopes: scope_claims,
        client: names(options.client_id_claim, &["client_id", "azp", "cid"]),
        roles: options.roles_claim,
        groups: options.groups_claim,
    };
    Issuer { rules, keys, claims }
}
