//! How many rows there were, and how many are missing.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts for the whole process. All clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    written: AtomicU64,
    lost: AtomicU64,
    missed: AtomicU64,
}

impl Counts {
    /// Rows that are in the store.
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Rows that are not, and will not be.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Rows that are in the store, and did not get to a sink.
    pub fn missed(&self) -> u64 {
        self.0.missed.load(Ordering::Relaxed)
    }

    pub(super) fn add_missed(&self, rows: u64) {
        self.0.missed.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn add_written(&self, rows: u64) {
        self.0.written.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn add_lost(&self, rows: u64) {
        self.0.lost.fetch_add(rows, Ordering::Relaxed);
    }
}
