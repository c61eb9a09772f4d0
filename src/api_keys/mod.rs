//! API keys: for programs that cannot open a browser. Made and taken back with `portcullis keys`, or by the REST API.
//!
//! A key is `pck_ID.SECRET`. The id finds its row; of the secret only the digest is kept. What is known of a key stays in
//! memory until the store says that a key has changed, which it is asked twice a second.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use portcullis_policies::kit::{
    clock::{Clock, Timestamp},
    host::{Caller, Identity},
    memory::Memory,
    sign_in::{Access, ApiKeys, Denied, Judging},
};

use crate::store::{ApiKeyRecord, Digest, Feed, Store, StoreError, Tenant, every};

mod bounds;
mod json;
mod make;
mod record;

pub use self::{
    json::{ApiKeyJson, NewKeyJson},
    make::{Made, Wish, create, make},
    record::root_of,
};

/// What every key begins with, so that scanners for leaked secrets know one when they see it.
const PREFIX: &str = "pck_";

/// Does it have the form of an API key?
pub fn is_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}
/// How long a key is believed that nothing was heard of.
const KEPT: Duration = Duration::from_mins(10);
/// How often the store is asked what has changed, and told which keys were used.
const LISTEN: Duration = Duration::from_millis(500);
const TELL: Duration = Duration::from_mins(1);

/// The keys in use.
pub struct KeyRing {
    store: Store,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    /// By id.
    known: Memory<String, Arc<Known>>,
    used: Mutex<HashMap<String, Timestamp>>,
    feed: Feed,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

/// A good key.
#[derive(Debug)]
struct Known {
    digest: Digest,
    access: Access,
    /// None: all that take keys.
    routes: Option<Vec<String>>,
    expires_at: Option<Timestamp>,
}

impl Known {
    fn at(&self, route: &str, now: Timestamp) -> Result<Access, Denied> {
        if self.expires_at.is_some_and(|end| now >= end) {
            return Err(Denied::Invalid("the key has expired"));
        }
        if self.routes.as_ref().is_some_and(|routes| routes.iter().all(|allowed| allowed != route)) {
            return Err(Denied::Invalid("the key is for other routes"));
        }
        Ok(self.access.clone())
    }
}

impl KeyRing {
    /// The keys of a tenant.
    pub fn new(store: Store, tenant: Tenant, clock: Arc<dyn Clock>) -> Self {
        let feed = Feed::new(clock.now());
        let known = Memory::new(100_000, KEPT);
        Self { store, tenant, clock, known, used: Mutex::default(), feed }
    }

    fn judge<'a>(&'a self, key: &'a str, route: &'a str) -> Judging<'a> {
        let now = self.clock.now();
        if self.feed.is_deaf() {
            return Judging::Ready(Err(Denied::Unavailable));
        }
        let Some(id) = id_of(key) else { return Judging::Ready(Err(Denied::Invalid("this is no API key"))) };
        let shown = Digest::of(key.as_bytes());
        if let Some(known) = self.known.get(id) {
            let judged = prove(known.digest, shown).and_then(|()| self.used(id, &known, route, now));
            return Judging::Ready(judged);
        }
        Judging::Pending(Box::pin(async move {
            let record = self.store.api_key(&self.tenant, id).await.map_err(|error| {
                tracing::error!(%error, "an API key could not be judged");
                Denied::Unavailable
            })?;
            let known = Arc::new(known(record, shown)?);
            self.known.insert(id.to_owned(), Arc::clone(&known));
            self.used(id, &known, route, now)
        }))
    }

    fn used(&self, id: &str, known: &Known, route: &str, now: Timestamp) -> Result<Access, Denied> {
        self.note(id, now);
        known.at(route, now)
    }

    fn note(&self, id: &str, now: Timestamp) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match used.get_mut(id) {
            Some(at) => *at = now,
            None => drop(used.insert(id.to_owned(), now)),
        }
    }

    /// Runs what runs beside the requests.
    pub async fn keep_house(self: Arc<Self>) {
        const KEYS: &str = "API keys that are known stay good for a few minutes";
        let listening = every(LISTEN, KEYS, || self.listen());
        let telling = every(TELL, KEYS, || self.tell());
        tokio::join!(listening, telling);
    }

    /// Forgets what it knows of keys that have changed elsewhere.
    async fn listen(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        for changed in self.store.api_keys_changed_since(&self.tenant, self.feed.due()).await? {
            self.known.remove(&changed.id);
        }
        self.feed.read_to(now);
        Ok(())
    }

    async fn tell(&self) -> Result<(), StoreError> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return Ok(());
        }
        let uses: Vec<_> = used.iter().map(|(id, at)| (id.as_str(), *at)).collect();
        let mut work = self.store.begin(&self.tenant).await?;
        work.touch_api_keys(&uses).await?;
        work.commit().await
    }
}

const UNKNOWN: Denied = Denied::Invalid("the key is unknown");

/// An id is no secret: the whole of what was shown must be the key.
fn prove(key: Digest, shown: Digest) -> Result<(), Denied> {
    verify_slices_are_equal(key.as_bytes(), shown.as_bytes()).map_err(|_| UNKNOWN)
}

/// A row becomes a key if it is what was shown.
fn known(record: Option<ApiKeyRecord>, shown: Digest) -> Result<Known, Denied> {
    let record = record.ok_or(UNKNOWN)?;
    prove(record.digest, shown)?;
    if record.revoked_at.is_some() {
        return Err(Denied::Invalid("the key was revoked"));
    }
    let identity = record.identity().map_err(|error| {
        tracing::error!(%error, key = record.id, "an API key's row cannot be read");
        Denied::Unavailable
    })?;
    let subject = record.subject();
    let routes = record.route_list();
    let scopes = record.scopes().map(Box::from).collect();
    let identity = Identity { subject: subject.into(), name: Some(record.name), ..identity };
    let access = Access { caller: Caller::from(identity), scopes };
    Ok(Known { digest: record.digest, access, routes, expires_at: record.expires_at })
}

fn id_of(key: &str) -> Option<&str> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('.')?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (id.len() == 22 && secret.len() == 43 && plain(id) && plain(secret)).then_some(id)
}

/// What policies judge keys by. Until it is opened nobody is let in.
#[derive(Clone, Debug, Default)]
pub struct KeyJudge(Arc<OnceLock<Arc<KeyRing>>>);

impl KeyJudge {
    /// From now on keys are judged.
    pub fn open(&self, ring: Arc<KeyRing>) {
        let _ = self.0.set(ring);
    }
}

impl ApiKeys for KeyJudge {
    fn judge<'a>(&'a self, key: &'a str, route: &'a str) -> Judging<'a> {
        match self.0.get() {
            Some(ring) => ring.judge(key, route),
            None => Judging::Ready(Err(Denied::Unavailable)),
        }
    }
}
