//! How many fetches there are at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Fetches at once, to all hosts.
const TOTAL: usize = 64;
/// Fetches at once, to one host: one that is slow does not take the room of all others.
const PER_HOST: usize = 4;

/// Room for fetches.
#[derive(Debug)]
pub(super) struct Seats {
    total: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Room for one fetch, as long as it is held. Its parts are none only of a closed semaphore, and none is ever closed.
#[derive(Debug)]
pub(super) struct Seat {
    _of_host: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

impl Default for Seats {
    fn default() -> Self {
        Self { total: Arc::new(Semaphore::new(TOTAL)), hosts: Mutex::default() }
    }
}

impl Seats {
    /// Waits for room. Who waits for a host takes none of the others' meanwhile.
    pub(super) async fn take(&self, host: &str) -> Seat {
        let of_host = self.of_host(host).acquire_owned().await.ok();
        let of_all = Arc::clone(&self.total).acquire_owned().await.ok();
        Seat { _of_host: of_host, _of_all: of_all }
    }

    /// A host's own room; it is kept as long as somebody is in it or waits for it.
    fn of_host(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = hosts.get(host).and_then(Weak::upgrade) {
            return room;
        }
        hosts.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(PER_HOST));
        hosts.insert(host.to_owned(), Arc::downgrade(&room));
        room
    }
}
