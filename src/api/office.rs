//! What the endpoints work with.

use std::sync::Arc;

use portcullis_policies::kit::{
    clock::Clock,
    refusal::{Reason, Refusal},
};
use tokio::sync::Semaphore;

use crate::{
    api_keys::KeyJudge,
    approvals::{self, ApprovalDesk},
    oauth::{Authority, TokenJudge},
    pipeline::Live,
    store::{self, Store, Tenant},
    upstreams::connections::{self, ConnectionBook},
};

/// What the API stands on. Nothing of it works before the gateway has opened its store.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// Counts who comes too often.
    pub tokens: TokenJudge,
    /// Judges keys.
    pub keys: KeyJudge,
    /// Where everything is kept.
    pub store: store::Handle,
    /// Calls that wait.
    pub approvals: approvals::Handle,
    /// People's connections.
    pub connections: connections::Handle,
    /// The configuration in force.
    pub live: Arc<Live>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Lets one read the whole audit log at a time.
    pub reading: Arc<Semaphore>,
}

impl Foundation {
    pub(super) fn authority(&self) -> Result<&Arc<Authority>, Refusal> {
        self.tokens.authority().ok_or_else(closed)
    }

    pub(super) fn store(&self) -> Result<(&Store, &Tenant), Refusal> {
        self.store.store().map(|(store, tenant)| (store, tenant)).ok_or_else(closed)
    }

    pub(super) fn desk(&self) -> Result<&ApprovalDesk, Refusal> {
        self.approvals.desk().ok_or_else(closed)
    }

    pub(super) fn book(&self) -> Result<&ConnectionBook, Refusal> {
        self.connections.book().ok_or_else(closed)
    }
}

fn closed() -> Refusal {
    let refusal =
        Refusal::new(Reason::SignInUnavailable, "The gateway has not opened its store, so nobody can be let in.");
    refusal.with_remedy(
        "Use a policy that keeps something, such as `audit-log`; if there is one, the log says what is missing.",
    )
}
