//! API keys: for programs that no person stands behind.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Digest, Store, StoreError, Tenant, Work,
    sql::{Record, Row, values},
};

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// Names it; part of the key itself.
    pub id: String,
    /// Of the key.
    pub digest: Digest,
    /// What the operator calls it.
    pub name: String,
    /// What a caller with it is known as: JSON.
    pub subject_claims: String,
    /// Its scopes.
    pub scopes: String,
    /// The routes that it is for, as a JSON list; all, if there is none.
    pub routes: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, about.
    pub last_used_at: Option<Timestamp>,
}

impl Record for ApiKeyRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            digest: row.digest("key_digest")?,
            name: row.get("name")?,
            subject_claims: row.get("subject_claims")?,
            scopes: row.get("scopes")?,
            routes: row.get("routes")?,
            created_at: row.at("created_at")?,
            expires_at: row.maybe_at("expires_at")?,
            revoked_at: row.maybe_at("revoked_at")?,
            last_used_at: row.maybe_at("last_used_at")?,
        })
    }
}

impl Store {
    /// The key with this id, also when it is over.
    pub async fn api_key(&self, tenant: &Tenant, id: &str) -> Result<Option<ApiKeyRecord>, StoreError> {
        self.one(tenant, "SELECT * FROM api_keys WHERE tenant = $1 AND id = $2", values![id]).await
    }

    /// All keys, the oldest first, also those that are over.
    pub async fn api_keys(&self, tenant: &Tenant) -> Result<Vec<ApiKeyRecord>, StoreError> {
        self.all(tenant, "SELECT * FROM api_keys WHERE tenant = $1 ORDER BY created_at, id", values![]).await
    }

    /// The next `limit` keys after this one, by when they were made and their ids; the first ones, after none.
    pub async fn api_keys_after(
        &self,
        tenant: &Tenant,
        after: Option<(Timestamp, &str)>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>, StoreError> {
        const NEXT: &str = "SELECT * FROM api_keys WHERE tenant = $1 AND (created_at, id) > ($2, $3) \
                            ORDER BY created_at, id LIMIT $4";
        let ((at, id), limit) = (after.unwrap_or((Timestamp::from_millis(i64::MIN), "")), i64::from(limit));
        self.all(tenant, NEXT, values![at, id, limit]).await
    }

    /// Keys that were made or taken back at `since` or later: how other nodes learn of it.
    pub async fn api_keys_changed_since(
        &self,
        tenant: &Tenant,
        since: Timestamp,
    ) -> Result<Vec<ApiKeyRecord>, StoreError> {
        const SINCE: &str = "SELECT * FROM api_keys WHERE tenant = $1 AND changed_at >= $2 ORDER BY changed_at, id";
        self.all(tenant, SINCE, values![since]).await
    }
}

impl Work {
    /// Keeps a new key.
    pub async fn insert_api_key(&mut self, key: &ApiKeyRecord) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO api_keys (tenant, id, key_digest, name, subject_claims, scopes, routes, \
             created_at, expires_at, revoked_at, last_used_at, changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let now = self.clock.now();
        let values = values![
            key.id,
            key.digest,
            key.name,
            key.subject_claims,
            key.scopes,
            key.routes,
            key.created_at,
            key.expires_at,
            key.revoked_at,
            key.last_used_at,
            now,
        ];
        self.run(INSERT, values).await?;
        Ok(())
    }

    /// Takes a key back; `false` if there is none or it was taken back before.
    pub async fn revoke_api_key(&mut self, id: &str) -> Result<bool, StoreError> {
        const REVOKE: &str = "UPDATE api_keys SET revoked_at = $3, changed_at = $3 \
                              WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL";
        let now = self.clock.now();
        Ok(self.run(REVOKE, values![id, now]).await? > 0)
    }

    /// These were used at these times. An earlier time never replaces a later one.
    pub async fn touch_api_keys(&mut self, uses: &[(&str, Timestamp)]) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE api_keys SET last_used_at = $3 WHERE tenant = $1 AND id = $2 \
                             AND coalesce(last_used_at, 0) < $3";
        for (id, at) in uses {
            self.run(TOUCH, values![*id, *at]).await?;
        }
        Ok(())
    }
}
