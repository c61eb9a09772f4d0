//! All SQL and all encryption at rest; typed records in and out.
//!
//! [`Store::open`] connects to SQLite (one file) or PostgreSQL (many nodes) by one URL, makes the tables and checks the
//! [`MasterKey`]. Reads are methods of [`Store`]; what belongs together is written through one [`Work`], which is committed
//! or never was. Every function is told the [`Tenant`].
//!
//! ```text
//! Store ──begin→ Work ─┐
//!   └───────────────── sql ── the one place that knows which database it is
//! clients, logins, …       ── one file for each kind of record: the record and its SQL
//! ```
//!
//! Nothing here can be used if it is stolen: what must only be recognised is kept as a [`Digest`], what must be read again is
//! sealed for the row that it stands in.

mod accounts;
mod api_keys;
mod approval_turns;
mod approvals;
mod assertions;
mod audit;
mod claims;
mod clients;
mod codes;
mod connect;
mod connect_flows;
mod connect_links;
mod connection_events;
mod connections;
mod consents;
mod digest;
mod envelope;
mod error;
mod feed;
mod grants;
mod handle;
mod key_command;
mod location;
mod logins;
mod look;
mod master_key;
mod pins;
mod refresh_tokens;
mod reseal;
mod seal;
mod sealed_columns;
mod sessions;
mod signing_keys;
mod sql;
mod sweep;
mod tenant;
#[cfg(test)]
mod tests;
mod upstream_clients;
mod work;

use std::sync::Arc;

use portcullis_policies::kit::clock::Clock;

use self::sql::{Database, Owner, Record, Value};
pub use self::{
    accounts::AccountRecord,
    api_keys::ApiKeyRecord,
    approval_turns::{ApprovalMessage, ApprovalTurn, Decider, TurnReaders},
    approvals::{ApprovalDetails, ApprovalRecord, ApprovalState},
    audit::{AuditHead, AuditKeyRecord, AuditRow},
    claims::Claim,
    clients::ClientRecord,
    codes::{CodeRecord, CodeUse},
    connect_flows::ConnectFlow,
    connect_links::ConnectLink,
    connection_events::{ConnectionEvent, ConnectionStage},
    connections::{ConnectionChange, ConnectionKey, ConnectionRecord, ConnectionState, ConnectionSummary},
    consents::ConsentKey,
    digest::Digest,
    error::{OpenError, StoreError, Trouble, TroubleKind},
    feed::{Feed, every},
    grants::GrantRecord,
    handle::Handle,
    location::Location,
    logins::LoginRecord,
    look::Steps,
    master_key::{KeyError, MasterKey},
    pins::{Kept, PinRecord, PinnedUpstream, WantedPins},
    refresh_tokens::{RefreshRecord, Rotation},
    reseal::{KeyRole, KeyUse, Resealed},
    seal::{Sealer, Unsealable},
    sessions::SessionRecord,
    signing_keys::{KeyState, SigningKeyRecord},
    tenant::Tenant,
    upstream_clients::UpstreamClientRecord,
    work::Work,
};

/// Where everything is kept. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
}

impl Store {
    /// Connects, makes or updates the tables, and sees that `master` is the key that the rows were sealed with.
    pub async fn open(location: &Location, master: MasterKey, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let database = connect::connect(location.clone()).await?;
        let store = Self { database, sealer: Arc::new(Sealer::new(&master)), clock };
        store.check_master_key().await?;
        Ok(store)
    }

    /// Begins a unit of work: its writes happen together, or not at all.
    pub async fn begin(&self, tenant: &Tenant) -> Result<Work, StoreError> {
        Ok(Work { open: self.database.begin().await?, owner: self.owner(tenant), clock: Arc::clone(&self.clock) })
    }

    /// Lets go of the database in an orderly way: SQLite then has everything in its one file.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Database::Postgres(pool) => pool.close().await,
        }
    }

    /// Seals what leaves the gateway and must come back as it was.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    fn owner(&self, tenant: &Tenant) -> Owner {
        Owner { tenant: tenant.clone(), sealer: Arc::clone(&self.sealer) }
    }

    async fn one<T: Record>(
        &self,
        tenant: &Tenant,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        self.database.one(&self.owner(tenant), sql, values).await
    }

    async fn all<T: Record>(
        &self,
        tenant: &Tenant,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        self.database.all(&self.owner(tenant), sql, values).await
    }
}
