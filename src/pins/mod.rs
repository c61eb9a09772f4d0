//! Which definitions of upstreams' tools are good: kept in the store, and in memory in front of it.
//!
//! What is pinned of an upstream is read as a whole and stays in memory until the store says that it has another revision, which
//! it is asked twice a second. What policies see is written down beside the requests, and never in the place of what is good.

mod compare;
mod desk;
mod json;
mod rehearsed;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use moka::sync::Cache;
use portcullis_policies::kit::{
    clock::Clock,
    memory::{Memory, Weighter},
    pins::{Definition, NoPins, Pinned, Pins, Recalling, Sighting},
};
use tokio::sync::Semaphore;

pub use self::{
    compare::{Difference, compare},
    desk::{NotApproved, approve, forget, together},
    json::{DefinitionJson, PinJson, of_id},
    rehearsed::Rehearsed,
};
use crate::store::{Feed, Store, StoreError, Tenant, every};

/// How long what is pinned is believed that nothing was heard of.
const KEPT: Duration = Duration::from_mins(10);
/// Tools that are in memory, of all upstreams.
const TOOLS: u64 = 200_000;
/// How often the store is asked what has changed.
const LISTEN: Duration = Duration::from_millis(500);
/// What is seen of one upstream is not written more often than this, and not of more upstreams at once.
const PAUSE: Duration = Duration::from_secs(1);
const WRITERS: usize = 8;
/// Tools of which one list may cause something to be written.
const MOST_SEEN: usize = 2_000;

/// What is pinned. Cloning is one reference count.
#[derive(Clone)]
pub struct PinBook(Arc<Inner>);

/// What is pinned of an upstream, with the revision.
type Known = (i64, Arc<Pinned>);

/// Upstreams count by their tools.
#[derive(Clone, Copy)]
struct Tools;

impl Weighter<String, Known> for Tools {
    fn weight(&self, _: &String, (_, pinned): &Known) -> u64 {
        1 + pinned.tools.len() as u64
    }
}

struct Inner {
    store: Store,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    /// By upstream.
    known: Memory<String, Known, Tools>,
    /// Of which upstreams something was written just now.
    written: Cache<String, ()>,
    writers: Arc<Semaphore>,
    feed: Feed,
}

impl fmt::Debug for PinBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinBook").finish_non_exhaustive()
    }
}

impl PinBook {
    /// The pins of a tenant.
    pub fn new(store: Store, tenant: Tenant, clock: Arc<dyn Clock>) -> Self {
        let known = Memory::weighed(TOOLS, KEPT, Tools);
        let written = Cache::builder().max_capacity(10_000).time_to_live(PAUSE).build();
        let (writers, feed) = (Arc::new(Semaphore::new(WRITERS)), Feed::new(clock.now()));
        Self(Arc::new(Inner { store, tenant, clock, known, written, writers, feed }))
    }

    /// Runs what runs beside the requests.
    pub async fn keep_house(self) {
        every(LISTEN, "pins that are known stay as they are", || self.0.listen()).await;
    }
}

impl Inner {
    fn recall<'a>(self: &'a Arc<Self>, upstream: &'a str) -> Recalling<'a> {
        // Nobody knows then what was forgotten or approved elsewhere.
        if self.feed.is_deaf() {
            return Recalling::Ready(Err(NoPins));
        }
        match self.known.get(upstream) {
            Some((_, pinned)) => Recalling::Ready(Ok(pinned)),
            None => {
                Recalling::Pending(Box::pin(
                    async move { self.read(upstream).await.map_err(|error| unavailable(&error)) },
                ))
            }
        }
    }

    async fn read(&self, upstream: &str) -> Result<Arc<Pinned>, StoreError> {
        let (revision, pinned) = self.store.pinned(&self.tenant, upstream).await?;
        self.known.insert(upstream.to_owned(), (revision, Arc::clone(&pinned)));
        Ok(pinned)
    }

    /// Forgets what has changed since it was read.
    async fn listen(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        for changed in self.store.changed_pins(&self.tenant, self.feed.due()).await? {
            if self.known.get(&changed.upstream).is_some_and(|(revision, _)| revision != changed.revision) {
                self.known.remove(&changed.upstream);
            }
        }
        self.feed.read_to(now);
        Ok(())
    }

    async fn begin(&self, upstream: &str, first: Vec<Definition>) -> Result<Arc<Pinned>, StoreError> {
        let mut work = self.store.begin(&self.tenant).await?;
        if work.begin_pins(upstream).await? {
            for definition in &first {
                work.pin_first(upstream, definition).await?;
            }
            tracing::info!(upstream, tools = first.len(), "the first list of an upstream is pinned");
        }
        work.commit().await?;
        self.read(upstream).await
    }

    async fn write(&self, upstream: &str, seen: Vec<Sighting>) -> Result<(), StoreError> {
        let mut work = self.store.begin(&self.tenant).await?;
        work.touch_pins(upstream).await?;
        for sighting in &seen {
            match sighting {
                Sighting::First(definition) => work.pin_first(upstream, definition).await?,
                Sighting::Other(definition, standing) => work.put_waiting(upstream, definition, *standing).await?,
                Sighting::Back(tool) => work.clear_waiting(upstream, tool).await?,
            }
        }
        work.commit().await?;
        self.read(upstream).await.map(drop)
    }
}

fn unavailable(error: &StoreError) -> NoPins {
    tracing::error!(%error, "it cannot be known what is pinned");
    NoPins
}

impl Pins for PinBook {
    fn recall<'a>(&'a self, upstream: &'a str) -> Recalling<'a> {
        self.0.recall(upstream)
    }

    fn begin<'a>(&'a self, upstream: &'a str, first: Vec<Definition>) -> Recalling<'a> {
        Recalling::Pending(Box::pin(
            async move { self.0.begin(upstream, first).await.map_err(|error| unavailable(&error)) },
        ))
    }

    fn note(&self, upstream: &str, mut seen: Vec<Sighting>) {
        let Ok(writer) = Arc::clone(&self.0.writers).try_acquire_owned() else { return };
        if !self.0.written.entry_by_ref(upstream).or_default().is_fresh() {
            return;
        }
        seen.truncate(MOST_SEEN);
        let (inner, upstream) = (Arc::clone(&self.0), upstream.to_owned());
        tokio::spawn(async move {
            if let Err(error) = inner.write(&upstream, seen).await {
                tracing::error!(%error, upstream, "what was seen of an upstream's tools is not kept");
            }
            drop(writer);
        });
    }
}

/// Stands for the book before it is open; until then nothing is known to be good. Clones stand for the same one.
#[derive(Clone, Debug, Default)]
pub struct Handle(Arc<OnceLock<PinBook>>);

impl Handle {
    /// From now on pins are known.
    pub fn open(&self, book: PinBook) {
        let _ = self.0.set(book);
    }
}

impl Pins for Handle {
    fn recall<'a>(&'a self, upstream: &'a str) -> Recalling<'a> {
        self.0.get().map_or(Recalling::Ready(Err(NoPins)), |book| book.recall(upstream))
    }

    fn begin<'a>(&'a self, upstream: &'a str, first: Vec<Definition>) -> Recalling<'a> {
        self.0.get().map_or(Recalling::Ready(Err(NoPins)), |book| book.begin(upstream, first))
    }

    fn note(&self, upstream: &str, seen: Vec<Sighting>) {
        if let Some(book) = self.0.get() {
            book.note(upstream, seen);
        }
    }
}
