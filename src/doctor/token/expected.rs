//! What the routes of a configuration expect of tokens.

use std::path::{Path, PathBuf};

use portcullis_policies::kit::{
    jwt::Rules,
    sign_in::{Outside, OutsideIssuer, SignIn},
};
use url::Url;

use super::super::subject::within_quotes;
use crate::{
    fetch,
    oauth::{Origin, own_rules},
    pipeline::{Generation, Route, public_origin},
};

/// What a configuration expects of tokens.
pub struct Expectations {
    /// All routes that take access tokens.
    pub(super) routes: Vec<Expected>,
    /// The path of the only one that matters, if it is said.
    pub(super) only: Option<String>,
    /// The configuration's file.
    config: PathBuf,
    /// To ask for keys with; nothing if nobody may be asked.
    pub(super) fetch: Option<fetch::Client>,
}

/// What one route expects.
pub(super) struct Expected {
    pub(super) path: String,
    /// Its URL, as clients know it.
    pub(super) resource: String,
    /// Are its tokens the gateway's own?
    pub(super) is_own: bool,
    /// The issuers whose tokens it takes.
    pub(super) issuers: Vec<OutsideIssuer>,
    /// Scopes that every call needs, and those that some calls need.
    pub(super) scopes: Vec<Box<str>>,
    pub(super) more_scopes: Vec<Box<str>>,
}

impl Expectations {
    /// Those of the route at `only`, or of all, by the configuration of this file. `fetch` asks for keys.
    pub fn new(generation: &Generation, config: &Path, only: Option<&str>, fetch: Option<fetch::Client>) -> Self {
        let routes = generation.paths().iter().filter_map(|path| generation.route(path));
        let origin = public_origin(&generation.gateway, &generation.gateway.listen);
        let routes = origin.iter().flat_map(|origin| routes.clone().filter_map(|route| Expected::of(route, origin)));
        Self { routes: routes.collect(), only: only.map(str::to_owned), config: config.to_owned(), fetch }
    }

    /// The options with which a command compares with the same.
    pub(in crate::doctor) fn options(&self) -> String {
        let config = format!(" --config '{}'", within_quotes(&self.config.display().to_string()));
        let route = self.only.as_ref().map(|route| format!(" --route '{}'", within_quotes(route)));
        let online = self.fetch.as_ref().map(|_| " --online".to_owned());
        [Some(config), route, online].into_iter().flatten().collect()
    }

    /// The routes that the token is compared with.
    pub(super) fn compared(&self) -> impl Iterator<Item = &Expected> {
        self.routes.iter().filter(|route| self.only.as_ref().is_none_or(|only| *only == route.path))
    }
}

impl Expected {
    /// None for a route that takes no access tokens.
    fn of(route: &Route, origin: &Origin) -> Option<Self> {
        let resource = origin.resource(&route.path);
        let path = route.path.to_string();
        match (&route.outside, &route.sign_in) {
            (Some(outside), _) => {
                let Outside { issuers, scopes } = (**outside).clone();
                Some(Self { path, resource, is_own: false, issuers, scopes, more_scopes: Vec::new() })
            }
            (None, Some(sign_in)) => {
                let SignIn { scopes, more_scopes, .. } = (**sign_in).clone();
                let issuers = vec![own(origin, &resource)];
                Some(Self { path, resource, is_own: true, issuers, scopes, more_scopes })
            }
            (None, None) => None,
        }
    }
}

/// The gateway itself as an issuer.
fn own(origin: &Origin, resource: &str) -> OutsideIssuer {
    let rules: Rules = own_rules(origin, vec![resource.into()]);
    OutsideIssuer {
        rules,
        jwks_url: Url::parse(&origin.at("/oauth/jwks")).ok(),
        scope_claims: vec!["scope".to_owned()],
    }
}
