//! Clients that registered themselves.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Store, StoreError, Tenant, Work,
    sql::{Count, Record, Row, values},
};

/// A client that registered itself (RFC 7591).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// Its `client_id`.
    pub id: String,
    /// Its metadata, as JSON; of its secret, only a digest is in there.
    pub metadata: String,
    /// Where the registration came from.
    pub source: String,
    /// When it registered.
    pub created_at: Timestamp,
    /// When somebody last said yes to it.
    pub last_used_at: Option<Timestamp>,
}

impl Record for ClientRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            metadata: row.get("metadata")?,
            source: row.get("source")?,
            created_at: row.at("created_at")?,
            last_used_at: row.maybe_at("last_used_at")?,
        })
    }
}

impl Store {
    /// The client with this id.
    pub async fn client(&self, tenant: &Tenant, id: &str) -> Result<Option<ClientRecord>, StoreError> {
        self.one(tenant, "SELECT * FROM clients WHERE tenant = $1 AND id = $2", values![id]).await
    }

    /// How many there are.
    pub async fn clients_count(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        let count = self.one(tenant, "SELECT count(*) AS n FROM clients WHERE tenant = $1", values![]).await?;
        Ok(count.map_or(0, |Count(count)| count))
    }

    /// How many registered from one place since then.
    pub async fn clients_from(&self, tenant: &Tenant, source: &str, since: Timestamp) -> Result<u64, StoreError> {
        const COUNT: &str = "SELECT count(*) AS n FROM clients WHERE tenant = $1 AND source = $2 AND created_at >= $3";
        Ok(self.one(tenant, COUNT, values![source, since]).await?.map_or(0, |Count(count)| count))
    }
}

impl Work {
    /// Keeps a new client.
    pub async fn insert_client(&mut self, client: &ClientRecord) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO clients (tenant, id, metadata, source, created_at, last_used_at) \
                              VALUES ($1, $2, $3, $4, $5, $6)";
        let ClientRecord { id, metadata, source, created_at, last_used_at } = client;
        self.run(INSERT, values![*id, *metadata, *source, *created_at, *last_used_at]).await?;
        Ok(())
    }

    /// It was used. Ids that are none of ours are let be.
    pub async fn touch_client(&mut self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE clients SET last_used_at = $3 WHERE tenant = $1 AND id = $2";
        self.run(TOUCH, values![id, now]).await?;
        Ok(())
    }

    /// Forgets the clients that were made before then and never used; how many.
    pub async fn delete_clients_never_used_since(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        const DELETE: &str = "DELETE FROM clients WHERE tenant = $1 AND last_used_at IS NULL AND created_at < $2";
        self.run(DELETE, values![before]).await
    }

    /// Forgets the clients that were neither used nor made since then; how many.
    pub async fn delete_clients_unused_since(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        const DELETE: &str = "DELETE FROM clients WHERE tenant = $1 AND coalesce(last_used_at, created_at) < $2";
        self.run(DELETE, values![before]).await
    }
}
