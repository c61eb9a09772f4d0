use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    examples::{Example, examples, made_out},
    planted::escaped,
    *,
};
use crate::kit::{
    bench::{self, Bench, Outcome, result, stream},
    clock::{ManualClock, Timestamp},
    decision::LateDecisions,
    policy::PolicyKind,
};

fn secret(example: &str) -> String {
    made_out(example, 7)
}

fn github() -> String {
    secret("ghp_<alnum:36>")
}

/// A route on which the upstream answers each call with this result.
fn bench(options: &Value, answer: Value) -> Bench {
    Bench::of::<SecretGuard>(options).upstream(move |message| result(message, &answer))
}

async fn call(bench: &Bench, arguments: Value) -> Outcome {
    bench.call("tools/call", json!({ "name": "echo", "arguments": arguments })).send().await
}

fn decisions(outcome: &Outcome) -> Vec<(String, &'static str)> {
    let decided = outcome.facts.get::<Decisions>().map(|all| all.0.clone()).unwrap_or_default();
    decided.iter().map(|decided| (decided.rule.to_string(), decided.outcome)).collect()
}

fn late(outcome: &Outcome) -> Vec<(String, &'static str)> {
    let all = outcome.facts.get::<LateDecisions>().map(|late| late.0.clone()).unwrap_or_default();
    let decided = all.iter().flat_map(Undecided::take);
    decided.map(|decided| (decided.rule.to_string(), decided.outcome)).collect()
}

fn shown(outcome: &Outcome) -> String {
    String::from_utf8(outcome.body.to_vec()).unwrap()
}

// The patterns.

pub(super) static ALL_KINDS: LazyLock<Patterns> = LazyLock::new(|| {
    let detect = vec![Kind::Tokens, Kind::Keys, Kind::PersonalData];
    Patterns::new(&SecretGuardOptions { detect, ..SecretGuardOptions::default() }).unwrap()
});

fn found_in(patterns: &Patterns, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    patterns.find(text, |_, pattern| found.extend([pattern.name.to_string()]));
    found
}

#[test]
fn every_pattern_finds_its_examples_and_lets_pass_what_only_looks_like_them() {
    let patterns = &*ALL_KINDS;
    for Example { name, finds, passes, .. } in examples() {
        assert!(!finds.is_empty() && !passes.is_empty(), "{name} needs an example of either kind");
        for seed in 0..20 {
            for example in &finds {
                let text = made_out(example, seed);
                assert!(found_in(patterns, &text).contains(&name), "{name} does not find {text}");
                assert!(!patterns.masked(&text).contains(&text), "{name} leaves {text}");
            }
            for example in &passes {
                let text = made_out(example, seed);
                assert!(!found_in(patterns, &text).contains(&name), "{name} finds {text}");
            }
        }
    }
}

#[test]
fn what_every_pattern_lets_pass_is_a_near_miss() {
    for Example { name, literals, passes, .. } in examples() {
        let is_near = |text: &String| literals.is_empty() || literals.iter().any(|literal| text.contains(&**literal));
        assert!(passes.iter().any(is_near), "{name} is not even tried on {passes:?}");
    }
}

#[test]
fn the_names_are_those_of_the_page_and_the_literals_can_be_looked_for_in_what_is_written() {
    let page = include_str!("README.md");
    let mut names = BTreeSet::new();
    for Example { name, what, set, literals, .. } in examples() {
        assert!(
            page.contains(&format!("\n| `{name}` | {} |", what.replace('|', "\\|"))),
            "the page lacks `{name}`: {what}"
        );
        assert!(names.insert(name.clone()), "{name} is there twice");
        for literal in &literals {
            let plain = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '"' | '\\') || letter == ' ';
            assert!(!literal.is_empty() && literal.chars().all(plain), "{name}: {literal:?}");
        }
        assert!(!literals.is_empty() || set == "personal-data", "{name} would have to be looked for in every text");
    }
    assert!(page.contains(patterns::date()), "the page does not say when the patterns were looked through");
}

