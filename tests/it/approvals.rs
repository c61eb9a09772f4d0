//! Calls that wait until somebody else approves them, through a running gateway.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis_policies::kit::clock::{ManualClock, Timestamp};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::{
    Answer, Browser, OAuthClient, Page, Place, Process, Reachable, Received, Reply, Request, Route, Setup, Upstream,
    call, until,
};

/// Grace approves deletions.
fn rules() -> Value {
    json!({ "rules": [
        { "name": "deletes", "match": { "tools": [{ "glob": "delete_*" }] }, "action": "require_approval",
          "approvers": [{ "users": ["dev|grace", "dev|ada"] }], "waitSeconds": 0 },
        { "name": "no keys", "action": "redact_arguments", "redact": ["/title"] },
        { "name": "writing", "match": { "tools": ["write_note"] }, "action": "require_approval",
          "approvers": [{ "users": ["dev|ada"] }], "ownCalls": true, "waitSeconds": 0 },
        { "name": "the rest", "action": "allow" },
    ] })
}

fn setup() -> Setup {
    let route = Route::demo().policy("dev-login", &json!({})).policy("mcp-rules", &rules());
    Setup::new().route("/mcp", route)
}

pub(crate) struct Caller {
    place: Place,
    token: String,
}

impl Caller {
    pub(crate) async fn at(gateway: &Process, name: &str) -> Self {
        Self::of(&gateway.place().await, name).await
    }

    pub(crate) async fn of(gateway: &impl Reachable, name: &str) -> Self {
        let place = gateway.place();
        let token = OAuthClient::register(&place).await.sign_in(&place, "/mcp", name).await.access;
        Self { place, token }
    }

    async fn delete(&self, id: &str) -> Reply {
        self.call("delete_note", &json!({ "id": id })).await
    }

    async fn call(&self, tool: &str, arguments: &Value) -> Reply {
        self.ask(Request::post("/mcp", &call(1, tool, arguments))).await
    }

    pub(crate) async fn ask(&self, request: Request) -> Reply {
        self.place.ask(&request.bearer(&self.token)).await
    }
}

pub(crate) fn is_pending(reply: &Reply) -> bool {
    reply.json()["result"]["_meta"]["portcullis/approval"]["state"] == "pending"
}

