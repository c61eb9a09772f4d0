//! A store as it is, for who only looks: no file and no table is made, and no row is written.

use std::sync::Arc;

use portcullis_policies::kit::clock::{Clock, Timestamp};

use super::{
    Location, MasterKey, OpenError, Store, StoreError, Tenant, Trouble, TroubleKind, connect,
    seal::Sealer,
    sql::{Count, Database, Record, Row, values},
};

/// How its tables compare with those that this program makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Steps that were done.
    pub done: usize,
    /// Steps that the next start does.
    pub due: usize,
    /// Steps that a newer program did.
    pub unknown: usize,
}

/// The number of a step.
struct Step(i64);

impl Record for Step {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get("version").map(Self)
    }
}

/// The database's clock.
struct Now(i64);

impl Record for Now {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get("now").map(Self)
    }
}

impl Store {
    /// Opens what is there; `None`, if the first start has yet to make it. Whether `master` is its key is not judged.
    pub async fn look(
        location: &Location,
        master: &MasterKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, OpenError> {
        let Some(database) = connect::look(location).await? else { return Ok(None) };
        let store = Self { database, sealer: Arc::new(Sealer::new(master)), clock };
        if store.has_tables().await? {
            return Ok(Some(store));
        }
        store.close().await;
        Ok(None)
    }

    async fn has_tables(&self) -> Result<bool, StoreError> {
        let sql = match self.database {
            Database::Sqlite { .. } => {
                "SELECT count(*) AS n FROM sqlite_master WHERE $1 <> '' AND name = '_sqlx_migrations'"
            }
            Database::Postgres(_) => {
                "SELECT count(*) AS n FROM pg_catalog.pg_tables WHERE $1 <> '' AND tablename = '_sqlx_migrations'"
            }
        };
        let count = self.one(&Tenant::DEFAULT, sql, values![]).await?;
        Ok(count.is_some_and(|Count(tables)| tables > 0))
    }

    /// How its tables compare with those that this program makes.
    pub async fn steps(&self) -> Result<Steps, StoreError> {
        const DONE: &str = "SELECT version FROM _sqlx_migrations WHERE $1 <> '' AND success";
        let done: Vec<Step> = self.all(&Tenant::DEFAULT, DONE, values![]).await?;
        let known = connect::known_steps(&self.database);
        let is_done = |version: &i64| done.iter().any(|Step(step)| step == version);
        Ok(Steps {
            done: done.len(),
            due: known.iter().filter(|version| !is_done(version)).count(),
            unknown: done.iter().filter(|Step(version)| !known.contains(version)).count(),
        })
    }

    /// Could it be written to now? What would write is begun and taken back.
    pub async fn try_to_write(&self) -> Result<(), StoreError> {
        // PostgreSQL begins to write anywhere, also on a copy that only follows; SQLite says at once that it cannot.
        const READS_ONLY: &str =
            "SELECT count(*) AS n WHERE $1 <> '' AND current_setting('transaction_read_only') = 'on'";
        let mut work = self.begin(&Tenant::DEFAULT).await?;
        if let Database::Sqlite { .. } = self.database {
            return Ok(());
        }
        match work.one(READS_ONLY, values![]).await? {
            Some(Count(0)) | None => Ok(()),
            Some(Count(_)) => {
                Err(StoreError::Unavailable(Trouble::new(TroubleKind::ReadOnly, "the database is read-only")))
            }
        }
    }

    /// The database's own clock, where that is on a machine of its own.
    pub async fn now_there(&self) -> Result<Option<Timestamp>, StoreError> {
        const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now WHERE $1 <> ''";
        if let Database::Sqlite { .. } = self.database {
            return Ok(None);
        }
        let now = self.one(&Tenant::DEFAULT, NOW, values![]).await?;
        Ok(now.map(|Now(milliseconds)| Timestamp::from_millis(milliseconds)))
    }
}
