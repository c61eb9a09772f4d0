//! The keys that sign access tokens.

use std::fmt;

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Store, StoreError, Tenant, Work,
    sql::{Record, Row, values},
};

/// A key that signs access tokens, has done so, or will.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// Names it (RFC 7517 §4.5).
    pub kid: String,
    /// Its `alg`.
    pub algorithm: String,
    /// The private key; sealed at rest.
    pub private: Vec<u8>,
    /// The public key, as published.
    pub public_jwk: String,
    /// What it is for at present.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it came into this state.
    pub changed_at: Timestamp,
}

/// What a key is for at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Published, and will sign.
    Next,
    /// Signs. A tenant has one of these at most.
    Active,
    /// Signs no more; what it signed may still be shown.
    Retired,
}

impl KeyState {
    const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retired].into_iter().find(|state| state.name() == name)
    }
}

const PRIVATE: &str = "signing_keys.sealed_private";

impl Record for SigningKeyRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let (kid, state): (String, String) = (row.get("kid")?, row.get("state")?);
        Ok(Self {
            private: row.open(PRIVATE, &kid)?,
            kid,
            algorithm: row.get("algorithm")?,
            public_jwk: row.get("public_jwk")?,
            state: KeyState::named(&state).ok_or_else(|| StoreError::corrupt(format!("a key is `{state}`")))?,
            created_at: row.at("created_at")?,
            changed_at: row.at("changed_at")?,
        })
    }
}

impl Store {
    /// All keys, the oldest first.
    pub async fn signing_keys(&self, tenant: &Tenant) -> Result<Vec<SigningKeyRecord>, StoreError> {
        const ALL: &str = "SELECT * FROM signing_keys WHERE tenant = $1 ORDER BY created_at, kid";
        self.all(tenant, ALL, values![]).await
    }
}

impl Work {
    /// Keeps a new key, unless there is one in that state already where only one can be: `false` then. So two nodes that
    /// both make the first one end with the same.
    pub async fn insert_signing_key(&mut self, key: &SigningKeyRecord) -> Result<bool, StoreError> {
        const INSERT: &str = "INSERT INTO signing_keys \
             (tenant, kid, algorithm, sealed_private, public_jwk, state, created_at, changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
        let SigningKeyRecord { kid, algorithm, private, public_jwk, state, created_at, changed_at } = key;
        let private = self.owner.seal(PRIVATE, kid, private);
        let state = state.name();
        let values = values![*kid, *algorithm, private, *public_jwk, state, *created_at, *changed_at];
        Ok(self.run(INSERT, values).await? > 0)
    }

    /// Puts a key into a state; `false` if it is in it already, or there is none.
    pub async fn set_signing_key_state(
        &mut self,
        kid: &str,
        state: KeyState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SET: &str = "UPDATE signing_keys SET state = $3, changed_at = $4 \
                           WHERE tenant = $1 AND kid = $2 AND state <> $3";
        let state = state.name();
        Ok(self.run(SET, values![kid, state, now]).await? > 0)
    }

    /// Destroys a key; was it there?
    pub async fn delete_signing_key(&mut self, kid: &str) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM signing_keys WHERE tenant = $1 AND kid = $2", values![kid]).await? > 0)
    }
}

impl fmt::Debug for SigningKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyRecord").field("kid", &self.kid).field("state", &self.state).finish_non_exhaustive()
    }
}
