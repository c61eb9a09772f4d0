//! The OAuth client of upstreams: what it takes to hold a token of an MCP server that is protected as MCP says, or of a
//! vendor that only speaks OAuth.
//!
//! ```text
//! discover → Discovered ─register→ Registration ─departure→ a browser goes … and comes back ─redeem→ TokenSet
//!                                       └──────── client_credentials, refresh, revoke ────────────────┘
//! exchange, id_jag: from what somebody signed in with to a TokenSet, without a browser
//! ```
//!
//! Nothing is kept here. Everything is asked through the guarded client of [`fetch`]: no private address, no redirect,
//! and nothing is sent but what the exchange itself needs. What comes from the upstream's side is believed only as far
//! as the upstream may speak: its metadata about itself, an issuer's metadata about that issuer, a callback about the
//! issuer that the browser was sent to.

mod answer;
mod authorize;
mod challenge;
mod client_auth;
mod discover;
mod discovered;
mod error;
mod exchange;
mod form;
pub(crate) mod places;
mod question;
mod register;
mod registered;
mod resource;
pub(super) mod secret;
mod server;
mod survey;
#[cfg(test)]
mod tests;
mod token;
mod transcript;

use std::sync::Arc;

use portcullis_policies::kit::clock::Clock;

pub use self::{
    answer::TokenSet,
    authorize::{CallbackParameters, PendingGrant},
    challenge::step_up,
    discovered::{Discovered, Flow, Registration, RegistrationKind},
    error::{GrantError, SetupCode, SetupError},
    register::registration_kind,
    transcript::{Step, Transcript},
};
use crate::fetch;

/// The OAuth client of upstreams. Clones share the guarded client.
#[derive(Clone, Debug)]
pub struct UpstreamOAuth {
    fetch: fetch::Client,
    clock: Arc<dyn Clock>,
}

impl UpstreamOAuth {
    /// A client that asks through `fetch`.
    pub fn new(fetch: fetch::Client, clock: Arc<dyn Clock>) -> Self {
        Self { fetch, clock }
    }
}
