mod agreement;
mod approvals;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

use super::*;
use crate::kit::{
    bench::{Bench, Outcome, body, connectable, result, stream},
    clock::{ManualClock, Timestamp},
    decision::LateDecisions,
    host::{Caller, Identity},
    policy::PolicyKind,
};

/// Tools of an upstream: two that only read, one that writes, one that destroys, one of which nothing is said.
fn tools() -> Value {
    json!([
        { "name": "get_note", "annotations": { "readOnlyHint": true } },
        { "name": "list_notes", "annotations": { "readOnlyHint": true, "destructiveHint": true } },
        { "name": "write_note", "annotations": { "destructiveHint": false } },
        { "name": "delete_note", "annotations": { "destructiveHint": true } },
        { "name": "odd" },
    ])
}

fn bench(options: &Value) -> Bench {
    Bench::of::<McpRules>(options).upstream(|message| match message.method() {
        Some(Method::ListTools) => result(message, &json!({ "tools": tools() })),
        _ => result(message, &json!({ "content": [], "structuredContent": { "token": "s3cret", "n": 1 } })),
    })
}

fn rules(rules: &Value) -> Value {
    json!({ "rules": rules })
}

fn caller(subject: &str) -> Caller {
    let groups = if subject == "ada" { vec!["ops".to_owned()] } else { Vec::new() };
    let email = Some(format!("{subject}@Example.com"));
    Identity { subject: subject.into(), groups, email, client: Some("cli".into()), ..Identity::default() }.into()
}

async fn call(bench: &Bench, who: &str, tool: &str, arguments: Value) -> Outcome {
    bench.call("tools/call", json!({ "name": tool, "arguments": arguments })).fact(caller(who)).send().await
}

