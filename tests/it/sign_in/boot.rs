//! What the first start makes, and what a later one refuses to start with.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use super::setup;
use crate::harness::{OAuthClient, Process, Request, Route, Setup, list_tools, pause, soon, until};

pub(super) const SOME_KEY: &str = "7c19e5d0b3428fa6641d9be07f35c2a8d1604be93f7a5c2816de40b97fa3c581";

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).permissions().mode() & 0o777
}

fn put(file: &Path, text: &str, mode: u32) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

fn files(gateway: &Process) -> Vec<String> {
    let names = fs::read_dir(gateway.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Stops a gateway and starts another one in its folder.
async fn stopped(mut gateway: Process) -> Process {
    gateway.signal("TERM");
    until("the gateway ends", || gateway.has_ended()).await;
    gateway
}

/// A start that fails; what it says.
async fn refused(gateway: Process) -> String {
    let (status, lines) = gateway.ended().await;
    let said = lines.join("\n");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("error: "), "{said}");
    assert!(!said.contains(SOME_KEY) && !said.contains("panicked"), "{said}");
    said
}

#[tokio::test]
async fn oauth_31_the_first_start_makes_a_key_and_a_store_for_its_owner_alone_and_says_so() {
    let gateway = setup().spawn();
    gateway.says("`gateway.encryptionKey` can hold one instead").await;
    let said = gateway.lines().join("\n");
    assert!(said.contains("A new key, which seals what the gateway stores, is in "), "{said}");
    assert!(said.contains("portcullis.key"), "{said}");
    for name in ["portcullis.key", "portcullis.db"] {
        assert_eq!(mode(&gateway.folder().join(name)), 0o600, "{name}");
    }
    for name in files(&gateway).iter().filter(|name| name.starts_with("portcullis.db-")) {
        assert_eq!(mode(&gateway.folder().join(name)), 0o600, "{name}");
    }
    let key = fs::read_to_string(gateway.folder().join("portcullis.key")).unwrap();
    assert!(!said.contains(key.trim()), "the key itself is not shown");
    let again = stopped(gateway).await.again();
    again.client().await.ask(&Request::get("/healthz")).await;
    assert!(again.line("A new key").is_none(), "the second start uses the first one's key");
    assert_eq!(fs::read_to_string(again.folder().join("portcullis.key")).unwrap(), key);
}

#[tokio::test]
async fn fault_kek_wrong_or_open_to_others_the_gateway_does_not_start_and_says_what_to_do() {
    let gateway = setup().spawn();
    gateway.address().await;
    let gateway = stopped(gateway).await;
    let key = gateway.folder().join("portcullis.key");
    let right = fs::read_to_string(&key).unwrap();
    put(&key, SOME_KEY, 0o600);
    assert!(refused(gateway.again()).await.contains("another master key"));
    put(&key, &right, 0o644);
    let exposed = refused(gateway.again()).await;
    assert!(exposed.contains("chmod 600") && exposed.contains("portcullis.key"), "{exposed}");
    for wrong in ["", "short", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        put(&key, wrong, 0o600);
        let said = refused(gateway.again()).await;
        assert!(said.contains("openssl rand -base64 32") && said.contains("portcullis.key"), "{said}");
    }
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(refused(gateway.again()).await.contains("cannot be used"));
    fs::remove_dir(&key).unwrap();
    fs::remove_file(gateway.folder().join("portcullis.db")).unwrap();
    put(&key, &right, 0o600);
    gateway.again().address().await;
}

#[tokio::test]
async fn fault_store_that_cannot_be_made_the_gateway_does_not_start_and_names_it() {
    for (store, named) in [("sqlite:no/such/folder/p.db", "no/such/folder/p.db"), ("sqlite:/proc/p.db", "/proc/p.db")] {
        let said = refused(setup().gateway("store", json!(store)).spawn()).await;
        assert!(said.contains(named), "{said}");
    }
    let folder = setup().gateway("store", json!("sqlite:.")).spawn();
    assert!(refused(folder).await.contains("sqlite:"));
    let other = setup().file("portcullis.db", &"this is a diary and no database ".repeat(100)).spawn();
    assert!(refused(other).await.contains("portcullis.db"));
}

#[tokio::test]
async fn a_key_from_the_environment_needs_no_file() {
    let with_key = || setup().gateway("encryptionKey", json!("$env(STORY_KEY)"));
    let gateway = with_key().spawn_with(&[("STORY_KEY", SOME_KEY)]);
    gateway.address().await;
    assert!(!files(&gateway).contains(&"portcullis.key".to_owned()), "{:?}", files(&gateway));
    assert!(gateway.line("A new key").is_none() && gateway.line(SOME_KEY).is_none());
    let malformed = with_key().spawn_with(&[("STORY_KEY", "my password")]);
    let said = refused_or_checked(malformed).await;
    assert!(said.contains("openssl rand -base64 32") && said.contains("encryptionKey"), "{said}");
    assert!(!said.contains("my password"), "{said}");
}

/// Either the check of the configuration or the start refuses.
async fn refused_or_checked(gateway: Process) -> String {
    let (status, lines) = gateway.ended().await;
    assert_eq!(status.code(), Some(1), "{lines:?}");
    lines.join("\n")
}

#[tokio::test]
async fn without_a_policy_that_needs_it_there_is_no_store_and_no_file() {
    let gateway = Setup::new().route("/mcp", Route::demo()).spawn();
    gateway.address().await;
    assert_eq!(gateway.post(&list_tools(1)).await.status, 200);
    assert_eq!(files(&gateway), ["routes.json"]);
    assert_eq!(gateway.ask(&Request::get("/.well-known/oauth-authorization-server")).await.status, 404);
}

#[tokio::test]
async fn a_reload_that_adds_the_first_sign_in_opens_what_it_needs() {
    let gateway = Setup::new().route("/mcp", Route::demo()).spawn();
    let place = gateway.place().await;
    gateway.write(&setup().text());
    soon("the authorization server is there", async {
        while place.ask(&Request::get("/.well-known/oauth-authorization-server")).await.status != 200 {
            pause(20).await;
        }
    })
    .await;
    assert_eq!(place.ask(&Request::post("/mcp", &list_tools(1))).await.status, 401);
    assert!(files(&gateway).contains(&"portcullis.db".to_owned()));
    let tokens = OAuthClient::register(&place).await.sign_in(&place, "/mcp", "ada").await;
    assert_eq!(place.ask(&Request::post("/mcp", &list_tools(1)).bearer(&tokens.access)).await.status, 200);
}

#[tokio::test]
async fn a_sign_in_without_a_password_is_refused_where_others_can_reach_it() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let (status, lines) = setup().spawn_saying(&["--listen", address]).ended().await;
        let said = lines.join("\n");
        assert_eq!(status.code(), Some(1), "{address}: {said}");
        assert!(said.contains("no password") && said.contains(address), "{said}");
    }
}
