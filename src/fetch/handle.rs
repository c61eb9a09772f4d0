//! A client that is promised before it exists.

use std::{
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use portcullis_policies::kit::fetch::{Fetch, FetchError, Fetching, Wanted};

use super::Client;

/// Stands for the client where it is needed before the configuration is known: policies are built while it is read.
/// Clones stand for the same one.
#[derive(Clone, Default)]
pub struct Handle(Arc<OnceLock<Promised>>);

type Promised = LazyLock<Client, Box<dyn FnOnce() -> Client + Send>>;

impl Handle {
    /// Says how the client is made; it is made when it is first used, because reading the system's authorities takes
    /// time that a gateway without sign-in need not spend. The first promise stays, as what it is made of changes only
    /// with a restart.
    pub fn promise(&self, make: impl FnOnce() -> Client + Send + 'static) {
        self.0.get_or_init(|| LazyLock::new(Box::new(make)));
    }

    /// The client, if it was promised.
    pub fn get(&self) -> Option<&Client> {
        self.0.get().map(|promised| &**promised)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("promised", &self.0.get().is_some()).finish()
    }
}

impl Fetch for Handle {
    fn fetch(&self, wanted: Wanted) -> Fetching<'_> {
        match self.get() {
            Some(client) => client.fetch(wanted),
            None => Box::pin(async { Err(FetchError::Forbidden("the gateway is not set up yet".to_owned())) }),
        }
    }
}
