//! `portcullis doctor` alone: the deployment of a configuration. The file, the store with its key, and the clock.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::json;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{Examined, examine_with, typed};
use crate::harness::{Answer, Process, Route, Setup, Upstream, until};

/// A key that seals nothing yet.
const OTHER_KEY: &str = "OI25W8Rl8e9eW88FQDxaFMHjdjItCf95FzdwAjjTWr8=";

/// A port on which nothing listens.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A configuration's gateway at a port that is known before it runs.
pub(super) fn at(port: u16) -> Setup {
    Setup::new().gateway("listen", json!(format!("127.0.0.1:{port}")))
}

/// Examines the deployment of the configuration in a folder.
pub(super) async fn examine(folder: &Path) -> Examined {
    examine_with(&["--config", folder.join("routes.json").to_str().unwrap()], &[]).await
}

/// People sign in by name, to a part of what the sample server has.
fn filtered() -> Route {
    Route::demo().policy("dev-login", &json!({})).policy("mcp-capability-filter", &json!({ "tools": ["echo"] }))
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_healthy_deployment_is_found_healthy_before_its_first_start_while_it_runs_and_after() {
    let folder = at(free_port()).route("/mcp", filtered()).into_folder();
    let seen = examine(folder.path()).await;
    seen.is_healthy();
    assert!(seen.check("key").1.contains("the first start makes it"), "{}", seen.printed);
    assert!(seen.check("routes").1.contains("start the gateway (`portcullis serve`)"), "{}", seen.printed);
    assert_eq!(seen.check("filter").0, "ok", "{}", seen.printed);
    assert_eq!(files(folder.path()).len(), 1, "it only looks: {:?}", files(folder.path()));

    let port = free_port();
    let mut gateway = at(port).route("/mcp", filtered()).spawn();
    gateway.address().await;
    let seen = examine(gateway.folder()).await;
    seen.is_healthy();
    for check in ["config", "key", "store", "routes", "upstream", "filter", "policy"] {
        assert_eq!(seen.check(check).0, "ok", "{check}: {}", seen.printed);
    }
    assert!(seen.check("config").1.starts_with("1 route, "), "{}", seen.printed);
    assert_eq!(seen.check("policy").1, "the policies find nothing in their way");
    assert!(seen.check("routes").1.contains(&format!("http://127.0.0.1:{port}/mcp")), "{}", seen.printed);

    gateway.signal("TERM");
    until("the gateway ends", || gateway.has_ended()).await;
    let before = files(gateway.folder());
    let seen = examine(gateway.folder()).await;
    seen.is_healthy();
    assert_eq!((seen.check("key").0, seen.check("store").0), ("ok", "ok"), "{}", seen.printed);
    assert_eq!(files(gateway.folder()), before);
}

#[tokio::test]
async fn a_route_for_programs_with_a_key_is_healthy_though_nobody_can_sign_in_there() {
    let gateway = at(free_port()).route("/mcp", Route::demo().policy("api-key-inbound", &json!({}))).spawn();
    gateway.address().await;
    let seen = examine(gateway.folder()).await;
    seen.is_healthy();
    assert!(seen.check("routes").1.contains("401"), "{}", seen.printed);
    assert_eq!(seen.check("policy").1, "1 policy finds nothing in its way");
}

#[tokio::test]
async fn people_read_which_file_was_examined_and_how_to_look_again() {
    let folder = at(free_port()).route("/mcp", filtered()).into_folder();
    let file = folder.path().join("routes.json");
    let output = typed(&["--config", file.to_str().unwrap()], &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(&format!("{}\n", file.display())), "{text}");
    assert!(text.contains("  ok       config") && text.contains("Nothing is wrong"), "{text}");
}

#[tokio::test]
async fn mistakes_of_the_configuration_are_told_at_their_lines_and_nothing_else_is_looked_at() {
    let folder = at(free_port()).route("/mcp", Route::demo().policy("rate-limits", &json!({}))).into_folder();
    let seen = examine(folder.path()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["configuration_errors"], Some(8)), "{}", seen.printed);
    let (_, evidence) = seen.check("config");
    assert!(evidence.starts_with("routes.json:") && evidence.contains("rate-limits"), "{evidence}");
    assert!(seen.report["diagnosis"][0]["fix"].to_string().contains("rate-limit"), "{}", seen.printed);
    assert_eq!(seen.check("upstream"), ("skipped", "the configuration has errors"));
}

/// A gateway that has run once, so that its store and its key are there.
async fn ran_once() -> Process {
    let mut gateway = at(free_port()).route("/mcp", filtered()).spawn();
    gateway.address().await;
    gateway.signal("TERM");
    until("the gateway ends", || gateway.has_ended()).await;
    gateway
}

