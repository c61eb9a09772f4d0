//! Connections of people to upstreams, each with the secrets that it is made of.
//!
//! Every change of the secrets or the state counts `version` up, also when somebody connects anew or the connection ends, so
//! nothing that was read before can be taken for what is there now. Whoever refreshes claims the connection first, see
//! [`Claim`](super::Claim).

use std::ops::Deref;

use portcullis_policies::kit::clock::Timestamp;
use secrecy::SecretSlice;
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, Tenant, Work,
    sql::{Record, Row, values},
};

/// Whose connection, and to what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnectionKey {
    /// The id of the upstream.
    pub upstream: String,
    /// The `sub` of the person; empty, where all share one connection.
    pub subject: String,
}

/// Where a connection stands that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// It gives credentials.
    Connected,
    /// It did, and the person must connect once more.
    ReconsentRequired,
}

impl ConnectionState {
    /// As in audit and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ReconsentRequired => "reconsent_required",
        }
    }

    fn named(name: &str) -> Result<Self, StoreError> {
        let known = [Self::Connected, Self::ReconsentRequired].into_iter().find(|state| state.name() == name);
        known.ok_or_else(|| StoreError::corrupt(format!("a connection is `{name}`")))
    }
}

/// A connection without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSummary {
    /// Whose, and to what.
    pub key: ConnectionKey,
    /// The upstream's address.
    pub target: String,
    /// Its id.
    pub id: String,
    /// Counts the changes of secrets and state.
    pub version: i64,
    /// Where it stands.
    pub state: ConnectionState,
    /// How it came into this state.
    pub because: String,
    /// The issuer of the authorization server that its secrets are of, if one is.
    pub issuer: Option<String>,
    /// Its scopes.
    pub scope: Option<String>,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
    /// When the person connected.
    pub created_at: Timestamp,
    /// When secrets or state last changed.
    pub changed_at: Timestamp,
}

/// A connection with its secrets. Printing it shows none.
#[derive(Clone, Debug)]
pub struct ConnectionRecord {
    /// All but the secrets.
    pub summary: ConnectionSummary,
    /// What only its own data key opens. None once destroyed.
    pub secrets: Option<SecretSlice<u8>>,
}

impl Deref for ConnectionRecord {
    type Target = ConnectionSummary;

    fn deref(&self) -> &ConnectionSummary {
        &self.summary
    }
}

/// A connection that was made, changed or ended: how other nodes learn of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionChange {
    /// Whose, and to what.
    pub key: ConnectionKey,
    /// Its version since.
    pub version: i64,
}

const DATA_KEY: &str = "connections.sealed_data_key";
const SECRETS: &str = "connections.secrets";

/// The row, for its sealed columns. A ciphertext opens for this person, at this upstream, in this connection.
fn place(key: &ConnectionKey, id: &str) -> String {
    super::seal::row(&[&key.upstream, &key.subject, id])
}

impl Record for ConnectionKey {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { upstream: row.get("upstream")?, subject: row.get("subject")? })
    }
}

impl Record for ConnectionSummary {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            key: ConnectionKey::read(row)?,
            target: row.get("target")?,
            id: row.get("id")?,
            version: row.get("version")?,
            state: ConnectionState::named(&row.get::<String>("state")?)?,
            because: row.get("because")?,
            issuer: row.get("issuer")?,
            scope: row.get("scope")?,
            expires_at: row.maybe_at("expires_at")?,
            created_at: row.at("created_at")?,
            changed_at: row.at("changed_at")?,
        })
    }
}

impl Record for ConnectionRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let summary = ConnectionSummary::read(row)?;
        let secrets = row.maybe_open_enveloped(DATA_KEY, SECRETS, &place(&summary.key, &summary.id))?;
        Ok(Self { summary, secrets })
    }
}

/// A connection that has just been destroyed. That its secrets do not open is no reason to keep it.
struct Destroyed(ConnectionRecord);

impl Record for Destroyed {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let summary = ConnectionSummary::read(row)?;
        let secrets = row.maybe_open_enveloped(DATA_KEY, SECRETS, &place(&summary.key, &summary.id));
        Ok(Self(ConnectionRecord { summary, secrets: secrets.unwrap_or_default() }))
    }
}

impl Record for ConnectionChange {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { key: ConnectionKey::read(row)?, version: row.get("version")? })
    }
}

/// The number that a statement ends with.
struct Version(i64);

impl Record for Version {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get("version").map(Self)
    }
}

impl Store {
    /// The connection, if there is one.
    pub async fn connection(
        &self,
        tenant: &Tenant,
        key: &ConnectionKey,
    ) -> Result<Option<ConnectionRecord>, StoreError> {
        const READ: &str = "SELECT * FROM connections WHERE tenant = $1 AND upstream = $2 AND subject = $3 \
                            AND gone_at IS NULL";
        self.one(tenant, READ, values![key.upstream, key.subject]).await
    }

    /// All connections of somebody, by upstream.
    pub async fn connections_of(&self, tenant: &Tenant, subject: &str) -> Result<Vec<ConnectionSummary>, StoreError> {
        const OF: &str = "SELECT * FROM connections WHERE tenant = $1 AND subject = $2 AND gone_at IS NULL \
                          ORDER BY upstream";
        self.all(tenant, OF, values![subject]).await
    }