#[test]
fn a_token_of_a_github_app_is_one_secret_although_there_is_a_jwt_in_it() {
    let token = secret("ghs_<digits:7>_eyJ<url:33>.eyJ<url:300>.<url:86>");
    let text = json!({ "token": token, "other": 1 }).to_string();
    let finds = look::look(&text, &ALL_KINDS, None).unwrap();
    assert_eq!(masked(&text, &finds), r#"{"token":"[masked: github-token]","other":1}"#);
    assert_eq!(finds.len(), 1);
}

#[test]
fn ordinary_text_holds_no_secret() {
    let patterns = &*ALL_KINDS;
    for text in [
        "The quick brown fox jumps over the lazy dog. Tasks: risk-free disk-based sk-learn.",
        "https://example.com/a/b?x=1&y=2#z 2026-11-21T10:00:00Z 550e8400-e29b-41d4-a716-446655440000",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb822cd15d6c15b0f00a0 v1.2.3 1,234,567.89 +3 %20",
        "npm_config_cache=/root PATH=/usr/bin:/bin export GITHUB_TOKEN=$TOKEN Bearer <token>",
        "SELECT secret_name FROM keys WHERE key-id = 'AKIA' -- postgres://localhost:5432/app",
        "Order 1234 5678 9012 3456 of 2026-11-21, SKU SG.12, tel. 555-0199",
    ] {
        assert_eq!(found_in(patterns, text), BTreeSet::new(), "{text}");
    }
}

// Calls.

#[tokio::test]
async fn a_call_with_a_token_is_refused_with_its_place_and_never_with_its_value() {
    let bench = bench(&json!({}), json!({}));
    let outcome = call(&bench, json!({ "note": { "text": format!("use {} please", github()) } })).await;
    assert!(!outcome.got_through());
    assert_eq!(outcome.reason(), Some("secret_in_request"));
    let error = &outcome.message()["error"];
    assert_eq!(error["data"]["pattern"], "github-token");
    assert_eq!(error["data"]["pointer"], "/params/arguments/note/text");
    assert!(error["data"]["remedy"].as_str().unwrap().contains("data.pointer"));
    assert!(!shown(&outcome).contains(&github()[4..]), "{}", shown(&outcome));
    assert_eq!(decisions(&outcome), [("github-token".to_owned(), "blocked")]);
    assert!(call(&bench, json!({ "note": "nothing" })).await.got_through());
}

#[tokio::test]
async fn escapes_and_json_inside_of_text_hide_nothing() {
    let options = json!({ "arguments": "mask" });
    let token = github();
    let escaped: String = token.chars().map(escaped).collect();
    let nested = |times: usize| {
        let mut text = format!("{{\"a\":\"{escaped}\",\"b\":\"x\\n{token}\"}}");
        for _ in 0..times {
            text = json!(text).to_string();
        }
        text
    };
    for (arguments, secrets) in [
        (format!(r#"{{"a":"{escaped}"}}"#), 1),
        (format!(r#"{{"a":"\u0067{}"}}"#, &token[1..]), 1),
        (format!(r#"{{"{token}":1,"{escaped}\u0021":2}}"#), 2),
        (nested(0), 2),
        (format!(r#"{{"a":{}}}"#, nested(1)), 2),
        (format!(r#"{{"a":{}}}"#, nested(2)), 2),
        (format!(r#"{{"a":{}}}"#, nested(3)), 2),
    ] {
        let params = format!(r#"{{"name":"echo", "arguments":{arguments} }}"#);
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let outcome = bench(&options, json!({})).post(message).send().await;
        let sent = std::str::from_utf8(outcome.reached[0].message.bytes()).unwrap();
        assert_eq!(sent.matches("[masked: github-token").count(), secrets, "{arguments}");
        let mut plain = sent.to_owned();
        for _ in 0..6 {
            assert!(!plain.contains(&token[4..]), "{arguments}: {sent}");
            plain = escapes::unescaped(&plain).map_or(plain, |(plain, _)| plain);
        }
    }
}

#[tokio::test]
async fn json_inside_of_text_stays_json_where_half_an_escape_could_belong_to_the_secret() {
    let options = json!({ "detect": ["personal-data"] });
    for before in ["x\n", "\t", "\\", "\"", "C:\\"] {
        let inner = json!({ "a": format!("{before}ada@example.com\\"), "b": [1] }).to_string();
        let answer = json!({ "one": inner, "two": json!(inner).to_string() });
        let outcome = call(&bench(&options, answer), json!({})).await;
        let result = &outcome.message()["result"];
        let once: Value = serde_json::from_str(result["one"].as_str().unwrap()).unwrap();
        let text: String = serde_json::from_str(result["two"].as_str().unwrap()).unwrap();
        for inner in [once, serde_json::from_str(&text).unwrap()] {
            let text = inner["a"].as_str().unwrap();
            assert!(text.ends_with("[masked: email]\\") && !text.contains("example"), "{before:?}: {text}");
            assert_eq!(inner["b"], json!([1]));
        }
    }
}

#[tokio::test]
async fn what_was_masked_reaches_the_upstream_neither_in_the_message_nor_in_headers_that_repeat_it() {
    let bench = bench(&json!({ "arguments": "mask" }), json!({}));
    let message = format!(
        r#"{{ "jsonrpc": "2.0", "id": 123456789012345678901234567890, "method":"tools/call","params":{{"name":"echo","arguments":{{"n":1.50,"key":"{}","é":"\u00e9"}}}} }}"#,
        github()
    );
    let outcome =
        bench.post(message.clone()).header("mcp-param-key", &github()).header("baggage", &github()).send().await;
    let reached = &outcome.reached[0];
    let wanted = message.replace(&github(), "[masked: github-token]");
    assert_eq!(reached.message.bytes(), wanted.as_bytes(), "everything else stays as it was written");
    assert!(!reached.headers.contains_key("mcp-param-key"));
    assert!(!reached.headers.contains_key("baggage"), "nor in others that cross");
    assert!(decisions(&outcome).iter().all(|decided| *decided == ("github-token".to_owned(), "masked")));
}

#[tokio::test]
async fn a_header_that_crosses_to_the_upstream_is_looked_at_also_in_base64() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let encoded = format!("=?base64?{}?=", STANDARD.encode(github()));
    for (name, value) in
        [("mcp-param-key", github()), ("mcp-param-key", encoded), ("baggage", format!("a={}", github()))]
    {
        let blocking = bench(&json!({}), json!({}));
        let outcome = blocking.call("tools/call", json!({ "name": "echo" })).header(name, &value).send().await;
        assert_eq!(outcome.reason(), Some("secret_in_request"), "{name}: {value}");
        assert_eq!(outcome.message()["error"]["data"]["pointer"], format!("header {name}"));
        let masking = bench(&json!({ "arguments": "mask" }), json!({}));
        let outcome = masking.call("tools/call", json!({ "name": "echo" })).header(name, &value).send().await;
        assert!(!outcome.reached[0].headers.contains_key(name));
    }
}

#[tokio::test]
async fn a_name_cannot_be_masked_so_the_call_is_refused() {
    let masking = bench(&json!({ "arguments": "mask" }), json!({}));
    let uri = format!("https://example.com/?key={}", github());
    for (method, params) in [
        ("resources/read", json!({ "uri": uri })),
        ("tools/call", json!({ "name": github() })),
        ("prompts/get", json!({ "name": github(), "arguments": {} })),
    ] {
        let outcome = masking.call(method, params).send().await;
        assert_eq!(outcome.reason(), Some("secret_in_request"), "{method}");
        assert!(!outcome.got_through());
    }
    let id = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, github());
    assert!(!masking.post(id).send().await.got_through());
}

#[tokio::test]
async fn not_only_calls_of_tools_are_looked_at() {
    let guard = bench(&json!({}), json!({}));
    let token = github();
    for (method, params) in [
        ("prompts/get", json!({ "name": "p", "arguments": { "a": token } })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": token } }),
        ),
        ("tools/call", json!({ "name": "t", "_meta": { "x": [token] } })),
        ("tools/call", json!({ "name": "t", "inputResponses": { "q": { "content": { "a": token } } } })),
        ("logging/setLevel", json!({ "level": token })),
    ] {
        assert!(!guard.call(method, params.clone()).send().await.got_through(), "{method} {params}");
    }
}

#[tokio::test]
async fn where_no_error_can_answer_what_is_to_be_blocked_is_masked() {
    let guard = bench(&json!({}), json!({}));
    let answer =
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"action":"accept","content":{{"a":"{}"}}}}}}"#, github());
    let outcome = guard.post(answer.clone()).send().await;
    assert_eq!(outcome.reached[0].message.bytes(), answer.replace(&github(), "[masked: github-token]").as_bytes());
    let progress =
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"message":"{}"}}}}"#, github());
    let outcome = guard.post(progress).send().await;
    assert!(!outcome.reached[0].message.params().unwrap().contains(&github()));
}

// Answers.

#[tokio::test]
async fn a_secret_in_a_result_is_masked_wherever_it_stands_and_the_rest_stays_as_it_is() {
    let token = github();
    let result_with = |secret: &str| {
        format!(
            r#"{{ "content":[{{"type":"text","text":"a {secret} b {{\"k\":\"{secret}\"}}"}},{{"type":"resource","resource":{{"uri":"x:y","text":"{secret}"}}}}], "structuredContent":{{"n":1.0,"list":["{secret}"],"{secret}":{{}}}}, "_meta":{{"m":"{secret}"}} }}"#
        )
    };
    let (answer, method) = (result_with(&token), "tools/call");
    let wanted = result_with("[masked: github-token]")
        .replace(r#""[masked: github-token]":"#, r#""[masked: github-token, key 1]":"#);
    for streamed in [false, true] {
        let answer = answer.clone();
        let guard = Bench::of::<SecretGuard>(&json!({})).upstream(move |message| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{answer}}}"#, message.id().unwrap());
            if streamed { stream([text]) } else { bench::body(text) }
        });
        let outcome = guard.call(method, json!({ "name": "echo" })).send().await;
        assert!(shown(&outcome).contains(&wanted), "{}", shown(&outcome));
        let counted = if streamed { late(&outcome) } else { decisions(&outcome) };
        assert_eq!(counted, [("github-token".to_owned(), "masked")]);
    }
}

#[tokio::test]
async fn a_blocked_result_comes_as_an_error_that_says_that_the_call_was_made() {
    for streamed in [false, true] {
        let guard = Bench::of::<SecretGuard>(&json!({ "results": "block" })).upstream(move |message| {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"a":["{}"]}}}}"#, message.id().unwrap(), github());
            if streamed { stream([text]) } else { bench::body(text) }
        });
        let outcome = call(&guard, json!({})).await;
        assert_eq!((outcome.reason(), outcome.streamed), (Some("secret_in_answer"), streamed));
        let error = &outcome.message()["error"];
        assert_eq!(
            (&error["data"]["pattern"], &error["data"]["pointer"]),
            (&json!("github-token"), &json!("/result/a/0"))
        );
        assert!(error["message"].as_str().unwrap().contains("The call was made"), "{error}");
        assert_eq!(outcome.message()["id"], 1);
        assert!(!shown(&outcome).contains(&github()[4..]));
    }
}

