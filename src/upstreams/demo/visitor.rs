//! Who calls, where the server asks.

use std::sync::Arc;

use serde_json::{Value, json};

/// Whose access token a call carried. Known only to a server with a sign-in of its own.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// The person who said yes, or the client itself where there was nobody to ask.
    pub(super) name: Arc<str>,
    /// The client that the token was given to.
    pub(super) client: Arc<str>,
    /// What it may do.
    pub(super) scope: String,
    /// The token's number: each new one has another, so a refresh can be seen without seeing a token.
    pub(super) token: u64,
    /// May tools that change something be called?
    pub(super) may_write: bool,
}

impl Visitor {
    /// For the tool `whoami`.
    pub(super) fn describe(&self) -> Value {
        json!({ "name": &*self.name, "client": &*self.client, "scope": self.scope, "token": self.token })
    }
}
