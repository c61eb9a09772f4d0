//! Options that all these policies have.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::{policy::Problem, scopes::ScopeRules, sign_in::ClaimNames};

/// What a token must have been given for, and how long it lasts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Demands {
    /// Scopes that every call needs.
    pub scopes: Vec<String>,
    /// Further scopes that calls of a tool need, by the tool's name or a pattern (`*`, `?`).
    pub tool_scopes: BTreeMap<String, Vec<String>>,
    /// The tokens that clients get.
    pub gateway: TokenOptions,
}

impl Default for Demands {
    fn default() -> Self {
        Self { scopes: vec!["mcp:tools".to_owned()], tool_scopes: BTreeMap::new(), gateway: TokenOptions::default() }
    }
}

impl Demands {
    pub(super) fn rules(&self) -> Result<ScopeRules, Vec<Problem>> {
        ScopeRules::new(&self.scopes, &self.tool_scopes)
    }
}

/// The tokens that clients get.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TokenOptions {
    /// Seconds for which an access token is good: 900 at most.
    #[schemars(range(min = 1, max = 900))]
    pub access_token_ttl_seconds: u32,
    /// Seconds for which a refresh token is good that nobody uses. A grant that is refreshed lasts twelve times as long at
    /// most.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub refresh_token_ttl_seconds: u32,
    /// May clients name themselves by the URL of a document (client-id metadata document)?
    pub cimd_enabled: bool,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self { access_token_ttl_seconds: 900, refresh_token_ttl_seconds: 2_592_000, cimd_enabled: true }
    }
}

impl TokenOptions {
    pub(super) fn access_token(&self) -> Duration {
        seconds(self.access_token_ttl_seconds)
    }

    pub(super) fn refresh_token(&self) -> Duration {
        seconds(self.refresh_token_ttl_seconds)
    }
}

/// How long the browser's part lasts.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BrowserTimes {
    /// Seconds for which a browser stays signed in with the gateway.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub session_ttl_seconds: u32,
    /// Seconds within which a sign-in that was begun must be finished.
    #[schemars(range(min = 1, max = 3600))]
    pub state_ttl_seconds: u32,
    /// Milliseconds that the provider has for an answer.
    #[schemars(range(min = 1, max = 60_000))]
    pub remote_timeout_ms: u32,
}

impl Default for BrowserTimes {
    fn default() -> Self {
        Self { session_ttl_seconds: 28_800, state_ttl_seconds: 900, remote_timeout_ms: 10_000 }
    }
}

impl BrowserTimes {
    pub(super) fn session(self) -> Duration {
        seconds(self.session_ttl_seconds)
    }

    pub(super) fn state(self) -> Duration {
        seconds(self.state_ttl_seconds)
    }

    pub(super) fn patience(self) -> Duration {
        Duration::from_millis(self.remote_timeout_ms.into())
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// Which claims of the ID token hold what. A name with dots is also tried as a path; one that begins with `*` stands for
/// every claim whose name ends like the rest of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClaimOptions {
    /// Claims that hold roles, besides `roles`.
    pub roles: Option<Vec<String>>,
    /// Claims that hold groups, besides `groups`.
    pub groups: Option<Vec<String>>,
    /// The claim that holds the tenant.
    pub tenant: Option<String>,
}

impl ClaimOptions {
    /// What is said here, and the provider's usual names where nothing is.
    pub(super) fn or(&self, usual: ClaimNames) -> ClaimNames {
        ClaimNames {
            groups: self.groups.clone().unwrap_or(usual.groups),
            roles: self.roles.clone().unwrap_or(usual.roles),
            tenant: self.tenant.clone().or(usual.tenant),
        }
    }
}

pub(super) fn openid() -> String {
    "openid profile email".to_owned()
}