#[tokio::test]
async fn each_event_of_a_stream_is_looked_at_as_it_comes() {
    let token = github();
    let events = move |id: &str| {
        [
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1,"progress":1,"message":"{token}"}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":{{"k":"{token}"}}}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{{"messages":[{{"role":"user","content":{{"type":"text","text":"{token}"}}}}]}}}}"#
            ),
            format!(r#"{{"jsonrpc":"2.0","id":10,"method":"elicitation/create","params":{{"message":"{token}"}}}}"#),
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"{token}","data":["{token}"]}}}}"#
            ),
        ]
    };
    for (results, last) in [("mask", None), ("block", Some("secret_in_answer"))] {
        let events = events.clone();
        let guard = Bench::of::<SecretGuard>(&json!({ "results": results }))
            .upstream(move |message| stream(events(message.id().unwrap())));
        let outcome = call(&guard, json!({})).await;
        assert_eq!(outcome.messages.len(), 5, "nothing is dropped, so nobody waits for ever");
        assert!(!shown(&outcome).contains(&github()[4..]), "{}", shown(&outcome));
        assert_eq!(outcome.messages[2]["id"], 9);
        assert_eq!(outcome.messages[0]["params"]["message"], "[masked: github-token]");
        assert_eq!(outcome.reason(), last);
        assert_eq!(late(&outcome).len(), 5);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_passed_on_and_an_answer_to_a_notification_has_nothing_to_say() {
    let guard = |text: String| Bench::of::<SecretGuard>(&json!({})).upstream(move |_| bench::body(text.clone()));
    let twice = guard(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":1,"a":"{}"}}}}"#, github()));
    let outcome = call(&twice, json!({})).await;
    assert_eq!(outcome.reason(), Some("upstream_invalid"));
    assert!(!shown(&outcome).contains(&github()[4..]));
    let talkative = guard(format!(r#"{{"jsonrpc":"2.0","method":"x","params":"{}"}}"#, github()));
    let outcome = talkative.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).send().await;
    assert!(outcome.got_through() && outcome.body.is_empty());
}

#[tokio::test]
async fn state_of_a_server_s_own_is_no_secret_for_being_a_jwt_but_for_being_a_key() {
    let jwt = secret("eyJ<url:33>.eyJ<url:60>.<url:43>");
    for place in ["requestState", "nextCursor"] {
        let outcome = call(&bench(&json!({}), json!({ place: jwt })), json!({})).await;
        assert_eq!(outcome.message()["result"][place], *jwt, "{place}");
        let outcome = call(&bench(&json!({}), json!({ place: github() })), json!({})).await;
        assert_eq!(outcome.message()["result"][place], "[masked: github-token]", "{place}");
    }
    let guard = bench(&json!({}), json!({}));
    assert!(guard.call("tools/list", json!({ "cursor": jwt })).send().await.got_through());
    assert!(
        !guard.call("tools/call", json!({ "name": "t", "arguments": { "cursor": jwt } })).send().await.got_through()
    );
}

// Options.

#[tokio::test]
async fn each_direction_has_an_action_of_its_own() {
    for (arguments, reaches) in [("off", true), ("log", true), ("block", false)] {
        let guard = bench(&json!({ "arguments": arguments, "results": "off" }), json!({ "t": github() }));
        let outcome = call(&guard, json!({ "t": github() })).await;
        assert_eq!(outcome.got_through(), reaches, "{arguments}");
        assert_eq!(shown(&outcome).contains(&github()), reaches, "{arguments}");
        let counted = decisions(&outcome).into_iter().map(|(_, outcome)| outcome).collect::<Vec<_>>();
        assert_eq!(
            counted,
            match arguments {
                "off" => vec![],
                "log" => vec!["logged"],
                _ => vec!["blocked"],
            }
        );
    }
    let guard = bench(&json!({ "results": "log" }), json!({ "t": github() }));
    let outcome = call(&guard, json!({})).await;
    assert!(shown(&outcome).contains(&github()));
    assert_eq!(decisions(&outcome), [("github-token".to_owned(), "logged")]);
}

#[tokio::test]
async fn personal_data_are_looked_for_where_that_is_asked_for_also_in_numbers() {
    let answer = json!({ "mail": "ada@example.com", "card": 4111_1111_1111_1111_u64, "iban": "DE89 3704 0044 0532 0130 00", "id": 4111_1111_1111_1112_u64 });
    let outcome = call(&bench(&json!({}), answer.clone()), json!({})).await;
    assert_eq!(outcome.message()["result"], answer);
    let outcome = call(&bench(&json!({ "detect": ["personal-data"] }), answer), json!({ "t": github() })).await;
    assert!(outcome.got_through(), "nobody asked for tokens");
    assert_eq!(
        outcome.message()["result"],
        json!({ "mail": "[masked: email]", "card": "[masked: card-number]", "iban": "[masked: iban]", "id": 4111_1111_1111_1112_u64 })
    );
}

#[tokio::test]
async fn an_operator_adds_patterns_and_lets_pass_what_is_no_secret() {
    let options = json!({
        "patterns": [{ "name": "customer-number", "pattern": "customer (?<secret>C-[0-9]{6})" }],
        "allow": ["jwt", { "matches": "AKIA[A-Z0-9]{9}EXAMPLE" }],
    });
    let jwt = secret("eyJ<url:33>.eyJ<url:60>.<url:43>");
    let answer =
        json!({ "a": "customer C-123456", "b": jwt, "c": "AKIAIOSFODNN7EXAMPLE", "d": "AKIAIOSFODNN7EXAMPLF" });
    let outcome = call(&bench(&options, answer), json!({})).await;
    let wanted = json!({ "a": "customer [masked: customer-number]", "b": jwt, "c": "AKIAIOSFODNN7EXAMPLE", "d": "[masked: aws-access-key-id]" });
    assert_eq!(outcome.message()["result"], wanted);
}

#[test]
fn a_wrong_pattern_is_reported_at_its_place() {
    let kind = PolicyKind::of::<SecretGuard>();
    let problems = |options: Value| {
        let problems = kind.layer(&options, &Host::default()).unwrap_err();
        problems
            .into_iter()
            .map(|problem| (problem.at, problem.why + " | " + &problem.hint.unwrap()))
            .collect::<Vec<_>>()
    };
    let own = |name: &str, pattern: &str| json!({ "patterns": [{ "name": "fine", "pattern": "fine" }, { "name": name, "pattern": pattern }] });
    for (options, at, says) in [
        (own("x", "a("), "/patterns/1/pattern", "unclosed group"),
        (own("x", "(?=a)"), "/patterns/1/pattern", "look-around"),
        (own("x", "\\w{900}{900}"), "/patterns/1/pattern", "too large"),
        (own("x", "a*"), "/patterns/1/pattern", "fits where nothing is"),
        (own("My Pattern", "a"), "/patterns/1/name", "lower-case"),
        (own("jwt", "a"), "/patterns/1/name", "another pattern"),
        (own("fine", "a"), "/patterns/1/name", "another pattern"),
        (json!({ "allow": ["gihub-token"] }), "/allow/0", "did you mean \"github-token\"?"),
        (json!({ "allow": ["email"] }), "/allow/0", "no pattern that is looked for"),
        (json!({ "allow": ["jwt", { "matches": "a)|(b" }] }), "/allow/1/matches", "regular expression"),
    ] {
        let found = problems(options.clone());
        assert_eq!(found.len(), 1, "{options}: {found:?}");
        assert!(found[0].0 == at && found[0].1.contains(says), "{options}: {found:?}");
    }
}

#[test]
fn it_stands_before_whoever_judges_a_call_by_its_arguments() {
    let rules = PolicyKind::of::<crate::rules::McpRules>();
    let guard = PolicyKind::of::<SecretGuard>();
    assert!(guard.before.iter().any(|fact| rules.gives.contains(fact)));
}

#[test]
fn the_doctor_says_when_the_patterns_are_old() {
    let at = |days: u64| {
        let clock = ManualClock::new(Timestamp::from_seconds(1_795_219_200).plus(Duration::from_secs(days * 86_400)));
        let host = Host { clock: Arc::new(clock), ..Host::default() };
        verdict::outdated(patterns::date(), host.clock.now())
    };
    assert_eq!(at(0), None);
    let old = at(400).unwrap();
    assert!(old.why.contains(patterns::date()) && old.severity == crate::kit::policy::Severity::Warning);
}