async fn listed(bench: &Bench, who: &str) -> Vec<String> {
    let outcome = bench.call("tools/list", json!({})).fact(caller(who)).send().await;
    let tools = outcome.message()["result"]["tools"].as_array().cloned().unwrap_or_default();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn is_denied(outcome: &Outcome, rule: Option<&str>) -> bool {
    let calls = outcome.reached.iter().filter(|reached| reached.message.method() == Some(&Method::CallTool)).count();
    let denied = outcome.reason() == Some("denied_by_rule");
    assert_eq!(denied, calls == 0, "{outcome:?}");
    denied && outcome.message().pointer("/error/data/rule").and_then(Value::as_str) == rule
}

#[tokio::test]
async fn the_first_rule_that_fits_decides_and_a_call_that_none_decides_is_refused() {
    let bench = bench(&rules(&json!([
        { "name": "ops delete", "match": { "tools": ["delete_note"], "groups": ["ops"] }, "action": "allow" },
        { "name": "no deletes", "match": { "tools": [{ "glob": "delete_*" }] }, "action": "deny", "remedy": "Ask ops." },
        { "name": "reads", "match": { "tools": [{ "glob": "get_*" }] }, "action": "allow" },
    ])));
    assert!(!is_denied(&call(&bench, "ada", "delete_note", json!({})).await, None));
    let refused = call(&bench, "bob", "delete_note", json!({})).await;
    assert!(is_denied(&refused, Some("no deletes")));
    assert_eq!(refused.message()["error"]["data"]["remedy"], "Ask ops.");
    assert!(!is_denied(&call(&bench, "bob", "get_note", json!({})).await, None));
    assert!(is_denied(&call(&bench, "bob", "write_note", json!({})).await, None), "no rule is about it");
    assert_eq!(listed(&bench, "ada").await, ["get_note", "delete_note"]);
    assert_eq!(listed(&bench, "bob").await, ["get_note"]);
}

#[tokio::test]
async fn people_and_programs_are_told_apart() {
    let cases = [
        (json!({ "users": ["ada"] }), "ada"),
        (json!({ "emails": [{ "glob": "ADA@*.com" }] }), "ada"),
        (json!({ "groups": ["ops"] }), "ada"),
        (json!({ "clients": ["cli"], "users": ["ada"] }), "ada"),
    ];
    for (fits, who) in cases {
        let bench = bench(&rules(&json!([{ "name": "one", "match": fits, "action": "allow" }])));
        assert!(!is_denied(&call(&bench, who, "odd", json!({})).await, None), "{fits}");
        assert!(is_denied(&call(&bench, "bob", "odd", json!({})).await, None), "{fits}");
    }
    let kind = PolicyKind::of::<McpRules>();
    let asks = |fits: Value| kind.needs_with(&rules(&json!([{ "name": "one", "match": fits, "action": "allow" }])));
    assert_eq!(asks(json!({ "groups": ["ops"] })), [Fact::CALLER]);
    assert!(asks(json!({ "tools": ["odd"] })).is_empty());
}

#[tokio::test]
async fn what_the_upstream_says_of_a_tool_counts_also_for_a_client_that_never_listed() {
    let options = rules(&json!([
        { "name": "harmless", "match": { "annotations": { "destructiveHint": false } }, "action": "allow" },
    ]));
    let fresh = bench(&options);
    for (tool, allowed) in
        [("get_note", true), ("list_notes", true), ("write_note", true), ("delete_note", false), ("odd", false)]
    {
        assert_eq!(!is_denied(&call(&fresh, "ada", tool, json!({})).await, None), allowed, "{tool}");
    }
    assert_eq!(listed(&fresh, "ada").await, ["get_note", "list_notes", "write_note"]);
    assert!(is_denied(&call(&fresh, "ada", "no_such_tool", json!({})).await, None));
}

#[tokio::test]
async fn an_upstream_is_asked_once_for_a_caller_and_one_that_does_not_answer_counts_against_the_call() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, reads) = (Arc::clone(&asked), json!({ "annotations": { "readOnlyHint": true } }));
    let options = rules(&json!([{ "name": "reads", "match": reads, "action": "allow" }]));
    let counted = Bench::of::<McpRules>(&options).upstream(move |message| {
        if message.method() == Some(&Method::ListTools) {
            count.fetch_add(1, Ordering::SeqCst);
            return stream([format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":{}}}}}"#,
                message.id().unwrap(),
                tools()
            )]);
        }
        result(message, &json!({}))
    });
    for _ in 0..5 {
        assert!(!is_denied(&call(&counted, "ada", "get_note", json!({})).await, None));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let mute = Bench::of::<McpRules>(&json!({ "default": "allow", "rules": [
        { "name": "destroys", "match": { "annotations": { "destructiveHint": true } }, "action": "deny" },
    ] }))
    .upstream(|message| result(message, &json!({})));
    assert!(is_denied(&call(&mute, "ada", "get_note", json!({})).await, Some("destroys")));
    for when in
        ["annotations.destructiveHint == true", "!annotations.readOnlyHint", "annotations.destructiveHint != false"]
    {
        let rule = json!({ "name": "said", "match": { "when": when }, "action": "deny" });
        let mute = Bench::of::<McpRules>(&json!({ "default": "allow", "rules": [rule] }))
            .upstream(|message| result(message, &json!({})));
        assert!(is_denied(&call(&mute, "ada", "get_note", json!({})).await, Some("said")), "{when}");
        let rule = json!({ "name": "said", "match": { "when": when }, "action": "allow" });
        let mute = Bench::of::<McpRules>(&rules(&json!([rule]))).upstream(|message| result(message, &json!({})));
        assert!(is_denied(&call(&mute, "ada", "get_note", json!({})).await, None), "{when}");
    }
}

#[tokio::test]
async fn arguments_decide_and_leave_the_tool_listed() {
    let bench = bench(&rules(&json!([
        { "name": "small", "match": { "tools": ["odd"], "arguments": { "/amount": { "atMost": 100 } } }, "action": "allow" },
        { "name": "large", "match": { "arguments": { "/amount": { "greaterThan": 100 } } }, "action": "deny" },
        { "name": "to us", "match": { "arguments": { "/to": { "matches": "*@example.com" } } }, "action": "allow" },
    ])));
    assert!(!is_denied(&call(&bench, "ada", "odd", json!({ "amount": 1e2 })).await, None));
    assert!(is_denied(
        &call(&bench, "ada", "odd", json!({ "amount": 101, "to": "a@example.com" })).await,
        Some("large")
    ));
    // What is no number may be one to the server.
    assert!(is_denied(
        &call(&bench, "ada", "odd", json!({ "amount": [5], "to": "a@example.com" })).await,
        Some("large")
    ));
    assert!(!is_denied(&call(&bench, "ada", "get_note", json!({ "to": "a@example.com" })).await, None));
    assert!(is_denied(&call(&bench, "ada", "get_note", json!({ "to": "a@example.org" })).await, None));
    assert!(listed(&bench, "ada").await.contains(&"odd".to_owned()));
}

