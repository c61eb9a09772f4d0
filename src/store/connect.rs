//! Opening a database: connections, tables, and the proof that the master key is the right one.

use std::{path::Path, pin::Pin, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Pool, Postgres, Sqlite, SqliteConnection,
    migrate::{MigrateError, Migrator},
    pool::{PoolConnectionMetadata, PoolOptions},
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};

use super::{
    Location, OpenError, StoreError,
    error::{Trouble, TroubleKind, is_damage},
    master_key,
    sql::Database,
};

/// How long to wait for a connection: shorter than the store's patience, so that the reason is known.
const ACQUIRE: Duration = Duration::from_secs(4);
/// How long SQLite waits for another process that writes.
const BUSY: Duration = Duration::from_secs(4);
/// After which time a lock is tried again for which SQLite does not wait.
const AGAIN: Duration = Duration::from_millis(20);
/// How long who only looks waits for it.
const GLANCE: Duration = Duration::from_secs(1);
const READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

/// Connects, and brings the tables up to date.
///
/// On a thread of its own: files are made, and the compiler does not see that the future of a migration is `Send`.
pub(super) async fn connect(location: Location) -> Result<Database, OpenError> {
    let runtime = tokio::runtime::Handle::current();
    let connecting = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            match &location {
                Location::Sqlite(path) => sqlite(&location, path).await,
                Location::Postgres { options, .. } => postgres(&location, options).await,
            }
        })
    });
    connecting.await.map_err(|error| StoreError::Unavailable(Trouble::other(error)))?
}

/// Connects to what is there, to look at it: nothing is made. `None`, if there is no file.
pub(super) async fn look(location: &Location) -> Result<Option<Database>, OpenError> {
    match location {
        Location::Sqlite(path) if !path.exists() => Ok(None),
        Location::Sqlite(path) => {
            let options = SqliteConnectOptions::new().filename(path).busy_timeout(GLANCE).disable_statement_logging();
            // As a store with a log is only ever opened to write, so is this: whoever closes it last then leaves no files.
            let readers = forever(1).connect_with(options.clone().pragma("query_only", "on"));
            let readers = readers.await.map_err(unreachable(location))?;
            Ok(Some(Database::Sqlite { writer: forever(1).connect_lazy_with(options), readers }))
        }
        Location::Postgres { options, .. } => {
            let options = options.clone().application_name("portcullis doctor").disable_statement_logging();
            let pool = PoolOptions::<Postgres>::new().acquire_timeout(ACQUIRE).max_connections(1);
            Ok(Some(Database::Postgres(pool.connect_with(options).await.map_err(unreachable(location))?)))
        }
    }
}

/// The numbers of the steps that make the tables of this database.
pub(super) fn known_steps(database: &Database) -> Vec<i64> {
    let migrator = match database {
        Database::Sqlite { .. } => sqlx::migrate!("src/store/migrations/sqlite"),
        Database::Postgres(_) => sqlx::migrate!("src/store/migrations/postgres"),
    };
    migrator.iter().map(|step| step.version).collect()
}

async fn sqlite(location: &Location, path: &Path) -> Result<Database, OpenError> {
    let file = master_key::private().create(true).truncate(false).open(path);
    file.map_err(|why| OpenError::File { path: path.to_owned(), why })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Normal)
        // What was deleted is overwritten: a key that was destroyed is in no free page.
        .pragma("secure_delete", "on")
        .disable_statement_logging();
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal);
    let writer = writer(writing).await.map_err(unreachable(location))?;
    migrate_sqlite(&writer).await.map_err(OpenError::Migration)?;
    let readers = forever(READERS).connect_lazy_with(options.pragma("query_only", "on"));
    Ok(Database::Sqlite { writer, readers })
}

/// A new file gets its log under a lock for which SQLite does not wait (<https://sqlite.org/wal.html>): of several processes that
/// start at once, all but one have to try again.
async fn writer(options: SqliteConnectOptions) -> Result<Pool<Sqlite>, sqlx::Error> {
    let end = Instant::now() + BUSY;
    loop {
        match forever(1).before_acquire(is_usable).connect_with(options.clone()).await {
            Err(error) if TroubleKind::of(&error) == TroubleKind::Locked && Instant::now() < end => sleep(AGAIN).await,
            connected => return connected,
        }
    }
}

/// SQLite ends a transaction by itself where the disk is full or fails. Its driver takes the connection for one that still is in
/// the middle of it, and would begin no other ever again: such a connection makes room for a new one.
fn is_usable<'a>(
    connection: &'a mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> Pin<Box<dyn Future<Output = Result<bool, sqlx::Error>> + Send + 'a>> {
    let is_usable = !connection.is_in_transaction();
    Box::pin(std::future::ready(Ok(is_usable)))
}

/// All steps that are due, or none: in one transaction, for which a second process waits.
async fn migrate_sqlite(writer: &Pool<Sqlite>) -> Result<(), MigrateError> {
    let mut whole = writer.begin_with("BEGIN IMMEDIATE").await?;
    of_any_age(sqlx::migrate!("src/store/migrations/sqlite")).run(&mut *whole).await?;
    Ok(whole.commit().await?)
}

async fn postgres(location: &Location, options: &PgConnectOptions) -> Result<Database, OpenError> {
    let options = options.clone().application_name("portcullis").disable_statement_logging();
    let pool = PoolOptions::<Postgres>::new().acquire_timeout(ACQUIRE).max_connections(POSTGRES_CONNECTIONS);
    let pool = pool.connect_with(options).await.map_err(unreachable(location))?;
    let migrations = of_any_age(sqlx::migrate!("src/store/migrations/postgres"));
    migrations.run(&pool).await.map_err(OpenError::Migration)?;
    Ok(Database::Postgres(pool))
}

/// While nodes are updated one by one, the older ones go on with newer tables.
fn of_any_age(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

/// A connection to a file does not age.
fn forever(connections: u32) -> PoolOptions<Sqlite> {
    PoolOptions::new().acquire_timeout(ACQUIRE).max_connections(connections).idle_timeout(None).max_lifetime(None)
}

fn unreachable(location: &Location) -> impl Fn(sqlx::Error) -> OpenError + use<> {
    let location = location.to_string();
    move |error| {
        let (location, why) = (location.clone(), error.to_string());
        if is_damage(&error) { OpenError::Damaged { location, why } } else { OpenError::Unreachable { location, why } }
    }
}
