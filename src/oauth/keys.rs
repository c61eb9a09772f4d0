//! The keys that sign access tokens, and their succession.
//!
//! A key is published before it signs and for as long as anything that it signed may be shown: next → active → retired →
//! gone. All nodes read the same list from the store.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use portcullis_policies::kit::{
    clock::{Clock, Timestamp},
    jwt::{Algorithm, Claims, JwtError, KeySet, Rules, SigningError, SigningKey, verify},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::store::{KeyState, SigningKeyRecord, Store, StoreError, Tenant};

/// How keys succeed each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Succession {
    /// How long a key signs.
    pub(super) reign: Duration,
    /// How long its successor is published before it signs, and it itself after: longer than a token lives and a list
    /// of keys is kept.
    pub(super) overlap: Duration,
}

impl Default for Succession {
    fn default() -> Self {
        Self { reign: Duration::from_hours(30 * 24), overlap: Duration::from_hours(24) }
    }
}

/// The keys in force.
#[derive(Debug)]
pub(super) struct Keys {
    store: Store,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    succession: Succession,
    ring: ArcSwap<Ring>,
}

/// One state of the list.
#[derive(Debug)]
struct Ring {
    signing: SigningKey,
    public: KeySet,
    /// As published (RFC 7517 §5).
    document: Value,
    kids: Vec<String>,
}

impl Keys {
    /// Reads the keys, and makes the first one if there is none.
    pub(super) async fn open(
        store: Store,
        tenant: Tenant,
        clock: Arc<dyn Clock>,
        succession: Succession,
    ) -> Result<Self, StoreError> {
        let mut records = store.signing_keys(&tenant).await?;
        if !records.iter().any(|record| record.state == KeyState::Active) {
            insert(store.clone(), tenant.clone(), new_key(clock.now(), KeyState::Active)?).await?;
            records = store.signing_keys(&tenant).await?;
        }
        let ring = ArcSwap::from_pointee(Ring::new(&records)?);
        Ok(Self { store, tenant, clock, succession, ring })
    }

    /// Signs claims.
    pub(super) fn sign(&self, kind: &str, claims: &Value) -> Result<String, SigningError> {
        self.ring.load().signing.sign(kind, claims)
    }

    /// Verifies what one of the published keys must have signed.
    pub(super) fn verify(&self, token: &str, rules: &Rules, now: Timestamp) -> Result<Claims, JwtError> {
        verify(token, &self.ring.load().public, rules, now)
    }

    /// The published keys.
    pub(super) fn document(&self) -> Value {
        self.ring.load().document.clone()
    }

    /// Reads the list again and moves it on where it is time. Returns whether a key has gone or come.
    pub(super) async fn turn(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let records = self.store.signing_keys(&self.tenant).await?;
        for step in self.succession.steps(&records, now) {
            self.take(step, now).await?;
        }
        let ring = Ring::new(&self.store.signing_keys(&self.tenant).await?)?;
        let changed = ring.kids != self.ring.load().kids;
        self.ring.store(Arc::new(ring));
        Ok(changed)
    }

    async fn take(&self, step: Step, now: Timestamp) -> Result<(), StoreError> {
        match step {
            Step::Announce => insert(self.store.clone(), self.tenant.clone(), new_key(now, KeyState::Next)?).await,
            Step::Promote { from, to } => {
                let mut work = self.store.begin(&self.tenant).await?;
                work.set_signing_key_state(&from, KeyState::Retired, now).await?;
                work.set_signing_key_state(&to, KeyState::Active, now).await?;
                tracing::info!(kid = to, "a new key signs access tokens");
                work.commit().await
            }
            Step::Drop(kid) => {
                let mut work = self.store.begin(&self.tenant).await?;
                work.delete_signing_key(&kid).await?;
                work.commit().await
            }
        }
    }
}

async fn insert(store: Store, tenant: Tenant, record: SigningKeyRecord) -> Result<(), StoreError> {
    let mut work = store.begin(&tenant).await?;
    work.insert_signing_key(&record).await?;
    work.commit().await
}

fn new_key(now: Timestamp, state: KeyState) -> Result<SigningKeyRecord, StoreError> {
    let key = SigningKey::generate(Algorithm::EdDsa).map_err(StoreError::corrupt)?;
    Ok(SigningKeyRecord {
        kid: key.kid().to_owned(),
        algorithm: key.algorithm().name().to_owned(),
        private: key.to_pkcs8().expose_secret().to_vec(),
        public_jwk: key.public_jwk().to_string(),
        state,
        created_at: now,
        changed_at: now,
    })
}