#[tokio::test]
async fn an_expression_says_what_the_other_conditions_cannot() {
    let when = "tool.startsWith('get_') && caller.subject == arguments.owner && size(arguments.ids) < 3";
    let bench = bench(&rules(&json!([{ "name": "own", "match": { "when": when }, "action": "allow" }])));
    assert!(!is_denied(&call(&bench, "ada", "get_note", json!({ "owner": "ada", "ids": [1] })).await, None));
    for arguments in [json!({ "owner": "bob", "ids": [1] }), json!({ "owner": "ada", "ids": [1, 2, 3] }), json!({})] {
        assert!(is_denied(&call(&bench, "ada", "get_note", arguments).await, None));
    }
    assert!(is_denied(&call(&bench, "ada", "odd", json!({ "owner": "ada", "ids": [] })).await, None));
}

#[tokio::test]
async fn sec_an_expression_that_fails_allows_nothing_and_denies() {
    let when = "arguments.amount < 100";
    for (action, denied) in [("allow", None), ("deny", Some("broken"))] {
        let options = json!({ "default": if action == "allow" { "deny" } else { "allow" },
            "rules": [{ "name": "broken", "match": { "when": when }, "action": action }] });
        let bench = bench(&options);
        for arguments in [json!({}), json!({ "amount": "x" }), json!([1]), json!(null)] {
            assert!(is_denied(&call(&bench, "ada", "odd", arguments).await, denied), "{action}");
        }
    }
}

/// What was decided, and by whom, as metrics and the audit have it.
fn decided(outcome: &Outcome) -> Vec<(String, &'static str)> {
    let all = outcome.facts.get::<Decisions>().map(|all| all.0.clone()).unwrap_or_default();
    let late = outcome.facts.get::<LateDecisions>().map(|late| late.0.clone()).unwrap_or_default();
    let all = all.into_iter().chain(late.iter().flat_map(Undecided::take));
    all.map(|decided| (decided.rule.to_string(), decided.outcome)).collect()
}

fn said(decided: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    decided.iter().map(|(rule, outcome)| ((*rule).to_owned(), *outcome)).collect()
}

#[tokio::test]
async fn a_rule_that_is_tried_out_only_says_what_it_would_have_done() {
    let tried = |name: &str, action: &str| json!({ "name": name, "match": { "tools": ["odd"] }, "action": action, "mode": "shadow" });
    let tried_on = |name: &str, action: &str, place: &str| {
        let mut rule = tried(name, action);
        rule["redact"] = json!([place]);
        rule
    };
    let bench = bench(&json!({ "default": "deny", "rules": [
        tried("never", "deny"),
        tried("ever", "allow"),
        tried("seen", "log"),
        tried_on("no password", "redact_arguments", "/password"),
        tried_on("no pin", "redact_arguments", "/pin"),
        tried_on("no token", "redact_result", "/structuredContent/token"),
        tried_on("no key", "redact_result", "/structuredContent/key"),
        { "name": "really seen", "match": { "tools": ["odd"] }, "action": "log" },
        { "name": "odd", "match": { "tools": ["odd"] }, "action": "allow" },
    ] }));
    let outcome = call(&bench, "ada", "odd", json!({ "password": "s3cret" })).await;
    assert!(!is_denied(&outcome, None));
    let expected = [
        ("no password", "would_redact_arguments"),
        ("never", "would_deny"),
        ("ever", "would_allow"),
        ("seen", "would_log"),
        ("really seen", "logged"),
        ("odd", "allowed"),
        ("no token", "would_redact_result"),
    ];
    assert_eq!(decided(&outcome), said(&expected));
    let sent = String::from_utf8_lossy(outcome.reached[0].message.bytes()).into_owned();
    assert!(sent.contains("s3cret"), "nothing is taken out: {sent}");
    assert_eq!(outcome.message()["result"]["structuredContent"]["token"], "s3cret");
    assert_eq!(listed(&bench, "ada").await, ["odd"]);
}

#[tokio::test]
async fn what_the_default_decides_is_counted_under_a_name_that_no_rule_has() {
    for (default, outcome) in [("deny", "denied"), ("allow", "allowed")] {
        let bench = bench(&json!({ "default": default, "rules": [] }));
        assert_eq!(decided(&call(&bench, "ada", "odd", json!({})).await), said(&[("(default)", outcome)]));
    }
    let options = rules(&json!([{ "name": "(default)", "action": "allow" }]));
    let problems = PolicyKind::of::<McpRules>().layer(&options, &Host::default()).unwrap_err();
    assert_eq!((problems.len(), &*problems[0].at), (1, "/rules/0/name"));
}

