//! The REST API, as programs use it beside a running gateway.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};

use portcullis::api::{self, Scope};
use serde_json::{Value, json};

use crate::harness::{OAuthClient, Process, Reply, Request, Route, Setup, call, list_tools, pause};

/// A route whose deletions those of the group `ops` approve, and one that programs call with keys.
fn setup() -> Setup {
    let rules = json!({ "rules": [
        { "name": "deletes", "match": { "tools": [{ "glob": "delete_*" }] }, "action": "require_approval",
          "approvers": [{ "groups": ["ops"] }], "waitSeconds": 0 },
        { "name": "the rest", "action": "allow" },
    ] });
    let by = |sign_in: &str| {
        let route = Route::demo().policy("audit-log", &json!({})).policy(sign_in, &json!({}));
        route.policy("mcp-rules", &rules).policy("tool-pinning", &json!({}))
    };
    Setup::new().route("/mcp", by("dev-login")).route("/keys", by("api-key-inbound"))
}

/// A program with a key.
pub(crate) struct Program<'a> {
    gateway: &'a Process,
    key: String,
    id: String,
}

impl<'a> Program<'a> {
    /// One whose key was made on the command line.
    pub(crate) fn with(gateway: &'a Process, scopes: &[&str], more: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("program {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        let said: Vec<_> = ["--json", "keys", "create", "--name", &name].into_iter().chain(scopes).collect();
        let output = gateway.command(&[&said, more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::of(gateway, &serde_json::from_slice(&output.stdout).unwrap())
    }

    /// One with every scope, in the group that approves.
    fn with_all(gateway: &'a Process) -> Self {
        let scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        Self::with(gateway, &scopes, &["--group", "ops"])
    }

    fn of(gateway: &'a Process, made: &Value) -> Self {
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        Self { gateway, key: text("key"), id: text("id") }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Reply {
        let mut request = Request::new(method, &at(path)).bearer(&self.key);
        if !body.is_null() {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        self.gateway.ask(&request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.ask("GET", path, &Value::Null).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask("POST", path, &body).await
    }

    /// Calls a tool on the route that takes keys.
    async fn call(&self, tool: &str) -> Reply {
        self.gateway.ask(&Request::post("/keys", &call(1, tool, &json!({ "id": "1" }))).bearer(&self.key)).await
    }
}

pub(crate) fn at(path: &str) -> String {
    format!("{}{path}", api::PATH)
}

/// The code and the remedy of a problem.
fn problem(reply: &Reply) -> (u16, String) {
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    let problem = reply.json();
    assert_eq!(problem["status"], reply.status, "{problem}");
    assert_eq!(problem["requestId"].as_str(), reply.header("x-request-id"), "{problem}");
    for member in ["type", "title", "detail", "remedy"] {
        assert!(problem[member].as_str().is_some_and(|text| text.len() > 3), "{member}: {problem}");
    }
    let code = problem["reason"].as_str().unwrap().to_owned();
    assert!(problem["type"].as_str().unwrap().ends_with(&format!("/troubleshooting#{code}")), "{problem}");
    (reply.status, code)
}

async fn person(gateway: &Process, name: &str) -> String {
    let place = gateway.place().await;
    OAuthClient::register(&place).await.sign_in(&place, "/mcp", name).await.access
}

async fn asks_to_delete(gateway: &Process, token: &str, id: &str) -> Reply {
    gateway.ask(&Request::post("/mcp", &call(1, "delete_note", &json!({ "id": id }))).bearer(token)).await
}

fn state(reply: &Reply) -> Value {
    reply.json()["result"]["_meta"]["portcullis/approval"]["state"].clone()
}

#[tokio::test]
async fn a_program_of_the_approvers_decides_about_the_calls_of_people() {
    let gateway = setup().spawn();
    let ada = person(&gateway, "ada").await;
    for id in ["1", "2", "3"] {
        assert_eq!(state(&asks_to_delete(&gateway, &ada, id).await), "pending");
    }
    let bot = Program::with(&gateway, &["approvals:read", "approvals:decide"], &["--group", "ops"]);
    let first = bot.get("/approvals?limit=2").await;
    let numbers =
        |page: &Value| page["items"].as_array().unwrap().iter().map(|call| call["number"].clone()).collect::<Vec<_>>();
    assert_eq!(numbers(&first), [1, 2]);
    let next = format!("/approvals?limit=2&cursor={}", first["next"].as_str().unwrap());
    let second = bot.get(&next).await;
    assert_eq!((numbers(&second), &second["next"]), (vec![json!(3)], &Value::Null));
    let shown = bot.get("/approvals/1").await;
    assert_eq!((&shown["arguments"], &shown["mayDecide"]), (&json!(r#"{"id":"1"}"#), &json!(true)));

    let done = bot.post("/approvals/1/approve", json!({ "reason": "it is old" })).await;
    assert_eq!((done.status, &done.json()["state"]), (200, &json!("approved")));
    assert!(done.json()["decidedBy"].as_str().unwrap().ends_with(&format!("(key|{})", bot.id)), "{done:?}");
    assert!(asks_to_delete(&gateway, &ada, "1").await.json()["result"]["content"].is_array());
    assert_eq!(bot.post("/approvals/2/deny", Value::Null).await.status, 200, "nothing need be said");
    assert_eq!(asks_to_delete(&gateway, &ada, "2").await.reason(), "approval_denied");
    assert_eq!(problem(&bot.post("/approvals/2/approve", json!({})).await), (409, "conflict".to_owned()));
    let all = bot.get("/approvals?state=all&limit=2").await;
    assert_eq!((numbers(&all), &all["items"][1]["state"]), (vec![json!(3), json!(2)], &json!("denied")));
    let said = gateway.says("changed by the API").await;
    assert!(said.contains(&bot.id) && said.contains("approveCall"), "{said}");
}

#[tokio::test]
async fn sec_no_program_decides_about_its_own_calls_nor_about_those_of_keys_that_it_made() {
    let gateway = setup().spawn();
    gateway.address().await;
    let maker = Program::with(
        &gateway,
        &["mcp:tools", "keys:write", "approvals:read", "approvals:decide"],
        &["--group", "ops"],
    );
    let wish = json!({ "name": "puppet", "groups": ["ops"], "scopes": ["mcp:tools", "approvals:decide"] });
    let puppet = Program::of(&gateway, &maker.post("/keys", wish).await.json());
    let stranger = Program::with(&gateway, &["approvals:decide", "approvals:read"], &[]);
    let other = Program::with(&gateway, &["approvals:decide"], &["--group", "ops"]);
    assert_eq!(
        (state(&maker.call("delete_note").await), state(&puppet.call("delete_note").await)),
        (json!("pending"), json!("pending"))
    );
    for number in [1, 2] {
        let path = format!("/approvals/{number}/approve");
        for program in [&maker, &puppet, &stranger] {
            assert_eq!(problem(&program.post(&path, json!({})).await), (404, "unknown_id".to_owned()));
        }
        assert_eq!(maker.get(&format!("/approvals/{number}")).await["mayDecide"], false);
        assert_eq!(other.post(&path, json!({})).await.status, 200);
    }
}

#[tokio::test]
async fn sec_a_key_makes_keys_that_may_do_no_more_than_itself() {
    let gateway = setup().spawn();
    gateway.address().await;
    let bound = ["--route", "/api/v1", "--route", "/keys", "--group", "ops", "--days", "2"];
    let maker = Program::with(&gateway, &["keys:write", "keys:read"], &bound);
    for beyond in [
        json!({ "name": "x", "scopes": ["approvals:decide"] }),
        json!({ "name": "x", "scopes": [], "routes": ["/mcp"] }),
        json!({ "name": "x", "scopes": [], "groups": ["admins"] }),
        json!({ "name": "x", "scopes": [], "roles": ["admin"] }),
        json!({ "name": "x", "scopes": [], "email": "boss@example.com" }),
    ] {
        assert_eq!(problem(&maker.post("/keys", beyond).await), (403, "beyond_key".to_owned()));
    }
    let made = maker.post("/keys", json!({ "name": "child", "scopes": ["keys:read"], "days": 300 })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    assert_eq!((&made["routes"], &made["madeBy"]), (&json!(["/api/v1", "/keys"]), &json!(format!("key|{}", maker.id))));
    let child = Program::of(&gateway, &made);
    let keys = child.get("/keys").await;
    assert!(!keys.to_string().contains(&child.key[30..]), "no list shows a secret");
    let ends =
        |id: &str| keys["items"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap()["expiresAt"].clone();
    assert_eq!(ends(&child.id), ends(&maker.id), "it ends with the key that made it");
    assert_eq!(
        problem(&child.post("/keys", json!({ "name": "x", "scopes": [] })).await),
        (403, "insufficient_scope".to_owned())
    );
    // A key for other routes does not come in here.
    let elsewhere = Program::with(&gateway, &["keys:read"], &["--route", "/keys"]);
    assert_eq!(problem(&elsewhere.ask("GET", "/keys", &Value::Null).await), (401, "invalid_token".to_owned()));

    assert_eq!(maker.ask("DELETE", &format!("/keys/{}", child.id), &Value::Null).await.status, 200);
    while child.ask("GET", "/keys", &Value::Null).await.status == 200 {
        pause(20).await;
    }
    assert_eq!(
        problem(&maker.ask("DELETE", &format!("/keys/{}", child.id), &Value::Null).await),
        (409, "conflict".to_owned())
    );
}

#[tokio::test]
async fn sec_every_endpoint_wants_a_key_with_its_own_scope_and_nothing_else_does() {
    let gateway = setup().spawn();
    gateway.address().await;
    let token = person(&gateway, "ada").await;
    for operation in api::operations() {
        let path = operation.path.replace("{number}", "1").replace("{id}", "x");
        let request = || Request::new(operation.method.as_str(), &at(&path));
        let name = operation.name;
        assert_eq!(problem(&gateway.ask(&request()).await), (401, "sign_in_required".to_owned()), "{name}");
        let cookie = request().header("Cookie", &format!("portcullis-session={token}"));
        assert_eq!(gateway.ask(&cookie).await.status, 401, "{name}");
        assert_eq!(problem(&gateway.ask(&request().bearer(&token)).await), (401, "invalid_token".to_owned()), "{name}");
    }
    for scope in Scope::ALL {
        let others: Vec<_> = Scope::ALL.iter().filter(|other| *other != scope).map(|other| other.name()).collect();
        let without = Program::with(&gateway, &others, &[]);
        for operation in api::operations().iter().filter(|operation| operation.scope == *scope) {
            let path = operation.path.replace("{number}", "1").replace("{id}", "x");
            let refused = without.ask(operation.method.as_str(), &path, &Value::Null).await;
            assert_eq!(problem(&refused), (403, "insufficient_scope".to_owned()), "{}", operation.name);
            assert!(refused.header("www-authenticate").unwrap().contains(scope.name()), "{refused:?}");
            assert!(refused.json()["remedy"].as_str().unwrap().contains(scope.name()), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_in_one_shape() {
    let gateway = setup().spawn();
    gateway.address().await;
    let program = Program::with_all(&gateway);
    let bad = |method: &'static str, path: &'static str, body: &'static str| {
        let request = Request::new(method, &at(path)).bearer(&program.key).header("Content-Type", "application/json");
        if body.is_empty() { request } else { request.body(body) }
    };
    let cases = [
        (bad("GET", "/nothing", ""), 404, "route_not_found"),
        (bad("GET", "", ""), 404, "route_not_found"),
        (bad("GET", "/approvals/", ""), 404, "route_not_found"),
        (bad("PUT", "/approvals/1", ""), 405, "method_not_allowed"),
        (bad("OPTIONS", "/keys", "").header("Origin", "https://evil.example"), 405, "method_not_allowed"),
        (bad("POST", "/openapi.json", "{}"), 405, "method_not_allowed"),
        (bad("GET", "/approvals/one", ""), 400, "invalid_params"),
        (bad("GET", "/approvals?state=lost", ""), 400, "invalid_params"),
        (bad("GET", "/approvals?limit=0", ""), 400, "invalid_params"),
        (bad("GET", "/approvals?limit=201", ""), 400, "invalid_params"),
        (bad("GET", "/approvals?limit=5&limit=6", ""), 400, "invalid_params"),
        (bad("GET", "/approvals?cursor=x", ""), 400, "invalid_params"),
        (bad("GET", "/keys?user=ada", ""), 400, "invalid_params"),
        (bad("GET", "/audit?since=yesterday", ""), 400, "invalid_params"),
        (bad("GET", "/audit/verify?fast=yes", ""), 400, "invalid_params"),
        (bad("POST", "/keys", "{"), 400, "malformed_json"),
        (bad("POST", "/keys", "{}"), 400, "invalid_params"),
        (bad("POST", "/keys", r#"{"name":"a","name":"b","scopes":[]}"#), 400, "invalid_params"),
        (bad("POST", "/keys", r#"{"name":"a","scopes":[],"admin":true}"#), 400, "invalid_params"),
        (bad("POST", "/keys", r#"{"name":"","scopes":[]}"#), 400, "invalid_params"),
        (bad("POST", "/keys", r#"{"name":"a","scopes":["a b"]}"#), 400, "invalid_params"),
        (bad("POST", "/keys", r#"{"name":"a","scopes":[],"routes":["/no"]}"#), 400, "invalid_params"),
        (
            bad("POST", "/keys", "name=a").with("Content-Type", "application/x-www-form-urlencoded"),
            415,
            "unsupported_media_type",
        ),
        (bad("POST", "/keys", "{}").header("Content-Encoding", "gzip"), 415, "encoded_body"),
        (bad("POST", "/keys", "{}").body(" ".repeat(65 << 10)), 413, "body_too_large"),
        (bad("DELETE", "/keys/nobody", ""), 404, "unknown_id"),
        (bad("DELETE", "/connections/x", ""), 404, "unknown_id"),
        (bad("GET", "/pins/x", ""), 404, "unknown_id"),
        (bad("GET", "/approvals/99", ""), 404, "unknown_id"),
        (bad("GET", "/keys", "").bearer(&program.key), 400, "ambiguous_credentials"),
        (bad("GET", "/keys?access_token=x", ""), 400, "ambiguous_credentials"),
    ];
    for (request, status, code) in cases {
        let reply = gateway.ask(&request).await;
        assert_eq!(
            problem(&reply),
            (status, code.to_owned()),
            "{}",
            String::from_utf8_lossy(&request.bytes(gateway.address().await))
        );
        assert!(reply.header("access-control-allow-origin").is_none() && reply.header("set-cookie").is_none());
    }
    let refused = gateway.ask(&bad("PUT", "/pins/x", "")).await;
    assert_eq!(refused.all("allow").len(), 1, "{refused:?}");
}

#[tokio::test]
async fn sec_whoever_guesses_keys_is_shut_out_for_a_while() {
    let gateway = setup().spawn();
    gateway.address().await;
    let good = Program::with(&gateway, &["keys:read"], &[]);
    let guess = Request::get(&at("/keys")).bearer(&format!("pck_{}.{}", "A".repeat(22), "B".repeat(43)));
    let mut told = Vec::new();
    for _ in 0..40 {
        told.push(gateway.ask(&guess).await.status);
    }
    assert_eq!((told[0], told.last()), (401, Some(&429)), "{told:?}");
    let shut_out = good.ask("GET", "/keys", &Value::Null).await;
    assert_eq!((problem(&shut_out), shut_out.header("retry-after")), ((429, "rate_limited".to_owned()), Some("60")));
}

#[tokio::test]
async fn the_document_lists_every_endpoint_with_its_scope_and_needs_no_key() {
    let gateway = setup().spawn();
    gateway.address().await;
    let document = gateway.ask(&Request::get(&at("/openapi.json"))).await.json();
    assert_eq!((&document["openapi"], &document), (&json!("3.1.0"), &api::document()));
    let listed: usize =
        document["paths"].as_object().unwrap().values().map(|methods| methods.as_object().unwrap().len()).sum();
    assert_eq!(listed, api::operations().len());
    let mut names = BTreeSet::new();
    for operation in api::operations() {
        let described = &document["paths"][at(operation.path)][operation.method.as_str().to_ascii_lowercase()];
        assert_eq!(described["security"], json!([{ "apiKey": [operation.scope.name()] }]), "{}", operation.name);
        assert!(names.insert(operation.name), "{} is there twice", operation.name);
        let placed = operation.path.matches('{').count();
        let in_path = described["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "path").count();
        assert_eq!(in_path, placed, "{described}");
    }
    let text = document.to_string();
    for scope in Scope::ALL {
        assert!(text.contains(&format!("- `{}`: ", scope.name())), "{scope:?}");
    }
}

/// The answer is what the document says that this operation answers.
pub(crate) fn fits(document: &Value, name: &str, reply: &Reply) -> BTreeSet<String> {
    let operation = api::operations().into_iter().find(|operation| operation.name == name).unwrap();
    let described = &document["paths"][at(operation.path)][operation.method.as_str().to_ascii_lowercase()]["responses"];
    let problem = reply.status >= 400;
    let status = if problem { "default".to_owned() } else { reply.status.to_string() };
    let media_type = if problem { "application/problem+json" } else { "application/json" };
    let mut schema = described[&status]["content"][media_type]["schema"].clone();
    assert!(schema.is_object(), "{name} {}", reply.status);
    assert_eq!(reply.header("content-type"), Some(media_type));
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let answer = reply.json();
    let wrong: Vec<_> =
        validator.iter_errors(&answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{name}: {wrong:?}\n{answer:#}");
    if problem { BTreeSet::new() } else { BTreeSet::from([name.to_owned()]) }
}

#[tokio::test]
async fn every_endpoint_answers_what_the_document_says() {
    let gateway = setup().spawn();
    let document = api::document();
    let ada = person(&gateway, "ada").await;
    let program = Program::with_all(&gateway);
    gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(&ada)).await;
    asks_to_delete(&gateway, &ada, "1").await;
    asks_to_delete(&gateway, &ada, "2").await;
    let pin = loop {
        let pins = program.get("/pins?limit=1").await;
        if let Some(pin) = pins["items"].as_array().unwrap().first() {
            break pin.clone();
        }
        pause(20).await;
    };
    let pin_path = format!("/pins/{}", pin["id"].as_str().unwrap());
    let key = program.post("/keys", json!({ "name": "child", "scopes": [] })).await;
    let key_path = format!("/keys/{}", key.json()["id"].as_str().unwrap());
    while program.get("/audit?tool=delete_note").await["items"].as_array().unwrap().is_empty() {
        pause(20).await;
    }
    let digest = json!({ "digest": pin["pinned"]["digest"] });
    let asked = [
        ("listApprovals", "GET", "/approvals".to_owned(), Value::Null),
        ("listApprovals", "GET", "/approvals?state=all".to_owned(), Value::Null),
        ("showApproval", "GET", "/approvals/1".to_owned(), Value::Null),
        ("approveCall", "POST", "/approvals/1/approve".to_owned(), json!({ "reason": "fine" })),
        ("approveCall", "POST", "/approvals/1/approve".to_owned(), json!({})),
        ("denyCall", "POST", "/approvals/2/deny".to_owned(), json!({})),
        ("queryAudit", "GET", "/audit?limit=1".to_owned(), Value::Null),
        ("verifyAudit", "GET", "/audit/verify".to_owned(), Value::Null),
        ("listPins", "GET", "/pins?waiting=false".to_owned(), Value::Null),
        ("showPin", "GET", pin_path.clone(), Value::Null),
        ("diffPin", "GET", format!("{pin_path}/diff"), Value::Null),
        ("approvePin", "POST", format!("{pin_path}/approve"), digest),
        ("approvePin", "POST", format!("{pin_path}/approve"), json!({ "digest": "0123456789" })),
        ("forgetPin", "DELETE", pin_path, Value::Null),
        ("listConnections", "GET", "/connections".to_owned(), Value::Null),
        ("listConnections", "GET", "/connections?subject=dev%7Cada".to_owned(), Value::Null),
        ("endConnection", "DELETE", "/connections/WyJhIiwiYiJd".to_owned(), Value::Null),
        ("listKeys", "GET", "/keys?limit=1".to_owned(), Value::Null),
        ("revokeKey", "DELETE", key_path, Value::Null),
    ];
    let mut proven = fits(&document, "createKey", &key);
    for (name, method, path, body) in asked {
        proven.extend(fits(&document, name, &program.ask(method, &path, &body).await));
    }
    let all: BTreeSet<_> = api::operations().into_iter().map(|operation| operation.name.to_owned()).collect();
    // The stories with a vendor end a connection.
    assert_eq!(all.difference(&proven).collect::<Vec<_>>(), ["endConnection"]);
}

#[tokio::test]
async fn where_nothing_is_kept_there_is_no_api_and_it_is_said_why() {
    let gateway = Setup::new().route("/mcp", Route::demo()).start().await;
    let refused = gateway.ask(&Request::get(&at("/keys")).bearer("pck_x")).await;
    assert_eq!(problem(&refused), (503, "sign_in_unavailable".to_owned()));
    assert!(refused.json()["remedy"].as_str().unwrap().contains("`audit-log`"), "{refused:?}");
    assert_eq!(gateway.ask(&Request::get(&at("/openapi.json"))).await.status, 200);
}
