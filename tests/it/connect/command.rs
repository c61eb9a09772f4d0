//! `portcullis connections`, beside a gateway that runs.
//!
//! The stories have two threads: the vendor answers while a command runs.

use std::{process::Output, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Person, by_name, decide, renewing, vendor};
use crate::api::{Program, fits};
use crate::harness::{Answer, Browser, MCP, Place, Process, REVOKE, Reply, Request, Route, Setup, Vendor, call, until};

/// The words of a command that does what it is told to.
fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The same with `--json`.
fn json_of(gateway: &Process, command: &[&str]) -> Value {
    serde_json::from_str(&said(&gateway.command(&[&["--json", "connections"], command].concat()))).unwrap()
}

/// Calls until nothing is sent to the vendor any more, which is so within a second; returns the answer of the gateway.
async fn stops(vendor: &Vendor, call: impl AsyncFn() -> Reply) -> Reply {
    let began = Instant::now();
    loop {
        vendor.forgets_calls();
        let reply = call().await;
        assert!(began.elapsed() < Duration::from_secs(1), "the gateway still shows what was ended");
        if vendor.asked(MCP) == 0 {
            return reply;
        }
    }
}

/// The states that somebody's connection went through, the first one first.
fn history(gateway: &Process, subject: &str) -> Vec<String> {
    let events = json_of(gateway, &["history"]);
    let own = events.as_array().unwrap().iter().rev().filter(|event| event["subject"] == subject);
    own.map(|event| event["to"].as_str().unwrap().to_owned()).collect()
}

