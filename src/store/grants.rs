//! What clients may do for people.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Store, StoreError, Tenant, Work,
    sql::{Id, Record, Row, values},
};

/// What one consent gave: the family of all its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRecord {
    /// Names it.
    pub id: String,
    /// Where its person signed in.
    pub provider: String,
    /// Who that is.
    pub subject: String,
    /// The client that it was given to.
    pub client_id: String,
    /// The route that it is for.
    pub resource: String,
    /// Its scopes.
    pub scope: String,
    /// What is known of the person, as JSON; sealed at rest.
    pub identity: Vec<u8>,
    /// When it was given.
    pub created_at: Timestamp,
    /// When the identity was last renewed.
    pub refreshed_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

const IDENTITY: &str = "grants.sealed_identity";

impl Record for GrantRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let id: String = row.get("id")?;
        Ok(Self {
            identity: row.open(IDENTITY, &id)?,
            id,
            provider: row.get("provider")?,
            subject: row.get("subject")?,
            client_id: row.get("client_id")?,
            resource: row.get("resource")?,
            scope: row.get("scope")?,
            created_at: row.at("created_at")?,
            refreshed_at: row.at("refreshed_at")?,
            expires_at: row.at("expires_at")?,
            revoked_at: row.maybe_at("revoked_at")?,
        })
    }
}

struct Revoked(String, Timestamp);

impl Record for Revoked {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self(row.get("id")?, row.at("revoked_at")?))
    }
}

const READ: &str = "SELECT * FROM grants WHERE tenant = $1 AND id = $2";

impl Store {
    /// The grant with this id, also when it is over.
    pub async fn grant(&self, tenant: &Tenant, id: &str) -> Result<Option<GrantRecord>, StoreError> {
        self.one(tenant, READ, values![id]).await
    }

    /// All grants of somebody, the newest first, also those that are over.
    pub async fn grants_of(&self, tenant: &Tenant, subject: &str) -> Result<Vec<GrantRecord>, StoreError> {
        const OF: &str = "SELECT * FROM grants WHERE tenant = $1 AND subject = $2 ORDER BY created_at DESC, id";
        self.all(tenant, OF, values![subject]).await
    }

    /// Grants that were taken back at `since` or later, the oldest first: how other nodes learn of it.
    pub async fn grants_revoked_since(
        &self,
        tenant: &Tenant,
        since: Timestamp,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        const SINCE: &str =
            "SELECT id, revoked_at FROM grants WHERE tenant = $1 AND revoked_at >= $2 ORDER BY revoked_at";
        let revoked = self.all(tenant, SINCE, values![since]).await?;
        Ok(revoked.into_iter().map(|Revoked(id, at)| (id, at)).collect())
    }
}

impl Work {
    /// Keeps a new grant.
    pub async fn insert_grant(&mut self, grant: &GrantRecord) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO grants (tenant, id, provider, subject, client_id, resource, scope, \
             sealed_identity, created_at, refreshed_at, expires_at, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let identity = self.owner.seal(IDENTITY, &grant.id, &grant.identity);
        let values = values![
            grant.id,
            grant.provider,
            grant.subject,
            grant.client_id,
            grant.resource,
            grant.scope,
            identity,
            grant.created_at,
            grant.refreshed_at,
            grant.expires_at,
            grant.revoked_at,
        ];
        self.run(INSERT, values).await?;
        Ok(())
    }

    /// The grant with this id, as this unit of work sees it.
    pub async fn grant(&mut self, id: &str) -> Result<Option<GrantRecord>, StoreError> {
        self.one(READ, values![id]).await
    }

    /// What is known of the person has been renewed.
    pub async fn update_grant_identity(&mut self, id: &str, identity: &[u8]) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE grants SET sealed_identity = $3, refreshed_at = $4 WHERE tenant = $1 AND id = $2";
        let identity = self.owner.seal(IDENTITY, id, identity);
        let now = self.clock.now();
        self.run(UPDATE, values![id, identity, now]).await?;
        Ok(())
    }

    /// It ends later. It never ends earlier by this.
    pub async fn extend_grant(&mut self, id: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        const EXTEND: &str = "UPDATE grants SET expires_at = $3 WHERE tenant = $1 AND id = $2 AND expires_at < $3";
        self.run(EXTEND, values![id, expires_at]).await?;
        Ok(())
    }

    /// Takes a grant back, and the yes that it came from: next time the person is asked. `false` if there is none or it was
    /// taken back before. `why` is kept for operators.
    pub async fn revoke_grant(&mut self, id: &str, why: &str) -> Result<bool, StoreError> {
        const REVOKE: &str = "UPDATE grants SET revoked_at = $3, revoked_because = $4 \
                              WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL";
        const FORGET: &str = "DELETE FROM consents WHERE tenant = $1 AND (subject, client_id) IN \
                              (SELECT subject, client_id FROM grants WHERE tenant = $1 AND id = $2)";
        let now = self.clock.now();
        self.run(FORGET, values![id]).await?;
        Ok(self.run(REVOKE, values![id, now, why]).await? > 0)
    }

    /// Takes back all grants of somebody, and whatever they said yes to; the ids of those that were not before.
    pub async fn revoke_grants_of(&mut self, subject: &str, why: &str) -> Result<Vec<String>, StoreError> {
        const REVOKE: &str = "UPDATE grants SET revoked_at = $3, revoked_because = $4 \
                              WHERE tenant = $1 AND subject = $2 AND revoked_at IS NULL RETURNING id";
        let now = self.clock.now();
        self.forget_consents_of(subject).await?;
        let revoked = self.all(REVOKE, values![subject, now, why]).await?;
        Ok(revoked.into_iter().map(|Id(id)| id).collect())
    }
}
