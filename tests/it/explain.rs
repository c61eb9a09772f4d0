//! What each layer would make of a call, by a command that makes none.

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use portcullis_policies::{STANDARD, kit::policy::Fact};
use serde_json::{Value, json};

use crate::harness::{Answer, OAuthClient, Place, Process, Reply, Request, Route, Setup, Upstream, call, list_tools};

/// Everybody reads, writers write, ops approves what is deleted.
fn rules() -> Value {
    json!({ "rules": [
        { "name": "no echoes", "match": { "tools": ["echo"] }, "action": "deny", "remedy": "Shout." },
        { "name": "short", "match": { "tools": ["write_note"] }, "action": "redact_arguments", "redact": ["/text"] },
        { "name": "reading", "match": { "annotations": { "readOnlyHint": true } }, "action": "allow" },
        { "name": "deletes", "match": { "tools": ["delete_note"] }, "action": "require_approval",
          "approvers": [{ "groups": ["ops"] }], "waitSeconds": 0 },
        { "name": "short titles", "match": { "tools": ["write_note"], "arguments": { "/title": { "matches": "?" } } }, "action": "allow" },
        { "name": "writers", "match": { "users": [{ "glob": "*ada" }], "tools": ["write_note"] }, "action": "allow" },
    ] })
}

fn route() -> Route {
    let filter = json!({ "tools": [{ "glob": "*_note" }, "list_notes", "echo", "count_slowly"] });
    Route::demo()
        .policy("audit-log", &json!({}))
        .policy("dev-login", &json!({}))
        .policy("mcp-rules", &rules())
        .policy("tool-pinning", &json!({}))
        .policy("mcp-capability-filter", &filter)
        .policy("argument-validation", &json!({}))
}

/// The exit code of `explain`, and what it says to programs.
fn explain(gateway: &Process, arguments: &[&str]) -> (i32, Value) {
    let output = gateway.command(&[&["explain", "/mcp", "--json"], arguments].concat());
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().unwrap(), said)
}

fn words(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

/// The verdicts of all layers, by name.
fn verdicts(said: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let layers = said["layers"].as_array().unwrap().iter();
    layers.map(|layer| (text(&layer["name"]), text(&layer["verdict"]))).collect()
}

/// The layer at which the call ends.
fn last<'a>(said: &'a Value, verdict: &str) -> &'a Value {
    let layers = said["layers"].as_array().unwrap().iter();
    layers.rev().find(|layer| layer["verdict"] == verdict).unwrap_or_else(|| panic!("{said:#}"))
}

struct Caller {
    place: Place,
    token: String,
}

impl Caller {
    async fn at(gateway: &Process, name: &str) -> Self {
        let place = gateway.place().await;
        let token = OAuthClient::register(&place).await.sign_in(&place, "/mcp", name).await.access;
        Self { place, token }
    }

    async fn ask(&self, message: &Value) -> Reply {
        self.place.ask(&Request::post("/mcp", message).bearer(&self.token)).await
    }
}