#[tokio::test]
async fn what_is_redacted_reaches_neither_upstream_nor_client() {
    let bench = bench(&json!({ "default": "allow", "rules": [
        { "name": "in", "action": "redact_arguments", "redact": ["/password", "/cards/*/number"] },
        { "name": "out", "action": "redact_result", "redact": ["/structuredContent/token"] },
    ] }));
    let arguments = json!({ "password": "s3cret-in", "cards": [{ "number": "4111", "name": "Ada" }], "n": 1 });
    let call = bench.call("tools/call", json!({ "name": "odd", "arguments": arguments })).fact(caller("ada"));
    let outcome = call.header("mcp-param-password", "s3cret-in").send().await;
    let reached = &outcome.reached[0];
    let sent = String::from_utf8_lossy(reached.message.bytes()).into_owned();
    assert!(!sent.contains("s3cret") && !sent.contains("4111") && sent.contains("Ada"), "{sent}");
    assert!(reached.headers.get("mcp-param-password").is_none());
    assert_eq!(reached.message.tool(), Some("odd"));
    assert_eq!(outcome.message()["result"]["structuredContent"], json!({ "token": "[redacted]", "n": 1 }));
    // The same result, by way of a task.
    let outcome = bench.call("tasks/result", json!({ "taskId": "t1" })).fact(caller("ada")).send().await;
    assert_eq!(outcome.message()["result"]["structuredContent"]["token"], "[redacted]");
    let bench = Bench::of::<McpRules>(&json!({ "default": "allow", "rules": [
        { "name": "out", "action": "redact_result", "redact": ["/structuredContent/token"] },
    ] }))
    .upstream(|message| result(message, &json!({ "result": { "structuredContent": { "token": "s3cret" } } })));
    let outcome = bench.call("tasks/get", json!({ "taskId": "t1" })).fact(caller("ada")).send().await;
    assert_eq!(outcome.message()["result"]["result"]["structuredContent"]["token"], "[redacted]");
}

#[tokio::test]
async fn who_took_something_out_is_known_afterwards_also_of_a_stream() {
    let rules = json!({ "default": "allow", "rules": [
        { "name": "in", "action": "redact_arguments", "redact": ["/password"] },
        { "name": "out", "action": "redact_result", "redact": ["/structuredContent/token"] },
    ] });
    let bench = bench(&rules);
    let outcome = call(&bench, "ada", "odd", json!({ "password": "s3cret" })).await;
    let expected = said(&[("in", "redacted_arguments"), ("(default)", "allowed"), ("out", "redacted_result")]);
    assert_eq!(decided(&outcome), expected);
    let outcome = call(&bench, "ada", "odd", json!({ "n": 1 })).await;
    assert_eq!(decided(&outcome), said(&[("(default)", "allowed"), ("out", "redacted_result")]), "nothing to take out");
    let streamed = Bench::of::<McpRules>(&rules).upstream(|_| {
        stream([
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"token":"s3cret"}}}"#,
        ])
    });
    let outcome = call(&streamed, "ada", "odd", json!({ "password": "s3cret" })).await;
    assert_eq!((outcome.streamed, decided(&outcome)), (true, expected));
    let task = bench.call("tasks/result", json!({ "taskId": "t1" })).fact(caller("ada")).send().await;
    assert_eq!(decided(&task), said(&[("out", "redacted_result")]));
}

#[tokio::test]
async fn a_redaction_that_is_tried_out_stands_in_nobodys_way() {
    let rules = json!({ "default": "allow", "rules": [
        { "name": "out", "mode": "shadow", "action": "redact_result", "redact": ["/structuredContent/token"] },
    ] });
    let unreadable = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"content":[]}}"#;
    let answers = [unreadable, r#"{"jsonrpc":"2.0","id":"another","result":{}}"#];
    for answer in answers {
        let whole = Bench::of::<McpRules>(&rules).upstream(move |_| body(answer));
        assert_eq!(call(&whole, "ada", "odd", json!({})).await.body, answer);
        let streamed = Bench::of::<McpRules>(&rules).upstream(move |_| stream([answer]));
        let events = call(&streamed, "ada", "odd", json!({})).await.body;
        assert!(memchr::memmem::find(&events, answer.as_bytes()).is_some(), "{answer}");
    }
    let bench = bench(&rules);
    let task = bench.call("tasks/result", json!({ "taskId": "t1" })).fact(caller("ada")).send().await;
    assert!(task.facts.get::<Decisions>().is_none(), "of a task nobody knows which call it began with");
}

