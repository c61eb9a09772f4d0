//! From names to addresses.

use std::{fmt, io, net::IpAddr, pin::Pin, sync::Arc};

use tokio::sync::Semaphore;

/// Addresses to come.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Resolves names.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// Asks the system, as other programs of the machine do.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    /// A lookup cannot be stopped: it holds a thread until the system gives up. So they are counted until then, and not
    /// only as long as somebody waits.
    room: Arc<Semaphore>,
}

/// Lookups at once.
const LOOKUPS: usize = 64;

impl Default for SystemResolver {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let permit = Arc::clone(&self.room).acquire_owned().await;
            let name = name.to_owned();
            let lookup = tokio::spawn(async move {
                let found = tokio::net::lookup_host((name, 0)).await;
                drop(permit);
                found.map(|addresses| addresses.map(|address| address.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

/// Knows no name, for tests.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct NoNames;

#[cfg(test)]
impl Resolve for NoNames {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move { Err(io::Error::other(format!("no name is known here, nor is {name}"))) })
    }
}
