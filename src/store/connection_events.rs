//! How connections came about and ended: a log that is kept for a while.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    ConnectionKey, ConnectionState, Store, StoreError, Tenant, Work,
    sql::{Record, Row, values},
};

/// Where somebody stands with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionStage {
    /// There is no connection.
    None,
    /// The person was asked to connect, and has begun or may.
    Authenticating,
    /// There is one, which gives credentials.
    Connected,
    /// There was one, and the person must connect once more.
    ReconsentRequired,
}

impl ConnectionStage {
    /// As in audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Authenticating => "authenticating",
            Self::Connected => ConnectionState::Connected.name(),
            Self::ReconsentRequired => ConnectionState::ReconsentRequired.name(),
        }
    }

    fn named(name: &str) -> Result<Self, StoreError> {
        let all = [Self::None, Self::Authenticating, Self::Connected, Self::ReconsentRequired];
        let known = all.into_iter().find(|stage| stage.name() == name);
        known.ok_or_else(|| StoreError::corrupt(format!("a connection was `{name}`")))
    }
}

impl From<ConnectionState> for ConnectionStage {
    fn from(state: ConnectionState) -> Self {
        match state {
            ConnectionState::Connected => Self::Connected,
            ConnectionState::ReconsentRequired => Self::ReconsentRequired,
        }
    }
}

/// A step of a connection from one stage to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEvent {
    /// When.
    pub at: Timestamp,
    /// Whose connection, and to what.
    pub key: ConnectionKey,
    /// Where it stood.
    pub from: ConnectionStage,
    /// Where it stands since.
    pub to: ConnectionStage,
    /// The cause, for people.
    pub because: String,
    /// The request that caused it, if one did.
    pub request_id: Option<String>,
}

impl Record for ConnectionEvent {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let stage = |column| row.get::<String>(column).and_then(|name| ConnectionStage::named(&name));
        Ok(Self {
            at: row.at("at")?,
            key: ConnectionKey::read(row)?,
            from: stage("from_stage")?,
            to: stage("to_stage")?,
            because: row.get("because")?,
            request_id: row.get("request_id")?,
        })
    }
}

impl Store {
    /// The latest `limit` events of one connection or of all, the newest first. They are kept for 90 days.
    pub async fn connection_events(
        &self,
        tenant: &Tenant,
        key: Option<&ConnectionKey>,
        limit: u32,
    ) -> Result<Vec<ConnectionEvent>, StoreError> {
        const ALL: &str = "SELECT * FROM connection_events WHERE tenant = $1 ORDER BY at DESC, number DESC LIMIT $2";
        const OF: &str = "SELECT * FROM connection_events WHERE tenant = $1 AND upstream = $3 AND subject = $4 \
                          ORDER BY at DESC, number DESC LIMIT $2";
        let limit = i64::from(limit);
        match key {
            Some(key) => self.all(tenant, OF, values![limit, key.upstream, key.subject]).await,
            None => self.all(tenant, ALL, values![limit]).await,
        }
    }
}

impl Work {
    /// Writes an event down.
    pub async fn insert_connection_event(&mut self, event: &ConnectionEvent) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO connection_events \
             (tenant, upstream, subject, at, from_stage, to_stage, because, request_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let ConnectionEvent { at, key, from, to, because, request_id } = event;
        let (from, to) = (from.name(), to.name());
        let values = values![key.upstream, key.subject, *at, from, to, *because, *request_id];
        self.run(INSERT, values).await?;
        Ok(())
    }
}
