//! Where the key of the store comes from, what happens without one, and how it is changed.

use serde_json::{Value, json};

use super::{boot::SOME_KEY, setup};
use crate::harness::{OAuthClient, Process, Request, Route, Setup, call, list_tools, until};

const NEXT_KEY: &str = "3b0e7f5a9c1d48e26f7083b5c4d92ae1170f8b6d5e3c2a9484d1f0b7a6958c3e";

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A gateway with an open route beside those that ask for a sign-in, and one whose credential is in the store.
fn with_open_route() -> Setup {
    let options = json!({ "id": "vendor", "displayName": "Vendor", "authMode": "shared-oauth" });
    let shared = Route::url("http://127.0.0.1:9/mcp").policy("mcp-token-exchange", &options);
    setup().route("/open", Route::demo()).route("/shared", shared)
}

/// It runs, serves what needs no store, and refuses the rest with a reason.
async fn is_closed(gateway: &Process, why: &str) {
    let said = gateway.says(why).await;
    assert!(!said.contains(SOME_KEY), "{said}");
    gateway.says("NOBODY CAN SIGN IN").await;
    let place = gateway.place().await;
    assert_eq!(place.ask(&Request::post("/open", &list_tools(1))).await.status, 200);
    for request in [Request::post("/mcp", &list_tools(1)), Request::post("/mcp", &list_tools(1)).bearer("ey.J.x")] {
        let refused = place.ask(&request).await;
        assert!([401, 503].contains(&refused.status), "{refused:?}");
    }
    let shown = place.ask(&Request::post("/mcp", &list_tools(1)).bearer("ey.J.x")).await;
    assert_eq!(shown.status, 503, "{shown:?}");
    assert!(shown.text().contains("sign_in_unavailable"), "{}", shown.text());
    for message in [list_tools(1), call(2, "whoami", &json!({}))] {
        let closed = place.ask(&Request::post("/shared", &message)).await;
        assert_eq!((closed.status, closed.reason().as_str()), (503, "vault_closed"), "{closed:?}");
        assert!(closed.text().contains("gateway.encryptionKey"), "{closed:?}");
    }
}

#[tokio::test]
async fn fault_kek_missing_with_postgresql_the_gateway_starts_and_refuses_what_needs_it() {
    let gateway = with_open_route().gateway("store", json!("postgres://nobody@127.0.0.1:9/none")).spawn();
    is_closed(&gateway, "needs one master key for all").await;
    assert!(!gateway.folder().join("portcullis.key").exists(), "two gateways would make two");
    let checked = gateway.command(&["check"]);
    let report = String::from_utf8(checked.stdout.clone()).unwrap();
    assert!(checked.status.success() && report.contains("warning: ") && report.contains("stays closed"), "{report}");
    let keys = gateway.command(&["keys", "list"]);
    assert_eq!(keys.status.code(), Some(1));
    assert!(stderr(&keys).contains("openssl rand -base64 32"), "{}", stderr(&keys));
}

#[tokio::test]
async fn fault_kek_command_that_fails_closes_the_vault_and_the_next_start_opens_it() {
    let command = |script: &str| json!(["sh", "-c", script]);
    let failing = with_open_route().file("secret", "canary-s3cret\n");
    let script = format!("cat {0}; cat {0} >&2; exit 7", failing.path("secret").display());
    let gateway = failing.gateway("encryptionKeyCommand", command(&script)).spawn();
    is_closed(&gateway, "exit status: 7").await;
    assert!(gateway.line("canary-s3cret").is_none(), "{:?}", gateway.lines());
    let works = with_open_route().gateway("encryptionKeyCommand", command(&format!("echo {SOME_KEY}"))).spawn();
    let place = works.place().await;
    let tokens = OAuthClient::register(&place).await.sign_in(&place, "/mcp", "ada").await;
    assert_eq!(place.ask(&Request::post("/mcp", &list_tools(1)).bearer(&tokens.access)).await.status, 200);
    assert!(works.line(SOME_KEY).is_none() && works.line("NOBODY").is_none());
    assert!(!works.folder().join("portcullis.key").exists());
}

fn with_keys(gateway: &Process, keys: &str) {
    let file = gateway.folder().join("routes.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["gateway"]["encryptionKey"] = json!(keys);
    gateway.write(&config.to_string());
}

/// What `vault status` says of each role.
fn status(gateway: &Process) -> Vec<(String, u64)> {
    let output = gateway.command(&["--json", "vault", "status"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    let keys = status["keys"].as_array().unwrap().iter();
    keys.map(|key| (key["role"].as_str().unwrap().to_owned(), key["values"].as_u64().unwrap())).collect()
}

async fn stopped(mut gateway: Process) -> Process {
    gateway.signal("TERM");
    until("the gateway ends", || gateway.has_ended()).await;
    gateway
}

#[tokio::test]
async fn fault_kek_rotated_people_stay_signed_in_and_the_earlier_key_may_go() {
    let gateway = setup().gateway("publicUrl", json!("http://localhost:9")).gateway("encryptionKey", json!(SOME_KEY));
    let gateway = gateway.spawn();
    let place = gateway.place().await;
    let client = OAuthClient::register(&place).await;
    let tokens = client.sign_in(&place, "/mcp", "ada").await;
    let gateway = stopped(gateway).await;
    let [(_, sealed)] = status(&gateway)[..] else { panic!("{:?}", status(&gateway)) };
    assert!(sealed > 2, "a grant, a session and a key that signs");

    with_keys(&gateway, &format!("{NEXT_KEY} {SOME_KEY}"));
    assert_eq!(status(&gateway), [("current".to_owned(), 0), ("earlier".to_owned(), sealed)]);
    let rotating = gateway.again();
    rotating.says("the earlier ones may be taken out of the configuration").await;
    assert_eq!(status(&rotating)[1], ("earlier".to_owned(), 0));
    let rotated = rotating.command(&["vault", "rotate"]);
    assert!(rotated.status.success() && stderr(&rotated).contains("No value needs an earlier key"), "{rotated:?}");

    let gateway = stopped(rotating).await;
    with_keys(&gateway, NEXT_KEY);
    let alone = gateway.again();
    let place = alone.place().await;
    assert_eq!(place.ask(&Request::post("/mcp", &list_tools(1)).bearer(&tokens.access)).await.status, 200);
    assert_eq!(client.refresh(&place, &tokens.refresh).await.status, 200);
    with_keys(&alone, SOME_KEY);
    let refused = alone.command(&["vault", "status"]);
    assert!(stderr(&refused).contains("another master key"), "{}", stderr(&refused));
}
