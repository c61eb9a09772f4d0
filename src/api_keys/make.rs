//! Making keys.

use std::time::Duration;

use portcullis_policies::kit::{clock::Timestamp, host::Identity, random};
use secrecy::SecretString;

use super::PREFIX;
use crate::store::{ApiKeyRecord, Digest, Store, StoreError, Tenant};

/// What a key shall be.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// What people call it.
    pub name: String,
    /// What else is known of the program: e-mail address, groups, roles.
    pub identity: Identity,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// Where; none: at all routes that take keys.
    pub routes: Option<Vec<String>>,
    /// How long; none: until it is revoked.
    pub lasting: Option<Duration>,
}

/// A key that was made: what is kept, and what is shown once.
#[derive(Debug)]
pub struct Made {
    /// For the store.
    pub record: ApiKeyRecord,
    /// For whoever asked.
    pub key: SecretString,
}

/// Makes a key and keeps it.
pub async fn create(store: &Store, tenant: &Tenant, wish: Wish, now: Timestamp) -> Result<Made, StoreError> {
    let made = make(wish, now);
    let mut work = store.begin(tenant).await?;
    work.insert_api_key(&made.record).await?;
    work.commit().await?;
    Ok(made)
}

/// Makes a key.
///
/// # Panics
/// If the operating system has no random bytes.
pub fn make(wish: Wish, now: Timestamp) -> Made {
    let (id, secret) = (random::id(), random::secret());
    let key = format!("{PREFIX}{id}.{secret}");
    let record = ApiKeyRecord {
        digest: Digest::of(key.as_bytes()),
        id,
        name: wish.name,
        subject_claims: serde_json::json!(wish.identity).to_string(),
        scopes: wish.scopes.join(" "),
        routes: wish.routes.map(|routes| serde_json::json!(routes).to_string()),
        created_at: now,
        expires_at: wish.lasting.map(|lasting| now.plus(lasting)),
        revoked_at: None,
        last_used_at: None,
    };
    Made { record, key: key.into() }
}
