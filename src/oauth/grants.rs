//! What was granted and still holds, at hand for every request.
//!
//! The store knows which grants were revoked; a request must know it too, without asking the store. So each grant in use
//! is one value in memory that all its tokens share, and revoking marks that value. Other nodes learn of it by reading
//! the store's list of late revocations twice a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use moka::sync::Cache;
use portcullis_policies::kit::{
    clock::Clock,
    host::{Caller, Identity},
    sign_in::SignIn,
};

use super::provider::provider_key;
use crate::store::{Feed, GrantRecord, Store, StoreError, Tenant, Trouble};

/// A grant in use.
#[derive(Debug)]
pub(super) struct LiveGrant {
    /// Who vouches for the person.
    provider: Box<str>,
    revoked: AtomicBool,
    caller: ArcSwap<Caller>,
}

impl LiveGrant {
    fn new(record: &GrantRecord) -> Arc<Self> {
        let provider = record.provider.as_str().into();
        Arc::new(Self { provider, revoked: AtomicBool::new(false), caller: ArcSwap::from_pointee(caller(record)) })
    }

    /// Stands for a grant that is not at hand and was revoked.
    fn gone() -> Arc<Self> {
        let caller = ArcSwap::from_pointee(Caller::new(""));
        Arc::new(Self { provider: "".into(), revoked: AtomicBool::new(true), caller })
    }

    /// Was it given through this way of signing in? Programs of the operator sign in by themselves.
    pub(super) fn is_through(&self, sign_in: &SignIn) -> bool {
        is_through(&self.provider, sign_in)
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Whom it is for, with the claims of the last refresh.
    pub(super) fn caller(&self) -> Caller {
        Caller::clone(&self.caller.load())
    }
}

/// The grants in use.
#[derive(Debug)]
pub(super) struct Grants {
    store: Store,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    live: Cache<Box<str>, Arc<LiveGrant>>,
    /// Grows with each revocation, so that whoever read the store meanwhile reads it again.
    revocations: AtomicU64,
    feed: Feed,
}

/// Grants held at once.
const MOST: u64 = 200_000;
/// Longer than any access token lives, so that no token outlives the value that says whether it was revoked.
const REST: Duration = Duration::from_mins(30);

impl Grants {
    pub(super) fn new(store: Store, tenant: Tenant, clock: Arc<dyn Clock>) -> Self {
        let feed = Feed::new(clock.now());
        let live = Cache::builder().max_capacity(MOST).time_to_idle(REST).build();
        Self { store, tenant, clock, live, revocations: AtomicU64::new(0), feed }
    }

    /// The grant, if it is in memory.
    pub(super) fn known(&self, id: &str) -> Option<Arc<LiveGrant>> {
        self.live.get(id)
    }

    /// The grant, from memory or from the store. `None` if there is none.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Arc<LiveGrant>>, StoreError> {
        if let Some(grant) = self.known(id) {
            return Ok(Some(grant));
        }
        for _ in 0..3 {
            let seen = self.revocations.load(Ordering::Acquire);
            let Some(record) = self.store.grant(&self.tenant, id).await? else { return Ok(None) };
            let grant = self.remember(&record);
            if self.revocations.load(Ordering::Acquire) == seen {
                return Ok(Some(grant));
            }
            // Something was revoked while we read: read again.
        }
        Err(StoreError::Unavailable(Trouble::other("grants are revoked faster than one can be read")))
    }

    /// Puts a grant at hand that was just made or read. There is one value for each grant, whoever reads it how often.
    pub(super) fn remember(&self, record: &GrantRecord) -> Arc<LiveGrant> {
        let entry = self.live.entry(record.id.as_str().into());
        let grant = entry.or_insert_with(|| LiveGrant::new(record)).into_value();
        if record.revoked_at.is_some() {
            grant.revoked.store(true, Ordering::Release);
        }
        grant
    }

    /// The claims have changed: from the next request on they count, whichever token it shows.
    pub(super) fn update(&self, record: &GrantRecord) {
        if let Some(grant) = self.known(&record.id) {
            grant.caller.store(Arc::new(caller(record)));
        }
    }

    /// A grant was revoked: from the next request on its tokens are worth nothing. Returns whether the grant was at hand;
    /// if not, tokens that were verified may still hold on to it, and must be forgotten.
    #[must_use]
    pub(super) fn revoke(&self, id: &str) -> bool {
        self.revocations.fetch_add(1, Ordering::AcqRel);
        let entry = self.live.entry(id.into()).or_insert_with(LiveGrant::gone);
        entry.value().revoked.store(true, Ordering::Release);
        !entry.is_fresh()
    }

    /// Reads which grants were revoked elsewhere. Returns whether all of them were at hand.
    pub(super) async fn listen(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut all_known = true;
        for (id, _) in self.store.grants_revoked_since(&self.tenant, self.feed.due()).await? {
            if !self.known(&id).is_some_and(|grant| grant.is_revoked()) {
                all_known &= self.revoke(&id);
            }
        }
        self.feed.read_to(now);
        Ok(all_known)
    }

    /// Has the store been silent for so long that nothing can be said of any token?
    pub(super) fn is_deaf(&self) -> bool {
        self.feed.is_deaf()
    }
}

/// The provider of grants that programs of the operator have for themselves.
pub(super) const ITSELF: &str = "client";

/// Does `provider` still stand behind the routes of `sign_in`? What one provider vouched for is worth nothing where another
/// is asked.
pub(super) fn is_through(provider: &str, sign_in: &SignIn) -> bool {
    provider == ITSELF || provider == provider_key(&sign_in.provider)
}

fn caller(record: &GrantRecord) -> Caller {
    let identity: Identity = serde_json::from_slice(&record.identity).unwrap_or_default();
    Identity { subject: record.subject.as_str().into(), client: Some(record.client_id.clone()), ..identity }.into()
}
