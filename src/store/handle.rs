//! The store before it is open.

use std::sync::{Arc, OnceLock};

use super::{Store, Tenant};

/// Stands for the store where it is needed before the configuration is known. Clones stand for the same one.
#[derive(Clone, Debug, Default)]
pub struct Handle(Arc<OnceLock<(Store, Tenant)>>);

impl Handle {
    /// From now on it is there.
    pub fn open(&self, store: Store, tenant: Tenant) {
        let _ = self.0.set((store, tenant));
    }

    /// The store, if it is open, and whose rows are meant.
    pub fn store(&self) -> Option<&(Store, Tenant)> {
        self.0.get()
    }
}
