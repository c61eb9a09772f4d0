//! What all routes share, and what outlives a configuration: reloads leave sessions and what is known of upstreams alone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use moka::sync::Cache;
use portcullis_policies::kit::random;

use super::{aside::Asides, bridge, eras::Eras, meter::Meter, seal::Seal};

/// Upstreams of which something is remembered. An operator names them all, so there are few.
const UPSTREAMS: u64 = 10_000;

/// Held once by a process. All clones are the same.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seal: Seal,
    node: u64,
    has_peers: AtomicBool,
    eras: Cache<Arc<str>, Arc<Eras>>,
    meter: Meter,
    asides: Asides,
    modern_clients: bridge::modern_client::Rooms,
    legacy_clients: bridge::legacy_client::Rooms,
}

impl Shared {
    /// Nothing is known yet.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            seal: Seal::new(),
            node: random::seed(),
            has_peers: AtomicBool::new(false),
            eras: Cache::new(UPSTREAMS),
            meter: Meter::default(),
            asides: Asides::default(),
            modern_clients: bridge::modern_client::Rooms::default(),
            legacy_clients: bridge::legacy_client::Rooms::default(),
        }))
    }

    /// Seals what clients keep.
    pub fn seal(&self) -> &Seal {
        &self.0.seal
    }

    /// Tells this process from others that have the same key.
    pub(super) fn node(&self) -> u64 {
        self.0.node
    }

    /// Other processes may serve the same sessions.
    pub fn expect_peers(&self) {
        self.0.has_peers.store(true, Ordering::Relaxed);
    }

    /// May other processes serve the same sessions?
    pub(super) fn has_peers(&self) -> bool {
        self.0.has_peers.load(Ordering::Relaxed)
    }

    /// What is known of the upstream with this address.
    pub(super) fn eras(&self, upstream: &Arc<str>) -> Arc<Eras> {
        self.0.eras.get_with_by_ref(upstream, Arc::default)
    }

    /// How warm the ways to upstreams are.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// What upstreams say beside their answers.
    pub(super) fn asides(&self) -> &Asides {
        &self.0.asides
    }

    /// What is held open for clients of 2026-07-28 at upstreams of before.
    pub(super) fn modern_clients(&self) -> &bridge::modern_client::Rooms {
        &self.0.modern_clients
    }

    /// What is held open for clients of before 2026-07-28 at upstreams of it.
    pub(super) fn legacy_clients(&self) -> &bridge::legacy_client::Rooms {
        &self.0.legacy_clients
    }

    /// Closes what nobody has used for long enough. To be called every second or so.
    pub fn sweep(&self) {
        self.0.asides.sweep();
        self.0.modern_clients.sweep();
        self.0.legacy_clients.sweep();
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}
