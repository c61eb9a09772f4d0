//! The seam between one SQL text and two databases: values in, records out, with a limit on time.
//!
//! `$1` of every statement is the tenant. It is bound here and nowhere else, so that none can be run without one.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::Timestamp;
use sqlx::{Decode, Pool, Postgres, Row as _, Sqlite, Transaction, Type, postgres::PgRow, sqlite::SqliteRow};
use tokio::time::timeout;

use super::{Digest, StoreError, Tenant, Trouble, seal::Sealer};

/// How long one statement may take, waiting for a connection included.
const PATIENCE: Duration = Duration::from_secs(5);

/// The connections.
#[derive(Clone, Debug)]
pub(super) enum Database {
    /// One connection writes, so that writers wait for each other here and not in SQLite.
    Sqlite {
        writer: Pool<Sqlite>,
        readers: Pool<Sqlite>,
    },
    Postgres(Pool<Postgres>),
}

/// A transaction. Dropped, it is rolled back.
#[derive(Debug)]
pub(super) enum Open {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Whose rows these are, and what opens their sealed columns.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) tenant: Tenant,
    pub(super) sealer: Arc<Sealer>,
}

impl Owner {
    /// Seals the value of a column, for one row.
    pub(super) fn seal(&self, column: &'static str, row: &str, plain: &[u8]) -> Vec<u8> {
        self.sealer.seal(column, &self.context(row), plain)
    }

    fn open(&self, column: &'static str, row: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let plain = self.sealer.open(column, &self.context(row), sealed);
        plain.map(|plain| plain.to_vec()).map_err(|why| StoreError::Unsealable { column, why })
    }

    pub(super) fn context(&self, row: &str) -> String {
        let tenant = self.tenant.as_str();
        format!("{}:{tenant}:{row}", tenant.len())
    }
}

/// A value for a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
    Bytes(Option<&'a [u8]>),
}

/// `$2`, `$3` and so on of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::store::sql::Value::from(&$value)),*] };
}
pub(super) use values;

macro_rules! from {
    ($($type:ty: $value:ident => $made:expr;)*) => {
        $(impl<'a> From<&'a $type> for Value<'a> {
            fn from($value: &'a $type) -> Self {
                $made
            }
        })*
    };
}

from! {
    &str: text => Self::Text(Some(text));
    String: text => Self::Text(Some(text));
    Option<String>: text => Self::Text(text.as_deref());
    i64: number => Self::Number(Some(*number));
    Timestamp: at => Self::Number(Some(at.as_millis()));
    Option<Timestamp>: at => Self::Number(at.map(Timestamp::as_millis));
    Digest: digest => Self::Bytes(Some(digest.as_bytes()));
    Vec<u8>: bytes => Self::Bytes(Some(bytes));
    Option<Vec<u8>>: bytes => Self::Bytes(bytes.as_deref());
}

macro_rules! query {
    ($sql:expr, $owner:expr, $values:expr) => {
        $values.iter().fold(sqlx::query($sql).bind($owner.tenant.as_str()), |query, value| match *value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    };
}

impl Database {
    /// Begins a transaction that will write.
    pub(super) async fn begin(&self) -> Result<Open, StoreError> {
        in_time(async {
            Ok(match self {
                // A transaction that began with a read could not always go on to write.
                Self::Sqlite { writer, .. } => Open::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
                Self::Postgres(pool) => Open::Postgres(pool.begin().await?),
            })
        })
        .await
    }

    /// Ends SQLite's log of changes, in which deleted rows can still be found. What PostgreSQL leaves behind, its own vacuum
    /// clears away.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        if let Self::Sqlite { writer, .. } = self {
            in_time(sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer)).await?;
        }
        Ok(())
    }

    /// The first row.
    pub(super) async fn one<T: Record>(
        &self,
        owner: &Owner,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(owner, sql, values).await?.into_iter().next())
    }

    /// All rows.
    pub(super) async fn all<T: Record>(
        &self,
        owner: &Owner,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let rows = match self {
            Self::Sqlite { readers, .. } => {
                raw(Raw::Sqlite, in_time(query!(sql, owner, values).fetch_all(readers)).await?)
            }
            Self::Postgres(pool) => raw(Raw::Postgres, in_time(query!(sql, owner, values).fetch_all(pool)).await?),
        };
        rows.into_iter().map(|raw| T::read(&Row { raw, owner })).collect()
    }
}