/// One step of the succession.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Announce,
    Promote { from: String, to: String },
    Drop(String),
}

impl Succession {
    /// What is due. Two nodes may come to the same conclusion: each step is one that can be taken twice.
    fn steps(&self, records: &[SigningKeyRecord], now: Timestamp) -> Vec<Step> {
        let in_state = |state| records.iter().filter(move |record| record.state == state);
        let age = |record: &SigningKeyRecord| now.since(record.changed_at);
        let mut steps = Vec::new();
        if let Some(active) = in_state(KeyState::Active).next() {
            match in_state(KeyState::Next).next() {
                None if age(active) + self.overlap >= self.reign => steps.push(Step::Announce),
                Some(next) if age(active) >= self.reign && age(next) >= self.overlap => {
                    steps.push(Step::Promote { from: active.kid.clone(), to: next.kid.clone() });
                }
                _ => {}
            }
        }
        let gone = in_state(KeyState::Retired).filter(|record| age(record) >= self.overlap);
        steps.extend(gone.map(|record| Step::Drop(record.kid.clone())));
        steps
    }
}

impl Ring {
    fn new(records: &[SigningKeyRecord]) -> Result<Self, StoreError> {
        let active = records.iter().find(|record| record.state == KeyState::Active);
        let active = active.ok_or_else(|| StoreError::corrupt("no key signs access tokens"))?;
        let algorithm = Algorithm::named(&active.algorithm)
            .ok_or_else(|| StoreError::corrupt("a key is for an algorithm that is not known"))?;
        let signing = SigningKey::from_pkcs8(algorithm, &active.private).map_err(StoreError::corrupt)?;
        let public: Vec<Value> =
            records.iter().filter_map(|record| serde_json::from_str(&record.public_jwk).ok()).collect();
        let document = json!({ "keys": public });
        let set = KeySet::of(&public).map_err(StoreError::corrupt)?;
        let kids = records.iter().map(|record| record.kid.clone()).collect();
        Ok(Self { signing, public: set, document, kids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kid: &str, state: KeyState, changed_at: Timestamp) -> SigningKeyRecord {
        let (algorithm, public_jwk) = ("EdDSA".to_owned(), "{}".to_owned());
        SigningKeyRecord {
            kid: kid.to_owned(),
            algorithm,
            private: Vec::new(),
            public_jwk,
            state,
            created_at: changed_at,
            changed_at,
        }
    }

    #[test]
    fn oauth_71_a_key_is_published_before_it_signs_and_after() {
        let succession = Succession::default();
        let hours = |hours: u64| Timestamp::default().plus(Duration::from_hours(hours));
        let a = record("a", KeyState::Active, hours(0));
        assert_eq!(succession.steps(std::slice::from_ref(&a), hours(29 * 24 - 1)), []);
        assert_eq!(succession.steps(std::slice::from_ref(&a), hours(29 * 24)), [Step::Announce]);
        let b = record("b", KeyState::Next, hours(29 * 24));
        assert_eq!(succession.steps(&[a.clone(), b.clone()], hours(30 * 24 - 1)), []);
        let promote = Step::Promote { from: "a".to_owned(), to: "b".to_owned() };
        assert_eq!(succession.steps(&[a.clone(), b], hours(30 * 24)), [promote]);
        // Announced late, it signs late: never before it was published for the whole overlap.
        let late = record("b", KeyState::Next, hours(30 * 24));
        assert_eq!(succession.steps(&[a, late], hours(31 * 24 - 1)), []);
        let retired = record("a", KeyState::Retired, hours(30 * 24));
        let active = record("b", KeyState::Active, hours(30 * 24));
        assert_eq!(succession.steps(&[retired.clone(), active.clone()], hours(31 * 24 - 1)), []);
        assert_eq!(succession.steps(&[retired, active], hours(31 * 24)), [Step::Drop("a".to_owned())]);
        let overlap_covers = Duration::from_mins(15) + Duration::from_mins(10);
        assert!(succession.overlap >= overlap_covers, "a token's life and the time that a list of keys is kept");
    }
}