#[tokio::test]
async fn sec_who_is_not_known_to_be_another_is_not_let_past_a_rule_that_denies() {
    let options = json!({ "default": "allow", "rules": [
        { "name": "contractors", "match": { "emails": [{ "glob": "*@contractors.example" }] }, "action": "deny" },
    ] });
    let bench = bench(&options);
    let unverified: Caller = Identity { subject: "eve".into(), ..Identity::default() }.into();
    let call_of = |who: Caller| bench.call("tools/call", json!({ "name": "odd" })).fact(who).send();
    assert!(is_denied(&call_of(unverified).await, Some("contractors")));
    assert!(!is_denied(&call_of(caller("ada")).await, None));
}

#[tokio::test]
async fn an_expression_reckons_with_whole_numbers_and_needs_a_caller_where_it_asks_for_one() {
    let when = "arguments.amount * 2 > 10";
    let bench = bench(
        &json!({ "default": "allow", "rules": [{ "name": "much", "match": { "when": when }, "action": "deny" }] }),
    );
    assert!(!is_denied(&call(&bench, "ada", "odd", json!({ "amount": 5 })).await, None));
    assert!(is_denied(&call(&bench, "ada", "odd", json!({ "amount": 6 })).await, Some("much")));
    let rule = json!({ "name": "own", "match": { "when": "caller.subject == 'ada'" }, "action": "allow" });
    assert_eq!(PolicyKind::of::<McpRules>().needs_with(&rules(&json!([rule]))), [Fact::CALLER]);
}

#[tokio::test]
async fn the_tool_by_which_people_connect_is_nobody_s_to_deny() {
    let bench = bench(&rules(&json!([])));
    for (tool, denied) in [("connect_linear", false), ("connect_linea", true), ("get_note", true)] {
        let call = bench.call("tools/call", json!({ "name": tool })).fact(connectable());
        assert_eq!(is_denied(&call.send().await, None), denied, "{tool}");
    }
    assert!(is_denied(&bench.call("tools/call", json!({ "name": "connect_linear" })).send().await, None));
}

#[tokio::test]
async fn time_decides() {
    let night = Timestamp::from_seconds(1_795_302_000); // 2026-11-21T23:00:00Z
    let clock = Arc::new(ManualClock::new(night));
    let host = Host { clock: clock.clone(), ..Host::default() };
    let options =
        rules(&json!([{ "name": "day", "match": { "time": { "from": "08:00", "to": "18:00" } }, "action": "allow" }]));
    let bench = Bench::with(PolicyKind::of::<McpRules>().layer(&options, &host).unwrap())
        .upstream(|message| result(message, &json!({ "tools": tools() })));
    assert!(is_denied(&call(&bench, "ada", "odd", json!({})).await, None));
    assert!(listed(&bench, "ada").await.is_empty());
    clock.advance(std::time::Duration::from_hours(10));
    assert!(!is_denied(&call(&bench, "ada", "odd", json!({})).await, None));
    assert_eq!(listed(&bench, "ada").await.len(), 5);
}

#[test]
fn mistakes_are_named_where_they_are() {
    let options = rules(&json!([
        { "name": "a", "action": "redact_result" },
        { "name": "a", "action": "allow", "redact": ["/x"] },
        { "name": "b", "action": "redact_arguments", "redact": ["x"] },
        { "name": "c", "action": "allow", "match": { "arguments": { "amount": 1, "/b": {} } } },
        { "name": "d", "action": "allow", "match": { "time": { "zone": "Berlin" } } },
        { "name": "e", "action": "allow", "match": { "when": "user == 'ada'" } },
        { "name": "f", "action": "allow", "match": { "when": "arguments.a.all(x, x.b.all(y, y > 1))" } },
        { "name": "g", "action": "allow", "match": { "when": "1 +" } },
        { "name": "h", "action": "deny", "match": { "tools": ["delete_*"], "users": [] } },
        { "name": "i", "action": "deny", "match": { "when": "arguments.a.all(x, x in arguments.b)" } },
    ]));
    let problems = PolicyKind::of::<McpRules>().layer(&options, &Host::default()).unwrap_err();
    let at: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(
        at,
        [
            "/rules/0",
            "/rules/1/name",
            "/rules/1/redact",
            "/rules/2/redact/0",
            "/rules/3/match/arguments/~1b",
            "/rules/3/match/arguments/amount",
            "/rules/4/match/time/zone",
            "/rules/5/match/when",
            "/rules/6/match/when",
            "/rules/7/match/when",
            "/rules/8/match/tools/0",
            "/rules/8/match/users",
            "/rules/9/match/when",
        ]
    );
}
