//! A store of its own for each story.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use portcullis_policies::kit::clock::{Clock, ManualClock, Timestamp};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tempfile::TempDir;
use url::Url;

use crate::store::{
    Location, MasterKey, OpenError, Store, StoreError, Tenant, Work,
    sql::{Database, Record, Row as StoredRow, Value, values},
};

/// Where the stories' clocks begin.
pub(super) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(super) const KEY: &str = "b1f0c97a62d3e8445f0e9d7a3c21886bd4e7f1095a6c3b82e9470d15fca8632e";

pub(super) const T: Tenant = Tenant::DEFAULT;

pub(super) struct Bench {
    pub(super) store: Store,
    pub(super) location: Location,
    /// The URL, for PostgreSQL.
    pub(super) url: Option<Url>,
    pub(super) clock: Arc<ManualClock>,
    folder: TempDir,
}

pub(super) fn master() -> MasterKey {
    MasterKey::parse(KEY).unwrap()
}

pub(super) fn in_minutes(minutes: u64) -> Timestamp {
    START.plus(Duration::from_mins(minutes))
}

impl Bench {
    pub(super) async fn on_sqlite(story: impl AsyncFnOnce(Bench)) {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse("sqlite:store.db", folder.path()).unwrap();
        story(Self::new(location, None, folder).await).await;
    }

    /// In a new database, which is dropped when all went well.
    pub(super) async fn on_postgres(story: impl AsyncFnOnce(Bench)) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server =
            std::env::var("PORTCULLIS_TEST_POSTGRES").expect("PORTCULLIS_TEST_POSTGRES is the URL of a server");
        let name = format!("portcullis_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server).await.expect("the server of PORTCULLIS_TEST_POSTGRES answers");
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
        let mut url = Url::parse(&server).unwrap();
        url.set_path(&name);
        let location = Location::parse(url.as_str(), Path::new("")).unwrap();
        story(Self::new(location, Some(url), tempfile::tempdir().unwrap()).await).await;
        sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut admin).await.unwrap();
    }

    async fn new(location: Location, url: Option<Url>, folder: TempDir) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let store = Store::open(&location, master(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        Self { store, location, url, clock, folder }
    }

    /// Another node with the same store.
    pub(super) async fn node(&self) -> Store {
        self.open(master()).await.unwrap()
    }

    pub(super) async fn open(&self, master: MasterKey) -> Result<Store, OpenError> {
        Store::open(&self.location, master, Arc::clone(&self.clock) as Arc<dyn Clock>).await
    }

    /// One unit of work.
    pub(super) async fn write<R>(&self, story: impl AsyncFnOnce(&mut Work) -> Result<R, StoreError>) -> R {
        write(&self.store, &T, story).await
    }

    /// A statement of which the store knows nothing.
    pub(super) async fn sql(&self, sql: &'static str, values: &[Value<'_>]) -> u64 {
        let mut work = self.store.begin(&T).await.unwrap();
        let changed = work.run(sql, values).await.unwrap();
        work.commit().await.unwrap();
        changed
    }

    /// A statement of any kind.
    pub(super) async fn raw(&self, sql: String) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match &self.store.database {
            Database::Sqlite { writer, .. } => drop(sql.execute(writer).await.unwrap()),
            Database::Postgres(pool) => drop(sql.execute(pool).await.unwrap()),
        }
    }

    /// Everything that somebody finds who takes the database away: bytes as they are and in hexadecimal.
    pub(super) async fn everything(&self) -> String {
        let Some(url) = &self.url else { return self.files() };
        let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
        let mut found = String::new();
        for table in sqlx::query_scalar::<_, String>(tables).fetch_all(&mut connection).await.unwrap() {
            let rows = AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
            for row in sqlx::query(rows).fetch_all(&mut connection).await.unwrap() {
                found += row.get::<&str, _>(0);
            }
        }
        found
    }

    /// The data key and the secrets in a row, as they are at rest.
    pub(super) async fn sealed_of(&self, subject: &str) -> [Vec<u8>; 2] {
        const READ: &str = "SELECT sealed_data_key, secrets FROM connections WHERE tenant = $1 AND subject = $2";
        let AtRest(sealed) = self.store.one(&T, READ, values![subject]).await.unwrap().unwrap();
        sealed
    }

    fn files(&self) -> String {
        let mut found = String::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            found += &String::from_utf8_lossy(&bytes);
            found += &hex(&bytes);
        }
        found
    }
}

struct AtRest([Vec<u8>; 2]);

impl Record for AtRest {
    fn read(row: &StoredRow<'_>) -> Result<Self, StoreError> {
        Ok(Self([row.get("sealed_data_key")?, row.get("secrets")?]))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

pub(super) async fn write<R>(
    store: &Store,
    tenant: &Tenant,
    story: impl AsyncFnOnce(&mut Work) -> Result<R, StoreError>,
) -> R {
    let mut work = store.begin(tenant).await.unwrap();
    let result = story(&mut work).await.unwrap();
    work.commit().await.unwrap();
    result
}