    /// The next `limit` connections after this one, by upstream and subject; the first ones, after none.
    pub async fn connections(
        &self,
        tenant: &Tenant,
        after: Option<&ConnectionKey>,
        limit: u32,
    ) -> Result<Vec<ConnectionSummary>, StoreError> {
        const NEXT: &str = "SELECT * FROM connections WHERE tenant = $1 AND (upstream, subject) > ($2, $3) \
                            AND gone_at IS NULL ORDER BY upstream, subject LIMIT $4";
        let (upstream, subject) = after.map_or(("", ""), |key| (key.upstream.as_str(), key.subject.as_str()));
        let limit = i64::from(limit);
        self.all(tenant, NEXT, values![upstream, subject, limit]).await
    }

    /// Connections that were made, changed or ended at `since` or later, the oldest change first. What has ended is told for
    /// a day.
    pub async fn changed_connections(
        &self,
        tenant: &Tenant,
        since: Timestamp,
    ) -> Result<Vec<ConnectionChange>, StoreError> {
        const SINCE: &str = "SELECT * FROM connections WHERE tenant = $1 AND changed_at >= $2 ORDER BY changed_at";
        self.all(tenant, SINCE, values![since]).await
    }
}

impl Work {
    /// Somebody has connected: keeps the connection in the place of whatever was there. Returns its version, for which the one
    /// in the record does not matter.
    pub async fn put_connection(&mut self, connection: &ConnectionRecord) -> Result<i64, StoreError> {
        const PUT: &str = "INSERT INTO connections (tenant, upstream, subject, target, id, version, state, because, \
             issuer, scope, sealed_data_key, secrets, expires_at, fence, claimed_until, unfinished, created_at, \
             changed_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, $11, $12, 0, 0, 0, $13, $14) \
             ON CONFLICT (tenant, upstream, subject) DO UPDATE SET target = excluded.target, id = excluded.id, \
             version = connections.version + 1, state = excluded.state, because = excluded.because, \
             issuer = excluded.issuer, scope = excluded.scope, sealed_data_key = excluded.sealed_data_key, \
             secrets = excluded.secrets, expires_at = excluded.expires_at, fence = connections.fence + 1, \
             claimed_until = 0, unfinished = 0, created_at = excluded.created_at, changed_at = excluded.changed_at, \
             gone_at = NULL RETURNING version";
        let now = self.clock.now();
        let (data_key, secrets) = self.seal_connection(connection);
        let state = connection.state.name();
        let ConnectionSummary { key, target, id, because, issuer, scope, expires_at, created_at, .. } =
            &connection.summary;
        let values = values![
            key.upstream,
            key.subject,
            *target,
            *id,
            state,
            *because,
            *issuer,
            *scope,
            data_key,
            secrets,
            *expires_at,
            *created_at,
            now,
        ];
        let version = self.one(PUT, values).await?;
        version.map(|Version(version)| version).ok_or_else(|| StoreError::corrupt("a connection was kept nowhere"))
    }

    /// The secrets under a fresh data key, and that key, sealed.
    pub(super) fn seal_connection(&self, connection: &ConnectionRecord) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let place = place(&connection.key, &connection.id);
        let sealed = connection.secrets.as_ref().map(|secrets| self.owner.envelop(DATA_KEY, SECRETS, &place, secrets));
        sealed.unzip()
    }

    /// Puts a connection into a state, if it still has this version; was it so? A refresh that is under way comes to nothing.
    pub async fn mark_connection(
        &mut self,
        key: &ConnectionKey,
        version: i64,
        state: ConnectionState,
        because: &str,
    ) -> Result<bool, StoreError> {
        const MARK: &str = "UPDATE connections SET state = $5, because = $6, changed_at = $7, version = version + 1, \
             fence = fence + 1, claimed_until = 0, unfinished = 0 \
             WHERE tenant = $1 AND upstream = $2 AND subject = $3 AND version = $4 AND gone_at IS NULL";
        let (now, state) = (self.clock.now(), state.name());
        let values = values![key.upstream, key.subject, version, state, because, now];
        Ok(self.run(MARK, values).await? > 0)
    }

    /// Destroys a connection: of its secrets and their key nothing stays. Returns what was there; without secrets, if they do
    /// not open any more.
    pub async fn delete_connection(&mut self, key: &ConnectionKey) -> Result<Option<ConnectionRecord>, StoreError> {
        const DELETE: &str = "DELETE FROM connections WHERE tenant = $1 AND upstream = $2 AND subject = $3 \
                              AND gone_at IS NULL RETURNING *";
        let Some(Fenced(Destroyed(connection), fence)) = self.one(DELETE, values![key.upstream, key.subject]).await?
        else {
            return Ok(None);
        };
        self.leave_tombstone(&connection, fence).await?;
        Ok(Some(connection))
    }

    /// Other nodes must hear that it has gone.
    async fn leave_tombstone(&mut self, gone: &ConnectionRecord, fence: i64) -> Result<(), StoreError> {
        const LEAVE: &str = "INSERT INTO connections (tenant, upstream, subject, target, id, version, state, because, \
             fence, claimed_until, unfinished, created_at, changed_at, gone_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, 0, 0, $9, $10, $10)";
        let ConnectionSummary { key, target, id, created_at, .. } = &gone.summary;
        let (now, state, version, fence) = (self.clock.now(), gone.state.name(), gone.version + 1, fence + 1);
        let values = values![key.upstream, key.subject, *target, *id, version, state, fence, *created_at, now];
        self.run(LEAVE, values).await?;
        Ok(())
    }
}

/// With the fence of its row.
struct Fenced<T>(T, i64);

impl<T: Record> Record for Fenced<T> {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self(T::read(row)?, row.get("fence")?))
    }
}