pub(crate) fn said(gateway: &Process, command: &[&str]) -> String {
    let output = gateway.command(&[&["approvals"], command].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_what_waits_and_lets_it_be_made_once() {
    let gateway = setup().spawn();
    let ada = Caller::at(&gateway, "ada").await;
    let waits = ada.delete("1").await;
    assert!(is_pending(&waits), "{}", waits.text());
    assert!(waits.text().contains(&format!("{}/approvals/1", ada.place.origin)), "{}", waits.text());
    let listed = said(&gateway, &["list"]);
    assert!(listed.contains("#1  waits until") && listed.contains("dev|ada  /mcp  delete_note"), "{listed}");
    let shown = said(&gateway, &["show", "1"]);
    assert!(shown.contains("{\n  \"id\": \"1\"\n}") && shown.contains("by the rule \"deletes\""), "{shown}");
    said(&gateway, &["approve", "1", "--reason", "it is old", "--by", "grace on call"]);
    let again = gateway.command(&["approvals", "deny", "1"]);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && told.contains("approved, decided by grace on call"), "{told}");
    let done = ada.delete("1").await;
    assert!(done.json()["result"].is_object() && !is_pending(&done), "{}", done.text());
    assert!(is_pending(&ada.delete("1").await), "the approval is used up");
    let all = said(&gateway, &["list", "--all"]);
    assert!(all.contains("#2  waits") && all.contains("#1  executed, decided by grace on call"), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_an_operator_denies_is_told_why() {
    let gateway = setup().spawn();
    let ada = Caller::at(&gateway, "ada").await;
    ada.delete("1").await;
    said(&gateway, &["deny", "1", "--reason", "the only copy"]);
    let denied = ada.delete("1").await;
    assert_eq!(denied.reason(), "approval_denied");
    assert!(denied.text().contains("the only copy") && denied.text().contains("an operator"), "{}", denied.text());
    assert!(is_pending(&ada.delete("2").await), "another call is another question");
}

/// Somebody's browser, with which they have signed in on the way to a page.
pub(crate) async fn signed_in(gateway: &impl Reachable, name: &str, path: &str) -> (Browser, Page) {
    let mut browser = Browser::at(gateway);
    let page = browser.open(path).await.page();
    assert!(page.text().contains("Sign in first") && !page.text().contains("delete_note"), "{}", page.text());
    let form = page.field("form");
    let asks = [("form", form.as_str()), ("decision", "sign-in"), ("way", "/mcp")];
    let login = browser.submit(path, &asks).await.page();
    let named = [("state", login.field("state")), ("name", name.to_owned())];
    let named = named.each_ref().map(|(field, value)| (*field, value.as_str()));
    let page = browser.submit("/oauth/dev-login", &named).await.page();
    assert!(page.at.ends_with(path), "{}", page.at);
    (browser, page)
}

pub(crate) async fn press(browser: &mut Browser, page: &Page, number: u32, decision: &str, reason: &str) -> Page {
    let form = page.field("form");
    let fields = [("form", form.as_str()), ("decision", decision), ("reason", reason)];
    browser.submit(&format!("/approvals/{number}"), &fields).await.page()
}

#[tokio::test]
async fn somebody_else_approves_a_call_on_its_page_and_it_is_made_once() {
    let gateway = setup().start().await;
    let bob = Caller::of(&gateway, "bob").await;
    assert!(is_pending(&bob.delete("1").await));
    let (mut grace, page) = signed_in(&gateway, "grace", "/approvals/1").await;
    let text = page.text();
    for shown in ["dev|bob", "delete_note", "/mcp", "&#34;id&#34;: &#34;1&#34;", "Approve", "Deny", "deletes"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.reply.header(name), Some(value));
    }
    assert!(page.reply.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let list = grace.open("/approvals").await.page();
    assert!(list.text().contains("#1: delete_note") && list.text().contains("dev|bob"), "{}", list.text());
    let decided = press(&mut grace, &page, 1, "approve", "it is old").await;
    assert!(decided.text().contains("approved, and not made yet") && decided.text().contains("it is old"));
    let done = bob.delete("1").await;
    assert!(done.json()["result"].is_object() && !is_pending(&done), "{}", done.text());
    let after = grace.open("/approvals/1").await.page();
    assert!(after.text().contains("approved, and made") && !after.text().contains("value=\"approve\""));
    assert!(grace.open("/approvals").await.page().text().contains("Nothing waits for you"));
    assert!(is_pending(&bob.delete("1").await), "once");
}

#[tokio::test]
async fn two_who_press_at_once_or_twice_make_one_decision_and_the_other_is_told() {
    let gateway = setup().start().await;
    let bob = Caller::of(&gateway, "bob").await;
    bob.delete("1").await;
    let (mut grace, page) = signed_in(&gateway, "grace", "/approvals/1").await;
    let (mut ada, same) = signed_in(&gateway, "ada", "/approvals/1").await;
    press(&mut grace, &page, 1, "deny", "the only copy").await;
    for late in [press(&mut ada, &same, 1, "approve", "").await, press(&mut grace, &page, 1, "approve", "").await] {
        assert_eq!(late.reply.status, 409);
        let text = late.text();
        assert!(text.contains("Nothing was changed") && text.contains("denied; decided by grace"), "{text}");
    }
    let denied = bob.delete("1").await;
    assert_eq!(denied.reason(), "approval_denied");
    assert!(denied.text().contains("the only copy"), "{}", denied.text());
    assert!(!denied.text().contains("approved"), "{}", denied.text());
}

#[tokio::test]
async fn sec_nobody_sees_or_decides_what_is_not_theirs_and_nobody_approves_their_own_call() {
    let gateway = setup().start().await;
    let ada = Caller::of(&gateway, "ada").await;
    ada.delete("secret-note").await;
    // Whoever is no approver learns nothing.
    let (mut eve, page) = signed_in(&gateway, "eve", "/approvals/1").await;
    assert_eq!(page.reply.status, 404);
    assert!(page.text().contains("no_such_approval") && !page.text().contains("secret-note"), "{}", page.text());
    assert!(!eve.open("/approvals").await.page().text().contains("delete_note"));
    assert_eq!(eve.open("/approvals/2").await.page().reply.status, 404, "and neither that there is one");
    // Ada is an approver, but not of her own calls; she sees how hers stands, and may take it back.
    let (mut browser, page) = signed_in(&gateway, "ada", "/approvals/1").await;
    assert!(page.text().contains("waits for a decision") && !page.text().contains("value=\"approve\""));
    assert!(browser.open("/approvals").await.page().text().contains("Your own calls"));
    let forced = press(&mut browser, &page, 1, "approve", "").await;
    assert_eq!((forced.reply.status, is_pending(&ada.delete("secret-note").await)), (404, true));
    // A form of another page does not count here.
    let (mut grace, other) = signed_in(&gateway, "grace", "/approvals").await;
    let crossed = press(&mut grace, &other, 1, "approve", "").await;
    assert!(crossed.reply.status >= 400 && is_pending(&ada.delete("secret-note").await), "{}", crossed.text());
    let withdrawn = press(&mut browser, &page, 1, "withdraw", "").await;
    assert!(withdrawn.text().contains("taken back"), "{}", withdrawn.text());
    let page = grace.open("/approvals/1").await.page();
    let late = press(&mut grace, &page, 1, "approve", "").await;
    assert_eq!(late.reply.status, 409);
    assert!(is_pending(&ada.delete("secret-note").await), "it is asked about anew");
}

#[tokio::test]
async fn callers_approve_their_own_calls_where_the_rule_says_so_and_see_what_is_masked() {
    let gateway = setup().start().await;
    let ada = Caller::of(&gateway, "ada").await;
    let note = json!({ "title": "hush-hush", "text": "<b>x</b>" });
    assert!(is_pending(&ada.call("write_note", &note).await));
    let (mut browser, page) = signed_in(&gateway, "ada", "/approvals/1").await;
    let text = page.text();
    assert!(!text.contains("hush-hush") && text.contains("[redacted]") && !text.contains("<b>"), "{text}");
    press(&mut browser, &page, 1, "approve", "").await;
    let done = ada.call("write_note", &note).await;
    assert!(done.json()["result"].is_object() && !is_pending(&done), "{}", done.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_held_open_comes_soon_after_somebody_approved_beside_the_running_gateway() {
    let mut rules = rules();
    rules["rules"][2]["waitSeconds"] = 60.into();
    let route = Route::demo().policy("dev-login", &json!({})).policy("mcp-rules", &rules);
    let gateway = Setup::new().route("/mcp", route).spawn();
    let ada = Caller::at(&gateway, "ada").await;
    let note = json!({ "title": "Milk", "text": "two" });
    let writing = tokio::spawn(async move { ada.call("write_note", &note).await });
    while !said(&gateway, &["list"]).contains("#1  waits") {
        sleep(Duration::from_millis(50)).await;
    }
    said(&gateway, &["approve", "1"]);
    let began = Instant::now();
    let done = writing.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "it is not told to come again");
    let answer = done.messages().pop().unwrap();
    let result = &answer["result"];
    assert!(answer["id"] == 1 && result["content"].is_array() && result["isError"] != true, "{answer}");
    assert!(said(&gateway, &["list", "--all"]).contains("#1  executed"));
}

const SECRET: [u8; 32] = [7; 32];

fn told_at(receiver: &Upstream) -> Setup {
    let url = format!("http://{}/approvals", receiver.address());
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    setup().gateway("approvals", json!({ "webhook": { "url": url, "headers": { "x-team": "ops" }, "secret": secret } }))
}

/// What a message says, if it was signed as Standard Webhooks has it.
fn verified(message: &Received) -> Value {
    let [id, at, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| message.header(name).unwrap());
    let signed = [format!("{id}.{at}.").as_bytes(), &message.body].concat();
    let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    hmac::verify(&key, &signed, &signature).unwrap();
    serde_json::from_slice(&message.body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asked_for_it_is_told_when_a_call_begins_to_wait_and_who_decided() {
    let receiver = Upstream::new(|_| Answer::status(204)).await;
    let gateway = told_at(&receiver).spawn();
    let ada = Caller::at(&gateway, "ada").await;
    ada.delete("secret-note").await;
    until("somebody is told that a call waits", || receiver.count() == 1).await;
    ada.delete("secret-note").await;
    said(&gateway, &["deny", "1", "--reason", "the only copy", "--by", "grace on call"]);
    until("and what became of it", || receiver.count() == 2).await;
    let messages: Vec<_> = receiver.requests().iter().map(verified).collect();
    assert_eq!(
        messages.iter().map(|message| &message["type"]).collect::<Vec<_>>(),
        ["approval.proposed", "approval.denied"]
    );
    let waits = &messages[0]["data"];
    assert_eq!(
        (&waits["approval"], &waits["tool"], &waits["rule"]),
        (&json!(1), &json!("delete_note"), &json!("deletes"))
    );
    assert_eq!((&waits["subject"], &waits["route"]), (&json!("dev|ada"), &json!("/mcp")));
    assert_eq!(waits["url"], format!("{}/approvals/1", ada.place.origin));
    let decided = &messages[1]["data"];
    assert_eq!((&decided["person"]["name"], &decided["reason"]), (&json!("grace on call"), &json!("the only copy")));
    let posted = receiver.requests();
    assert!(
        posted.iter().all(|message| !String::from_utf8_lossy(&message.body).contains("secret-note")),
        "no arguments"
    );
    assert_eq!((posted[0].path(), posted[0].header("x-team")), ("/approvals", Some("ops")));
    assert_ne!(posted[0].header("webhook-id"), posted[1].header("webhook-id"));
}

#[tokio::test]
async fn fault_a_message_that_does_not_arrive_is_tried_again_as_the_same_and_then_counted() {
    let receiver = Upstream::new(|_| Answer::status(500)).await;
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
    let gateway = told_at(&receiver).clock(Arc::clone(&clock) as _).start().await;
    let ada = Caller::of(&gateway, "ada").await;
    let began = Instant::now();
    assert!(is_pending(&ada.delete("1").await), "the call does not wait for it");
    assert!(began.elapsed() < Duration::from_secs(2));
    for tried in 1..=6 {
        until("it was tried", || receiver.count() == tried).await;
        // That it failed is written down soon after it did.
        sleep(Duration::from_millis(200)).await;
        clock.advance(Duration::from_secs(5 * 3_u64.pow(u32::try_from(tried).unwrap())));
    }
    let failed = || async { gateway.ask(&Request::get("/metrics")).await.text().to_owned() };
    while !failed().await.contains(r#"portcullis_approvals_messages_total{outcome="failed"} 1"#) {
        sleep(Duration::from_millis(50)).await;
    }
    clock.advance(Duration::from_hours(1));
    sleep(Duration::from_millis(1200)).await;
    let ids: Vec<_> = receiver
        .requests()
        .iter()
        .filter(|message| message.body.windows(8).any(|part| part == b"proposed"))
        .map(|message| message.header("webhook-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 6, "and not for ever");
    assert!(ids.iter().all(|id| *id == ids[0]));
}
