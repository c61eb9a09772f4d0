#![doc = include_str!("README.md")]

mod door;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use self::door::{KeyDoor, Place};
use crate::kit::{
    admission::admission,
    chain::RouteLayer,
    host::Host,
    policy::{Fact, Policy, Problem},
    rehearsal::Rehearsal,
    scopes::ScopeRules,
};

/// Lets programs in that show an API key.
#[derive(Debug)]
pub struct ApiKey;

/// Where the key is, and what it must have been given for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiKeyOptions {
    /// The header that holds the key.
    pub auth_header: String,
    /// The word before the key. With `null` or `""` the header holds the key and nothing else.
    pub auth_scheme: Option<String>,
    /// Scopes that every call needs.
    pub scopes: Vec<String>,
    /// Further scopes that calls of a tool need, by the tool's name or a pattern (`*`, `?`).
    pub tool_scopes: BTreeMap<String, Vec<String>>,
}

impl Default for ApiKeyOptions {
    fn default() -> Self {
        Self {
            auth_header: "Authorization".to_owned(),
            auth_scheme: Some("Bearer".to_owned()),
            scopes: Vec::new(),
            tool_scopes: BTreeMap::new(),
        }
    }
}

impl Policy for ApiKey {
    const NAME: &'static str = "api-key-inbound";
    const ALIASES: &'static [&'static str] = &["api-key"];
    const SUMMARY: &'static str = "lets programs in that show an API key of this gateway";
    const GIVES: &'static [Fact] = &[Fact::CALLER];
    const BEFORE: &'static [Fact] = &[Fact::RENAMED_TARGET];
    const NEEDS_STORE: bool = true;
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::Instead(|options, stage| {
        Ok(stage.admission(ScopeRules::new(&options.scopes, &options.tool_scopes)?))
    });
    type Options = ApiKeyOptions;

    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let mut problems = Vec::new();
        if host.api_keys.is_none() {
            let why = "`api-key-inbound` needs the gateway's API keys, which this program does not have";
            problems.push(Problem::new("", why).hint("give `Host::api_keys`, or use another sign-in policy"));
        }
        let rules = ScopeRules::new(&options.scopes, &options.tool_scopes).map_err(|found| problems.extend(found));
        let place = place(&options).map_err(|problem| problems.push(problem));
        match (&host.api_keys, rules, place) {
            (Some(keys), Ok(rules), Ok(place)) => Ok(admission(KeyDoor::new(keys, rules, place))),
            _ => Err(problems),
        }
    }
}

fn place(options: &ApiKeyOptions) -> Result<Place, Problem> {
    let ApiKeyOptions { auth_header, auth_scheme, .. } = options;
    let header: HeaderName = auth_header.parse().map_err(|_| {
        Problem::new("/authHeader", format!("{auth_header:?} is not a header's name"))
            .hint("write it like \"X-Api-Key\"")
    })?;
    let scheme = auth_scheme.as_deref().filter(|scheme| !scheme.is_empty());
    match scheme {
        Some(scheme) if scheme.contains(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-') => {
            let problem = Problem::new("/authScheme", format!("{scheme:?} is not one word"));
            Err(problem.hint("write it like \"Bearer\", without a space; \"\" where there is none"))
        }
        scheme => Ok(Place { header, scheme: scheme.map(Into::into) }),
    }
}
