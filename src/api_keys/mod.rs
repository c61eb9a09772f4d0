//! API keys: for programs that cannot open a browser. Made and taken back with `portcullis keys`.
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
use moka::sync::Cache;
use portcullis_policies::kit::{
    clock::{Clock, Timestamp},
    host::{Caller, Identity},
    sign_in::{Access, ApiKeys, Denied, Judging},
};

use crate::store::{ApiKeyRecord, Digest, Feed, Store, StoreError, Tenant};

mod make;

pub use self::make::{Made, Wish, make};

/// What every key begins with, so that scanners for leaked secrets know one when they see it.
const PREFIX: &str = "pck_";
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
    known: Cache<Digest, Arc<Known>>,
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
    id: String,
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
        let known = Cache::builder().max_capacity(100_000).time_to_live(KEPT).build();
        Self { store, tenant, clock, known, used: Mutex::default(), feed }
    }

    fn judge<'a>(&'a self, key: &'a str, route: &'a str) -> Judging<'a> {
        let now = self.clock.now();
        if self.feed.is_deaf() {
            return Judging::Ready(Err(Denied::Unavailable));
        }
        let digest = Digest::of(key.as_bytes());
        if let Some(known) = self.known.get(&digest) {
            self.note(&known.id, now);
            return Judging::Ready(known.at(route, now));
        }
        let Some(id) = id_of(key) else { return Judging::Ready(Err(Denied::Invalid("this is no API key"))) };
        Judging::Pending(Box::pin(async move {
            let record = self.store.api_key(&self.tenant, id).await.map_err(|error| {
                tracing::error!(%error, "an API key could not be judged");
                Denied::Unavailable
            })?;
            let known = Arc::new(known(record, digest)?);
            self.known.insert(digest, Arc::clone(&known));
            self.note(&known.id, now);
            known.at(route, now)
        }))
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
        let (mut listening, mut telling) = (tokio::time::interval(LISTEN), tokio::time::interval(TELL));
        loop {
            let outcome = tokio::select! {
                _ = listening.tick() => self.listen().await,
                _ = telling.tick() => self.tell().await,
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "the store does not answer; API keys that are known stay good for a few minutes");
            }
        }
    }

    /// Forgets what it knows if a key has changed elsewhere: there are few keys, and they hardly ever change.
    async fn listen(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        if !self.store.api_keys_changed_since(&self.tenant, self.feed.due()).await?.is_empty() {
            self.known.invalidate_all();
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

/// A row becomes a key if the whole of what was shown is that key.
fn known(record: Option<ApiKeyRecord>, shown: Digest) -> Result<Known, Denied> {
    let record = record.ok_or(Denied::Invalid("the key is unknown"))?;
    if verify_slices_are_equal(record.digest.as_bytes(), shown.as_bytes()).is_err() {
        return Err(Denied::Invalid("the key is unknown"));
    }
    if record.revoked_at.is_some() {
        return Err(Denied::Invalid("the key was revoked"));
    }
    let identity: Identity = serde_json::from_str(&record.subject_claims).map_err(|error| {
        tracing::error!(%error, key = record.id, "an API key's row cannot be read");
        Denied::Unavailable
    })?;
    let subject = format!("key|{}", record.id);
    let identity = Identity { subject: subject.into(), name: Some(record.name), ..identity };
    let routes = record.routes.map(|routes| serde_json::from_str(&routes).unwrap_or_default());
    let scopes = record.scopes.split(' ').filter(|scope| !scope.is_empty()).map(Box::from).collect();
    let access = Access { caller: Caller::from(identity), scopes };
    Ok(Known { id: record.id, access, routes, expires_at: record.expires_at })
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
