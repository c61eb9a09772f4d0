//! Browsers that are signed in.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Digest, Store, StoreError, Tenant, Work,
    sql::{Record, Row, values},
};

/// A browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Of its cookie.
    pub id: Digest,
    /// Where its person signed in.
    pub provider: String,
    /// Who that is.
    pub subject: String,
    /// What is known of them, as JSON; sealed at rest.
    pub identity: Vec<u8>,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When they must do so again.
    pub expires_at: Timestamp,
}

const IDENTITY: &str = "sessions.sealed_identity";

impl Record for SessionRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let id = row.digest("id_digest")?;
        Ok(Self {
            id,
            provider: row.get("provider")?,
            subject: row.get("subject")?,
            identity: row.open(IDENTITY, &id.to_string())?,
            created_at: row.at("created_at")?,
            expires_at: row.at("expires_at")?,
        })
    }
}

impl Store {
    /// The session of this cookie. It may have expired.
    pub async fn session(&self, tenant: &Tenant, id: &Digest) -> Result<Option<SessionRecord>, StoreError> {
        self.one(tenant, "SELECT * FROM sessions WHERE tenant = $1 AND id_digest = $2", values![*id]).await
    }
}

impl Work {
    /// Keeps a new session.
    pub async fn insert_session(&mut self, session: &SessionRecord) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO sessions \
             (tenant, id_digest, provider, subject, sealed_identity, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let SessionRecord { id, provider, subject, identity, created_at, expires_at } = session;
        let identity = self.owner.seal(IDENTITY, &id.to_string(), identity);
        self.run(INSERT, values![*id, *provider, *subject, identity, *created_at, *expires_at]).await?;
        Ok(())
    }

    /// Ends one session; was it there?
    pub async fn delete_session(&mut self, id: &Digest) -> Result<bool, StoreError> {
        let deleted = self.run("DELETE FROM sessions WHERE tenant = $1 AND id_digest = $2", values![*id]).await?;
        Ok(deleted > 0)
    }

    /// Ends all sessions of somebody; how many there were.
    pub async fn delete_sessions_of(&mut self, subject: &str) -> Result<u64, StoreError> {
        self.run("DELETE FROM sessions WHERE tenant = $1 AND subject = $2", values![subject]).await
    }
}