impl Open {
    /// Runs a statement; how many rows it changed.
    pub(super) async fn run(
        &mut self,
        owner: &Owner,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        Ok(match self {
            Self::Sqlite(open) => in_time(query!(sql, owner, values).execute(&mut **open)).await?.rows_affected(),
            Self::Postgres(open) => in_time(query!(sql, owner, values).execute(&mut **open)).await?.rows_affected(),
        })
    }

    /// The first row of a statement.
    pub(super) async fn one<T: Record>(
        &mut self,
        owner: &Owner,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(owner, sql, values).await?.into_iter().next())
    }

    /// All rows of a statement.
    pub(super) async fn all<T: Record>(
        &mut self,
        owner: &Owner,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let rows = match self {
            Self::Sqlite(open) => raw(Raw::Sqlite, in_time(query!(sql, owner, values).fetch_all(&mut **open)).await?),
            Self::Postgres(open) => {
                raw(Raw::Postgres, in_time(query!(sql, owner, values).fetch_all(&mut **open)).await?)
            }
        };
        rows.into_iter().map(|raw| T::read(&Row { raw, owner })).collect()
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(open) => in_time(open.commit()).await,
            Self::Postgres(open) => in_time(open.commit()).await,
        }
    }
}

fn raw<R>(of: fn(R) -> Raw, rows: Vec<R>) -> Vec<Raw> {
    rows.into_iter().map(of).collect()
}

/// On the heap, for what both databases' drivers need is large, and every caller's future would hold it.
fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> impl Future<Output = Result<T, StoreError>> {
    let work = Box::pin(work);
    async {
        match timeout(PATIENCE, work).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => {
                Err(StoreError::Unavailable(Trouble::other(format_args!("no answer within {} s", PATIENCE.as_secs()))))
            }
        }
    }
}

/// What a row is read as.
pub(super) trait Record: Sized {
    fn read(row: &Row<'_>) -> Result<Self, StoreError>;
}

/// A row, with whose it is.
pub(super) struct Row<'a> {
    raw: Raw,
    pub(super) owner: &'a Owner,
}

enum Raw {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row<'_> {
    /// Text, a number, bytes, or one of these in an `Option`.
    pub(super) fn get<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match &self.raw {
            Raw::Sqlite(row) => row.try_get(column)?,
            Raw::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn at(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp::from_millis)
    }

    pub(super) fn maybe_at(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_millis))
    }

    pub(super) fn digest(&self, column: &str) -> Result<Digest, StoreError> {
        let sum = self.get::<Vec<u8>>(column)?.try_into();
        sum.map(Digest::from_bytes).map_err(|_| StoreError::corrupt(format!("{column} is not a SHA-256")))
    }

    /// Opens `table.column` of the row that [`Owner::seal`] was told.
    pub(super) fn open(&self, place: &'static str, row: &str) -> Result<Vec<u8>, StoreError> {
        self.owner.open(place, row, &self.get::<Vec<u8>>(column_of(place))?)
    }

    /// The same, where the column may be empty.
    pub(super) fn maybe_open(&self, place: &'static str, row: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed = self.get::<Option<Vec<u8>>>(column_of(place))?;
        sealed.map(|sealed| self.owner.open(place, row, &sealed)).transpose()
    }
}

/// The name of the column in `table.column`.
pub(super) fn column_of(place: &'static str) -> &'static str {
    place.split_once('.').map_or(place, |(_, column)| column)
}

/// How many, from `SELECT count(*) AS n`.
pub(super) struct Count(pub(super) u64);

impl Record for Count {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let count = row.get::<i64>("n")?;
        u64::try_from(count).map(Self).map_err(StoreError::corrupt)
    }
}

/// An id, from `SELECT id`.
pub(super) struct Id(pub(super) String);

impl Record for Id {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get("id").map(Self)
    }
}