/// As an answer of the gateway says it: why, by which rule.
fn refusal(reply: &Reply) -> (Value, Value) {
    let answer = reply.json();
    let data = match &answer["error"]["data"] {
        Value::Null => &answer["result"]["_meta"]["portcullis/refusal"],
        data => data,
    };
    (data["reason"].clone(), data["rule"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_a_call_is_what_then_becomes_of_it() {
    let gateway = Setup::new().route("/mcp", route()).spawn();
    let cases = [
        ("ada", "list_notes", json!({})),
        ("ada", "echo", json!({ "text": "hello" })),
        ("ada", "write_note", json!({ "title": "a", "text": "b" })),
        ("bob", "write_note", json!({ "title": "a", "text": "b" })),
        ("bob", "write_note", json!({ "title": "long", "text": "b" })),
        ("bob", "count_slowly", json!({ "to": 2 })),
        ("bob", "count_slowly", json!({ "to": "3" })),
        ("ada", "search_notes", json!({ "query": "a" })),
        ("ada", "delete_note", json!({ "id": 1 })),
        ("ada", "no_such_tool", json!({})),
        ("ada", "not a name", json!({})),
    ];
    let mut codes = Vec::new();
    for (who, tool, arguments) in cases {
        let (code, said) = explain(&gateway, &["--as", who, "--call", tool, "--args", &arguments.to_string()]);
        let reply = Caller::at(&gateway, who).await.ask(&call(1, tool, &arguments)).await;
        let (reason, rule) = refusal(&reply);
        let case = format!("{who} {tool} {arguments}: {said:#}\n{}", reply.text());
        match code {
            0 => assert!(reply.json()["result"].is_object() && reason.is_null(), "{case}"),
            3 => {
                let by = if said["refusedBefore"].is_null() { last(&said, "refused") } else { &said["refusedBefore"] };
                assert_eq!((&by["reason"], &by["rule"]), (&reason, &rule), "{case}");
                assert!(!reason.is_null() && !by["message"].as_str().unwrap().is_empty(), "{case}");
            }
            4 => {
                assert_eq!(last(&said, "held")["rule"], "deletes", "{case}");
                assert_eq!(reply.json()["result"]["_meta"]["portcullis/approval"]["state"], "pending", "{case}");
            }
            _ => panic!("{case}"),
        }
        codes.push(code);
    }
    assert_eq!(codes, [0, 3, 0, 0, 3, 0, 3, 3, 4, 3, 3]);
    let output =
        gateway.command(&["explain", "/mcp", "--as", "ada", "--call", "write_note", "--args", r#"{"text":"b"}"#]);
    let said = words(&output);
    for line in [
        "/mcp: tools/call \"write_note\" as dev|ada\n",
        "  1. audit-log              passed\n",
        "rule \"writers\": allowed\n",
        "changes /arguments/text\n",
        "  5. mcp-capability-filter  passed\n",
        "  6. argument-validation    refused     invalid_arguments: ",
        "  → not sent\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_would_be_held_is_not_proposed_and_an_approval_is_not_used_up() {
    let gateway = Setup::new().route("/mcp", route()).spawn();
    let ada = Caller::at(&gateway, "ada").await;
    let question = ["--as", "ada", "--call", "delete_note", "--args", r#"{"id":1}"#];
    let held = |words: &str| {
        let (code, said) = explain(&gateway, &question);
        let message = last(&said, "held")["message"].as_str().unwrap();
        assert!(code == 4 && message.contains(words) && message.contains("groups ops"), "{said:#}");
        assert!(verdicts(&said).iter().skip(3).all(|(_, verdict)| verdict == "not_reached"), "{said:#}");
    };
    held("would wait until it is approved");
    held("would wait until it is approved");
    ada.ask(&call(1, "delete_note", &json!({ "id": 1 }))).await;
    held("waits as #1");
    assert!(gateway.command(&["approvals", "approve", "1", "--by", "grace"]).status.success());
    for _ in 0..2 {
        let (code, said) = explain(&gateway, &question);
        assert_eq!(code, 0, "{said:#}");
        assert!(said.to_string().contains("would use up the approval #1, which grace gave"), "{said:#}");
    }
    assert_eq!(explain(&gateway, &["--as", "ada", "--call", "delete_note", "--args", r#"{"id":2}"#]).0, 4);
    let key = gateway.folder().join("portcullis.key");
    let elsewhere = key.with_extension("away");
    fs::rename(&key, &elsewhere).unwrap();
    let (code, said) = explain(&gateway, &question);
    assert!(code == 4 && said.to_string().contains("is not known: there is no key in"), "{said:#}");
    assert!(!key.exists(), "and none is made");
    fs::rename(&elsewhere, &key).unwrap();
    let done = ada.ask(&call(2, "delete_note", &json!({ "id": 1 }))).await;
    assert!(done.json()["result"]["_meta"]["portcullis/approval"].is_null(), "{}", done.text());
    held("would wait until it is approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_a_caller_is_what_that_caller_gets_and_what_hides_the_rest_is_named() {
    let gateway = Setup::new().route("/mcp", route()).spawn();
    for who in ["ada", "bob"] {
        let (code, said) = explain(&gateway, &["--as", who, "--list"]);
        let reply = Caller::at(&gateway, who).await.ask(&list_tools(1)).await.json();
        let tools: Vec<_> =
            reply["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
        assert_eq!((code, &said["listed"]), (0, &json!(tools)), "{who}");
        let hidden = said["hidden"].as_array().unwrap();
        let by = |tool: &str| hidden.iter().find(|hidden| hidden["tool"] == tool);
        let echo = by("echo").unwrap();
        assert_eq!((&echo["by"], &echo["call"]["rule"]), (&json!("mcp-rules"), &json!("no echoes")), "{said:#}");
        let search = by("search_notes").unwrap();
        assert_eq!((&search["by"], &search["call"]["by"]), (&json!("mcp-capability-filter"), &json!("mcp-rules")));
        assert_eq!(by("count_slowly"), None);
        assert_eq!(tools.len() + hidden.len(), 8, "{said:#}");
    }
}

/// Options with which each policy does something with a call.
fn options(policy: &str) -> Value {
    let oauth: Vec<Value> = serde_json::from_str(include_str!("../../policies/mcp_oauth/tests/urls.json")).unwrap();
    if let Some(known) = oauth.iter().find(|known| known["policy"] == policy) {
        let mut options = known["options"].clone();
        match policy {
            "mcp-oauth-inbound" => {
                return json!({ "oidc": { "issuer": "https://login.example.com" },
                               "browserLogin": { "clientId": "id", "clientSecret": "s3cret" } });
            }
            _ if options["clientId"].is_null() => options["clientId"] = "id".into(),
            _ => {}
        }
        options["clientSecret"] = "s3cret".into();
        return options;
    }
    match policy {
        "audit-log" | "dev-login" | "api-key-inbound" | "tool-pinning" | "upstream-auth-retry" | "ip-restriction" => {
            json!({})
        }
        "secret-guard" => json!({ "arguments": "mask", "results": "block" }),
        "argument-validation" => json!({ "results": "block" }),
        "jwt-inbound" => json!({ "issuers": [{ "issuer": "https://login.example.com", "audience": "me" }] }),
        "mcp-capability-filter" => json!({ "tools": ["add"] }),
        "mcp-rules" => {
            json!({ "rules": [{ "name": "holds", "action": "require_approval", "approvers": [{ "groups": ["ops"] }] }] })
        }
        "rate-limit" => json!({ "rateLimitBy": "user", "requestsAllowed": 1, "timeWindowMinutes": 1 }),
        "mcp-token-exchange" => json!({ "id": "notes", "displayName": "Notes", "authMode": "user-oauth" }),
        "set-headers" => json!({ "headers": [{ "name": "x-api-key", "value": "s3cret" }] }),
        "remove-headers" => json!({ "headers": ["x-api-key"] }),
        "request-size-limit" => json!({ "maxSizeInBytes": 4096 }),
        "timeout" => json!({ "seconds": 5 }),
        "cors" => json!({ "allowedOrigins": ["*"] }),
        policy => panic!("give {policy} options here, so that it is rehearsed too"),
    }
}

/// All files of a folder, byte for byte.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let named = files.filter(|file| !file.ends_with("routes.json"));
    named.map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&file).unwrap())).collect()
}

/// An upstream with one tool.
async fn upstream() -> Upstream {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    Upstream::new(move |request| {
        if request.message()["method"] != "tools/list" {
            return Answer::json(&request.says("done"));
        }
        Answer::json(&request.result(&json!({ "tools": [{ "name": "add", "inputSchema": schema }] })))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_each_policy_is_rehearsed_without_writing_anything_and_without_a_call() {
    let upstream = upstream().await;
    let held = Route::to(&upstream)
        .policy("audit-log", &json!({}))
        .policy("dev-login", &json!({}))
        .policy("mcp-rules", &options("mcp-rules"))
        .policy("tool-pinning", &json!({}));
    let gateway = Setup::new().route("/mcp", held).spawn();
    let ada = Caller::at(&gateway, "ada").await;
    ada.ask(&list_tools(1)).await;
    ada.ask(&call(2, "add", &json!({ "n": 1 }))).await;
    gateway.signal("TERM");
    let folder = gateway.folder().to_owned();
    let file = folder.join("routes.json");
    let keep = gateway.keep_folder();
    gateway.ended().await;
    let before = files(&folder);
    assert!(before.contains_key("portcullis.db") && before.contains_key("portcullis.key"), "{:?}", before.keys());
    for kind in STANDARD {
        let mut route = json!({ "upstream": { "url": upstream.url() }, "policies": [] });
        let policies = route["policies"].as_array_mut().unwrap();
        if !kind.outermost && !kind.gives.contains(&Fact::CALLER) {
            policies.push(json!({ "policy": "dev-login", "options": {} }));
        }
        policies.push(json!({ "policy": kind.name, "options": options(kind.name) }));
        let config = json!({ "compatibilityDate": "2026-11-20", "gateway": { "listen": "127.0.0.1:0" }, "routes": { "/mcp": route } });
        fs::write(&file, config.to_string()).unwrap();
        upstream.forget();
        for arguments in [&["--call", "add", "--args", r#"{"n":1}"#][..], &["--list"]] {
            let all =
                [&["explain", "/mcp", "--json", "--as", "ada", "--config", file.to_str().unwrap()], arguments].concat();
            let output = crate::harness::run(&all, &[]);
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", words(&output)));
            let reached = verdicts(&said);
            let (_, verdict) = reached.last().unwrap();
            assert!(!["not_judged", "not_reached"].contains(&verdict.as_str()), "{}: {said:#}", kind.name);
            assert!(!said.to_string().contains("s3cret"), "{said:#}");
        }
        assert!(files(&folder) == before, "{} has written something", kind.name);
        let methods: Vec<_> = upstream.requests().iter().map(|request| request.message()["method"].clone()).collect();
        assert!(methods.iter().all(|method| method == "tools/list"), "{}: {methods:?}", kind.name);
    }
    drop(keep);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_connected_is_said_to_be_asked_and_an_upstream_that_is_not_asked_leaves_questions_open() {
    let upstream = upstream().await;
    let reads = json!({ "rules": [{ "name": "reads", "match": { "annotations": { "readOnlyHint": false } }, "action": "allow" }] });
    let route = Route::to(&upstream)
        .policy("dev-login", &json!({}))
        .policy("mcp-rules", &reads)
        .policy("mcp-token-exchange", &options("mcp-token-exchange"));
    let gateway = Setup::new().route("/mcp", route).spawn();
    gateway.address().await;
    let (code, said) = explain(&gateway, &["--as", "ada", "--call", "add"]);
    assert_eq!((code, &last(&said, "refused")["reason"]), (3, &json!("connect_required")), "{said:#}");
    assert!(last(&said, "refused")["message"].as_str().unwrap().contains("Connect to Notes first"), "{said:#}");

    let route = Route::to(&upstream).policy("mcp-rules", &reads);
    let gateway = Setup::new().route("/mcp", route).spawn();
    gateway.address().await;
    assert_eq!(explain(&gateway, &["--call", "add"]).0, 0);
    upstream.forget();
    let (code, said) = explain(&gateway, &["--call", "add", "--offline"]);
    assert_eq!((code, &said["outcome"]), (5, &json!("not_judged")));
    assert!(last(&said, "not_judged")["message"].as_str().unwrap().contains("run without --offline"), "{said:#}");
    assert_eq!(upstream.count(), 0);
    drop(upstream);
    let (code, said) = explain(&gateway, &["--call", "add"]);
    assert!(code == 5 && said.to_string().contains("the upstream could not be asked"), "{said:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_is_who_is_named_and_the_call_is_made_when_and_where_it_is_said() {
    let rules = json!({ "rules": [
        { "name": "nights", "match": { "time": { "from": "22:00", "to": "06:00" } }, "action": "deny" },
        { "name": "ops", "match": { "groups": ["ops"], "roles": ["admin"], "emails": ["ada@example.com"], "clients": ["cli"] }, "action": "allow" },
    ] });
    let route = Route::demo()
        .policy("ip-restriction", &json!({ "allowedIpAddresses": ["192.0.2.0/24"] }))
        .policy("dev-login", &json!({ "toolScopes": { "write_*": ["mcp:write"] } }))
        .policy("mcp-rules", &rules);
    let folder = Setup::new().route("/mcp", route).into_folder();
    let file = folder.path().join("routes.json");
    let ask = |arguments: &[&str]| {
        let all =
            [&["explain", "/mcp", "--config", file.to_str().unwrap(), "--call", "write_note"], arguments].concat();
        let output = crate::harness::run(&all, &[]);
        (output.status.code().unwrap(), words(&output))
    };
    let day = ["--address", "192.0.2.7", "--at", "2026-11-20T12:00:00Z", "--as", "ada"];
    let who = ["--group", "ops", "--role", "admin", "--email", "ada@example.com", "--client", "cli"];
    let all = [&day[..], &who].concat();
    let (code, said) = ask(&all);
    assert!(
        code == 0 && said.contains("is taken for dev|ada, groups ops, roles admin, ada@example.com, through cli"),
        "{said}"
    );
    assert!(said.contains("demands the scopes mcp:tools mcp:write, taken as given"), "{said}");
    for missing in (0..who.len()).step_by(2) {
        let mut less = all.clone();
        less.drain(day.len() + missing..day.len() + missing + 2);
        let (code, said) = ask(&less);
        assert!(code == 3 && said.contains("denied_by_rule"), "without {}: {said}", who[missing]);
    }
    let (code, said) = ask(&[&all[..], &["--scope", "mcp:tools"]].concat());
    assert!(code == 3 && said.contains("insufficient_scope") && said.contains("mcp:write"), "{said}");
    let at_night: Vec<_> = all.iter().map(|word| word.replace("T12", "T23")).collect();
    let (_, said) = ask(&at_night.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("The rule \"nights\" denies"), "{said}");
    assert!(ask(&["--as", "ada"]).1.contains("ip_not_allowed"));
    assert!(ask(&day[..4]).1.contains("sign_in_required"), "{}", ask(&day[..4]).1);
    assert_eq!(ask(&["--args", "[1]"]).0, 2, "that is no object");
    assert!(!folder.path().join("portcullis.db").exists() && !folder.path().join("portcullis.key").exists());
}
