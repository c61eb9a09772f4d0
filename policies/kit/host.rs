//! What a policy may ask of the program that it runs in.
//!
//! Each thing is a small trait, or nothing where the program does not offer it: a policy that needs what is not there
//! says so when its layer is built.

use std::{fmt, ops::Deref, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::kit::{
    approval::Approvals,
    audit::AuditLog,
    clock::{Clock, SystemClock},
    credential::Connections,
    fetch::Fetch,
    pins::Pins,
    sign_in::{AccessTokens, ApiKeys},
    unjudged::ChainEnd,
};

/// Handed to each policy when its layer is built: once for a named policy, whichever routes use it.
#[derive(Clone)]
pub struct Host {
    /// A secret of this process, drawn once: for hashes whose collisions nobody should be able to choose.
    pub seed: u64,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Judges the access tokens that the program's own authorization server gave out.
    pub access_tokens: Option<Arc<dyn AccessTokens>>,
    /// Judges API keys.
    pub api_keys: Option<Arc<dyn ApiKeys>>,
    /// Fetches documents from addresses that somebody else chose.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// Holds people's connections to upstreams.
    pub connections: Option<Arc<dyn Connections>>,
    /// Keeps calls that wait until a person approves them.
    pub approvals: Option<Arc<dyn Approvals>>,
    /// Keeps which definitions of tools are good.
    pub pins: Option<Arc<dyn Pins>>,
    /// Keeps rows of what happened.
    pub audit: Option<Arc<dyn AuditLog>>,
    /// What becomes of calls that a policy could not judge.
    pub chain_end: ChainEnd,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            seed: 0,
            clock: Arc::new(SystemClock),
            access_tokens: None,
            api_keys: None,
            fetch: None,
            connections: None,
            approvals: None,
            pins: None,
            audit: None,
            chain_end: ChainEnd::Open,
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// A fact: who is calling, verified. A sign-in policy puts it into the request's extensions. Cloning is one reference
/// count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Arc<Identity>);

/// What is known of a caller. All of it was verified by whoever signed the caller in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Identity {
    /// Who it is, stable and never given to anybody else; never an e-mail address. `issuer|sub` for people and for
    /// programs with a token of an outside issuer, `client|id` for programs with a registration here, `key|id` for API
    /// keys, `dev|name` for the sign-in that asks for no password.
    pub subject: Arc<str>,
    /// E-mail address, only if the issuer says that it is verified or never gives out others.
    pub email: Option<String>,
    /// Name to be shown to people.
    pub name: Option<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// The OAuth client through which the call comes.
    pub client: Option<String>,
    /// The tenant at the issuer, where it has tenants.
    pub tenant: Option<String>,
    /// All that the issuer says about the caller, as JSON.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

impl Identity {
    /// Is it a program that signed in by itself? Then nobody opens pages for it with a browser.
    pub fn is_program(&self) -> bool {
        ["client|", "key|"].iter().any(|kind| self.subject.starts_with(kind))
    }

    /// Who it is, for people to read: by what they call themselves, and by the subject.
    pub fn shown(&self) -> String {
        match self.email.as_ref().or(self.name.as_ref()) {
            Some(name) => format!("{name} ({})", self.subject),
            None => self.subject.to_string(),
        }
    }
}

impl Caller {
    /// A caller of whom nothing but the identity is known.
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Identity { subject: subject.into(), ..Identity::default() }.into()
    }
}

impl From<Identity> for Caller {
    fn from(identity: Identity) -> Self {
        Self(Arc::new(identity))
    }
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}
