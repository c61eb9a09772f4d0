//! `gateway.store`.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use portcullis_policies::kit::clock::SystemClock;
use sqlx::{Connection, Executor, SqliteConnection};

use super::bench::{Bench, master};
use crate::store::{Location, OpenError, Store, StoreError, TroubleKind};

#[test]
fn a_store_is_a_file_beside_the_configuration_or_a_server() {
    let folder = Path::new("/etc/portcullis");
    let shown = |text| Location::parse(text, folder).map(|location| location.to_string());
    assert_eq!(shown("sqlite:portcullis.db").unwrap(), "sqlite:/etc/portcullis/portcullis.db");
    assert_eq!(shown("sqlite://data/a.db").unwrap(), "sqlite:/etc/portcullis/data/a.db");
    assert_eq!(shown("sqlite:/var/lib/a.db").unwrap(), "sqlite:/var/lib/a.db");
    assert_eq!(shown("postgres://ada:s3cret@db:5433/p").unwrap(), "postgres://ada:***@db:5433/p");
    assert_eq!(shown("postgresql://db/p?password=s3cret").unwrap(), "postgresql://db/p");
}

#[test]
fn what_is_no_store_is_refused_without_its_password() {
    let wrong = [
        "",
        "portcullis.db",
        "mysql://ada:s3cret@db/p",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:a.db?mode=ro",
        "postgres://ada:s3cret@db",
        "postgres://ada:s3cret@db:port/p",
        "postgres://ada:s3cret@db/p?sslmode=never",
    ];
    for text in wrong {
        let why = Location::parse(text, Path::new("/etc")).unwrap_err();
        assert!(!why.is_empty() && !why.contains("s3cret"), "{text}: {why}");
    }
}

#[tokio::test]
async fn the_file_is_made_for_its_owner_only() {
    Bench::on_sqlite(async |bench: Bench| {
        let Location::Sqlite(path) = &bench.location else { unreachable!("it is a file") };
        let folder = path.parent().unwrap();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
    })
    .await;
}

#[tokio::test]
async fn fault_a_store_that_cannot_be_opened_says_where_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |text| {
        let location = Location::parse(text, folder.path()).unwrap();
        Store::open(&location, master(), Arc::new(SystemClock)).await.unwrap_err()
    };
    let no_folder = open("sqlite:no/such/folder/a.db").await;
    assert!(matches!(no_folder, OpenError::File { .. }), "{no_folder}");
    assert!(no_folder.to_string().contains("no/such/folder/a.db"), "{no_folder}");
    std::fs::write(folder.path().join("letter.db"), "Dear Ada, ".repeat(500)).unwrap();
    let no_database = open("sqlite:letter.db").await;
    assert!(matches!(no_database, OpenError::Damaged { .. }), "{no_database}");
    assert!(no_database.to_string().contains("letter.db"), "{no_database}");
    let no_server = open("postgres://ada:s3cret@127.0.0.1:9/p").await;
    assert!(no_server.to_string().contains("127.0.0.1:9") && !no_server.to_string().contains("s3cret"), "{no_server}");
}

#[tokio::test]
async fn fault_a_file_that_a_shell_holds_is_said_to_be_locked() {
    Bench::on_sqlite(async |bench: Bench| {
        let Location::Sqlite(path) = &bench.location else { unreachable!("it is a file") };
        let mut shell = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        shell.execute("BEGIN IMMEDIATE").await.unwrap();
        let seen = Store::look(&bench.location, &master(), Arc::new(SystemClock)).await.unwrap().unwrap();
        let refused = seen.try_to_write().await.unwrap_err();
        assert!(matches!(&refused, StoreError::Unavailable(why) if why.kind == TroubleKind::Locked), "{refused:?}");
        shell.execute("ROLLBACK").await.unwrap();
        seen.try_to_write().await.unwrap();
    })
    .await;
}
