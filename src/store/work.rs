//! One unit of work, and the proof that the master key is the right one.

use std::sync::Arc;

use portcullis_policies::kit::clock::Clock;

use super::{
    OpenError, Store, StoreError, Tenant,
    sql::{Open, Owner, Record, Row, Value, values},
};

/// Writes that happen together, once it is committed. Dropped before that, none of them happened.
#[derive(Debug)]
pub struct Work {
    pub(super) open: Open,
    pub(super) owner: Owner,
    pub(super) clock: Arc<dyn Clock>,
}

impl Work {
    /// Makes it so.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.open.commit().await
    }

    pub(super) async fn run(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.open.run(&self.owner, sql, values).await
    }

    pub(super) async fn one<T: Record>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        self.open.one(&self.owner, sql, values).await
    }

    pub(super) async fn all<T: Record>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        self.open.all(&self.owner, sql, values).await
    }
}

/// What is sealed to know the master key again.
const CHECK: &str = "the master key of this store";
/// One check is for the whole database; it stands in the row of the tenant that is always there.
const ALWAYS_THERE: Tenant = Tenant::DEFAULT;

struct Check(Vec<u8>);

impl Record for Check {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get("sealed_check").map(Self)
    }
}

impl Store {
    /// Is a key at hand the one that the store was sealed with? `None`, if none has sealed it yet.
    pub async fn knows_its_key(&self) -> Result<Option<bool>, StoreError> {
        const READ: &str = "SELECT sealed_check FROM master_key WHERE tenant = $1";
        let check = self.one(&ALWAYS_THERE, READ, values![]).await?;
        Ok(check.map(|Check(sealed)| self.sealer.open(CHECK, "", &sealed).is_ok()))
    }

    /// The first start seals a check; every other one must be able to open it.
    pub(super) async fn check_master_key(&self) -> Result<(), OpenError> {
        const INSERT: &str = "INSERT INTO master_key (tenant, sealed_check) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        const READ: &str = "SELECT sealed_check FROM master_key WHERE tenant = $1";
        const RESEAL: &str = "UPDATE master_key SET sealed_check = $2 WHERE tenant = $1";
        let fresh = self.sealer.seal(CHECK, "", CHECK.as_bytes());
        let mut work = self.begin(&ALWAYS_THERE).await?;
        work.run(INSERT, values![fresh]).await?;
        let Check(sealed) = work.one(READ, values![]).await?.ok_or_else(|| StoreError::corrupt("no master_key row"))?;
        self.sealer.open(CHECK, "", &sealed).map_err(|_| OpenError::WrongKey)?;
        if !self.sealer.is_current(&sealed) {
            work.run(RESEAL, values![fresh]).await?;
        }
        Ok(work.commit().await?)
    }
}
