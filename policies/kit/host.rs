//! What a policy may ask of the program that it runs in.

use std::sync::Arc;

/// Handed to each policy when its layer is built: once for a named policy, whichever routes use it.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// A secret of this process, drawn once: for hashes whose collisions nobody should be able to choose.
    pub seed: u64,
}

/// A fact: who is calling, verified. A sign-in policy puts it into the request's extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Stable identity at the issuer; never an e-mail address.
    pub subject: Arc<str>,
    /// Further verified claims, as JSON.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

impl Caller {
    /// A caller of whom nothing but the identity is known.
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Self { subject: subject.into(), claims: serde_json::Map::new() }
    }
}