/// Ada and Bob are connected.
async fn two_people() -> (Vendor, Process, [Person; 2]) {
    let vendor = vendor().await;
    let gateway = Setup::new().route("/mcp", renewing(by_name(&vendor), &json!({}))).spawn();
    let place = gateway.place().await;
    let mut people = [Person::at(&place, "ada").await, Person::at(&place, "bob").await];
    for (person, account) in people.iter_mut().zip(["ada at vendor", "bob at vendor"]) {
        person.connect(&vendor, account).await;
        assert_eq!(person.call().await.said(), account);
    }
    (vendor, gateway, people)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_who_is_connected_and_no_secret() {
    let (vendor, gateway, _) = two_people().await;
    let listed = said(&gateway.command(&["connections", "list"]));
    for who in ["dev|ada", "dev|bob"] {
        let line = listed.lines().find(|line| line.contains(who)).unwrap_or_else(|| panic!("{who}: {listed}"));
        assert!(line.starts_with("vendor  ") && line.contains("connected since"), "{line}");
    }
    let own = json_of(&gateway, &["list", "--subject", "dev|ada"]);
    let [own] = own.as_array().unwrap().as_slice() else { panic!("{own}") };
    assert_eq!((&own["upstream"], &own["state"]), (&json!("vendor"), &json!("connected")));
    assert_eq!((&own["subject"], &own["target"]), (&json!("dev|ada"), &json!(vendor.url())));
    let told = said(&gateway.command(&["connections", "history"]));
    assert!(told.contains("dev|ada  authenticating → connected: the person connected"), "{told}");
    assert_eq!(history(&gateway, "dev|ada"), ["authenticating", "connected"]);
    let one = json_of(&gateway, &["history", "--limit", "1"]);
    assert_eq!(one.as_array().unwrap().len(), 1);
    let all = [listed, own.to_string(), told, json_of(&gateway, &["history"]).to_string()].concat();
    assert!(vendor.secrets().iter().all(|secret| !all.contains(secret)), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oauth_95_what_an_operator_ends_is_revoked_at_the_vendor_and_over_in_the_running_gateway() {
    let (vendor, gateway, [mut ada, bob]) = two_people().await;
    said(&gateway.command(&["connections", "disconnect", "dev|ada", "vendor"]));
    assert_eq!((vendor.counts().revocations, vendor.connected()), (1, vec!["bob at vendor".to_owned()]));
    let told = stops(&vendor, async || ada.call().await).await;
    assert!(told.text().contains("\"authenticating\""), "{told:?}");
    // Ended here, then over there; and asked for anew.
    assert_eq!(history(&gateway, "dev|ada"), ["authenticating", "connected", "none", "none", "authenticating"]);
    assert_eq!(bob.call().await.said(), "bob at vendor");
    let again = gateway.command(&["connections", "disconnect", "dev|ada", "vendor"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("connections list"), "{again:?}");
    ada.connect(&vendor, "ada at vendor").await;
    assert_eq!(ada.call().await.said(), "ada at vendor");
}

/// Anybody's call on a route without a sign-in.
async fn anybody(place: &Place) -> Reply {
    place.ask(&Request::post("/mcp", &call(1, "whoami", &json!({})))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_connects_once_for_all_and_ends_it_for_all() {
    let vendor = vendor().await;
    let options = json!({ "authMode": "shared-oauth" });
    let route = renewing(Route::url(&vendor.url()), &options);
    // The command has to know where the gateway is.
    let setup = Setup::new().gateway("publicUrl", json!("http://localhost:9")).route("/mcp", route);
    let gateway = setup.spawn();
    let place = gateway.place().await;
    let told = anybody(&place).await;
    assert_eq!((told.status, told.reason().as_str()), (503, "operator_must_connect"), "{told:?}");
    assert!(told.text().contains("portcullis connections connect") && !told.text().contains("/connect/"), "{told:?}");

    let link = said(&gateway.command(&["connections", "connect", "vendor"])).trim().to_owned();
    let mut browser = Browser::at(&place);
    let page = browser.open(&link).await.page();
    let asked = decide(&mut browser, &page, "connect").await.elsewhere();
    let done = browser.open(&vendor.says_yes(&asked, "the team")).await.page();
    assert!(done.text().contains("is connected"), "{}", done.text());
    assert_eq!(anybody(&place).await.said(), "the team");
    assert!(said(&gateway.command(&["connections", "list"])).contains("vendor  (shared by all)  connected"));
    vendor.expires_tokens();
    assert_eq!(anybody(&place).await.said(), "the team");
    assert_eq!(vendor.counts().refreshes, 1);

    // Also where the vendor goes on to take the token.
    vendor.answers(REVOKE, Some(Answer::status(200)));
    said(&gateway.command(&["connections", "disconnect", "", "vendor"]));
    assert!(vendor.asked(REVOKE) > 0 && vendor.connected() == ["the team"]);
    let told = stops(&vendor, async || anybody(&place).await).await;
    assert_eq!(told.reason(), "operator_must_connect");

    let unknown = gateway.command(&["connections", "connect", "elsewhere"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("elsewhere"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_sees_who_is_connected_and_ends_a_connection_which_is_revoked_at_the_vendor() {
    let (vendor, gateway, [ada, bob]) = two_people().await;
    let program = Program::with(&gateway, &["connections:read", "connections:write"], &[]);
    let first = program.get("/connections?limit=1").await;
    let own = first["items"][0].clone();
    assert_eq!((&own["subject"], &own["state"]), (&json!("dev|ada"), &json!("connected")));
    let second = program.get(&format!("/connections?limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!(second["items"][0]["subject"], "dev|bob");
    assert_eq!(program.get("/connections?subject=dev%7Cada").await["items"], json!([own]));
    let path = format!("/connections/{}", own["id"].as_str().unwrap());
    let ended = program.ask("DELETE", &path, &Value::Null).await;
    assert!(!fits(&portcullis::api::document(), "endConnection", &ended).is_empty());
    let told = stops(&vendor, async || ada.call().await).await;
    assert!(told.text().contains("/connect/"), "{told:?}");
    assert_eq!(bob.call().await.said(), "bob at vendor");
    until("it is revoked there", || vendor.counts().revocations > 0).await;
    assert_eq!(program.ask("DELETE", &path, &Value::Null).await.status, 404);
    let told = said(&gateway.command(&["connections", "history"]));
    assert!(told.contains("(key|"), "the log says which program it was: {told}");
}
