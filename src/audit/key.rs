//! The key that signs checkpoints (Ed25519, RFC 8032).

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::clock::Timestamp;
use serde_json::{Value, json};

use crate::store::{AuditKeyRecord, Digest, Store, StoreError, Tenant};

/// A key that signs.
pub struct AuditKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// What proves that it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Names it: the beginning of its SHA-256.
    pub kid: String,
    bytes: Vec<u8>,
}

impl AuditKey {
    /// The newest key of the store; a new one, if there is none.
    pub async fn of(store: &Store, tenant: &Tenant, now: Timestamp) -> Result<Self, StoreError> {
        match store.audit_keys(tenant).await?.last() {
            Some(record) => Self::from_pkcs8(&record.private),
            None => Self::create(store, tenant, now).await,
        }
    }

    async fn create(store: &Store, tenant: &Tenant, now: Timestamp) -> Result<Self, StoreError> {
        let private = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new());
        let private = private.map_err(|_| StoreError::corrupt("the machine gave no randomness for a key"))?;
        let key = Self::from_pkcs8(private.as_ref())?;
        let record =
            AuditKeyRecord { kid: key.public.kid.clone(), private: private.as_ref().to_vec(), created_at: now };
        let mut work = store.begin(tenant).await?;
        work.insert_audit_key(&record).await?;
        work.commit().await?;
        Ok(key)
    }

    fn from_pkcs8(private: &[u8]) -> Result<Self, StoreError> {
        let pair = Ed25519KeyPair::from_pkcs8(private).map_err(StoreError::corrupt)?;
        let public = PublicKey::new(pair.public_key().as_ref().to_vec());
        Ok(Self { pair, public })
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs what stands before a place in a chain, which the hash of the last row there sums up.
    pub(super) fn sign(&self, chain: &str, number: i64, previous: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(statement(chain, number, previous).as_bytes()))
    }
}

impl PublicKey {
    fn new(bytes: Vec<u8>) -> Self {
        let kid = Digest::of(&bytes).to_string()[..16].to_owned();
        Self { kid, bytes }
    }

    /// All that the store has: those that open under its own key.
    pub async fn of_store(store: &Store, tenant: &Tenant) -> Result<Vec<Self>, StoreError> {
        let records = store.audit_keys(tenant).await?;
        records.iter().map(|record| AuditKey::from_pkcs8(&record.private).map(|key| key.public)).collect()
    }

    /// As a JSON Web Key (RFC 8037 §2).
    pub fn to_jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": URL_SAFE_NO_PAD.encode(&self.bytes) })
    }

    /// From such a one, whatever it calls itself.
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        let is_ed25519 = jwk["kty"] == "OKP" && jwk["crv"] == "Ed25519";
        let bytes = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().filter(|_| is_ed25519)?).ok()?;
        (bytes.len() == 32).then(|| Self::new(bytes))
    }

    /// Did it sign what stands before this place?
    pub(super) fn verifies(&self, chain: &str, number: i64, previous: &str, signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let key = UnparsedPublicKey::new(&ED25519, &self.bytes);
        key.verify(statement(chain, number, previous).as_bytes(), &signature).is_ok()
    }
}

fn statement(chain: &str, number: i64, previous: &str) -> String {
    format!("portcullis audit checkpoint 1\n{chain}\n{number}\n{previous}")
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKey").field("kid", &self.public.kid).finish_non_exhaustive()
    }
}