/// The one failure, by its code.
pub(super) fn fails_with(seen: &Examined, code: &str) {
    assert!(seen.codes().contains(&code), "{code}: {}", seen.printed);
    assert_eq!(seen.exit_code, Some(8), "{}", seen.printed);
}

#[tokio::test]
async fn a_key_that_is_missing_wrong_unusable_or_readable_by_others_is_told_apart() {
    let gateway = ran_once().await;
    let file = gateway.folder().join("portcullis.key");
    let key = fs::read_to_string(&file).unwrap();
    let open = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();

    open(0o644);
    let seen = examine(gateway.folder()).await;
    fails_with(&seen, "master_key_exposed");
    assert!(seen.report["diagnosis"][0]["fix"].to_string().contains("chmod 600"), "{}", seen.printed);
    open(0o600);

    fs::write(&file, "canary").unwrap();
    let seen = examine(gateway.folder()).await;
    fails_with(&seen, "master_key_unusable");
    assert!(!seen.printed.contains("canary"), "{}", seen.printed);

    fs::write(&file, OTHER_KEY).unwrap();
    let seen = examine(gateway.folder()).await;
    fails_with(&seen, "master_key_wrong");
    assert!(!seen.printed.contains(OTHER_KEY), "{}", seen.printed);

    fs::remove_file(&file).unwrap();
    fails_with(&examine(gateway.folder()).await, "master_key_missing");
    assert!(!file.exists(), "a new key would hide that the old one is gone");

    // A change of the key under way: the store opens, and what it holds is under the earlier one.
    fs::write(&file, format!("{OTHER_KEY} {key}")).unwrap();
    open(0o600);
    let seen = examine(gateway.folder()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["master_key_change_unfinished"], Some(0)), "{}", seen.printed);

    // The earlier one was taken out too early.
    assert!(gateway.command(&["vault", "status"]).status.success());
    fs::write(&file, OTHER_KEY).unwrap();
    let seen = examine(gateway.folder()).await;
    fails_with(&seen, "master_key_incomplete");
    assert!(seen.check("key").1.contains("a key that is not given"), "{}", seen.printed);
}

#[tokio::test]
async fn a_store_that_a_newer_version_has_changed_is_told() {
    let gateway = ran_once().await;
    let mut shell = shell(&gateway).await;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', 1, x'00', 0)";
    sqlx::query(later).execute(&mut shell).await.unwrap();
    shell.close().await.unwrap();
    let seen = examine(gateway.folder()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["store_newer"], Some(0)), "{}", seen.printed);
}

/// Somebody who looks into the store with a program of their own.
async fn shell(gateway: &Process) -> SqliteConnection {
    SqliteConnectOptions::new().filename(gateway.folder().join("portcullis.db")).connect().await.unwrap()
}

#[tokio::test]
async fn a_store_that_is_damaged_locked_or_not_to_be_reached_is_told_apart() {
    let gateway = ran_once().await;
    let file = gateway.folder().join("portcullis.db");
    let mut shell = shell(&gateway).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut shell).await.unwrap();
    fails_with(&examine(gateway.folder()).await, "store_locked");
    sqlx::query("ROLLBACK").execute(&mut shell).await.unwrap();
    shell.close().await.unwrap();
    examine(gateway.folder()).await.is_healthy();

    fs::write(&file, "this is a letter, and no store".repeat(100)).unwrap();
    fails_with(&examine(gateway.folder()).await, "store_damaged");

    let setup = || at(free_port()).route("/mcp", filtered());
    let folder = setup().gateway("store", json!("sqlite:nowhere/portcullis.db")).into_folder();
    let seen = examine(folder.path()).await;
    fails_with(&seen, "store_unreachable");
    assert!(seen.check("store").1.contains("there is no folder"), "{}", seen.printed);
    assert!(!folder.path().join("nowhere").exists());

    let place = format!("postgres://ada:canary@127.0.0.1:{}/portcullis", free_port());
    let folder = setup().gateway("store", json!(place)).gateway("encryptionKey", json!(OTHER_KEY)).into_folder();
    let seen = examine(folder.path()).await;
    fails_with(&seen, "store_unreachable");
    assert!(!seen.printed.contains("canary") && !seen.printed.contains(OTHER_KEY), "{}", seen.printed);
}

#[tokio::test]
async fn a_clock_that_differs_from_that_of_an_upstream_is_told() {
    let upstream = Upstream::new(|request| match &request.head {
        head if head.starts_with("POST ") => Answer::json(&request.result(&json!({ "tools": [{ "name": "a" }] }))),
        _ => Answer::status(405).header("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    })
    .await;
    let folder = at(free_port()).route("/mcp", Route::to(&upstream)).into_folder();
    let seen = examine(folder.path()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["clock_skewed"], Some(0)), "{}", seen.printed);
    let evidence = seen.check("clock").1;
    assert!(evidence.contains(&upstream.url()) && evidence.contains("behind"), "{evidence}");
}
