//! The store as its users find it: not opened yet, open, or closed for want of a key.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{KeyError, Store};

/// Where the store is found once it is open. Cloning is cheap, and all clones find the same.
#[derive(Clone, Debug)]
pub struct Vault(Arc<ArcSwap<State>>);

#[derive(Debug)]
enum State {
    Unopened,
    Open(Store),
    Closed(Arc<KeyError>),
}

/// The store is not open, so nothing that is sealed in it can be used. The words are for operators.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VaultClosed {
    /// It will be opened once a configuration needs it.
    #[error("the store is not open yet; no configuration so far has needed it")]
    Unopened,
    /// There is no key.
    #[error("the store is closed, for it has no key: {0}")]
    NoKey(Arc<KeyError>),
}

impl Vault {
    /// The store, or why there is none.
    pub fn store(&self) -> Result<Store, VaultClosed> {
        match &**self.0.load() {
            State::Unopened => Err(VaultClosed::Unopened),
            State::Open(store) => Ok(store.clone()),
            State::Closed(why) => Err(VaultClosed::NoKey(Arc::clone(why))),
        }
    }

    /// From now on there is a store.
    pub fn open(&self, store: Store) {
        self.0.store(Arc::new(State::Open(store)));
    }

    /// There is no key.
    pub fn close(&self, why: KeyError) -> VaultClosed {
        let why = Arc::new(why);
        self.0.store(Arc::new(State::Closed(Arc::clone(&why))));
        VaultClosed::NoKey(why)
    }
}

impl Default for Vault {
    fn default() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(State::Unopened)))
    }
}
