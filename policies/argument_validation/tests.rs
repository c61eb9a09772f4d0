mod hostile;
mod zod;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use super::*;
use crate::kit::{
    bench::{Bench, Outcome, body, connectable, result, stream},
    host::{Caller, Identity},
    policy::PolicyKind,
    refusal::Reason,
};

/// A tool that sends mail, and what it answers with.
fn definitions() -> Value {
    json!([
        {
            "name": "send",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "to": { "type": "string", "pattern": "^[^@]+@[^@]+$" },
                    "copies": { "type": "integer", "minimum": 1, "maximum": 9 },
                    "priority": { "enum": ["low", "high"] },
                    "when": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
                },
                "required": ["to"],
                "additionalProperties": false,
            },
            "outputSchema": {
                "type": "object",
                "properties": { "id": { "type": "integer" } },
                "required": ["id"],
            },
        },
        { "name": "free", "inputSchema": { "type": "object" } },
    ])
}

/// An upstream with these tools, whose calls have this result.
fn upstream(options: &Value, tools: Value, said: Value) -> Bench {
    Bench::of::<ArgumentValidation>(options).upstream(move |message| match message.method() {
        Some(Method::ListTools) => result(message, &json!({ "tools": tools })),
        _ => result(message, &said),
    })
}

fn bench(options: &Value) -> Bench {
    upstream(options, definitions(), json!({ "content": [], "structuredContent": { "id": 1 } }))
}

async fn call(bench: &Bench, tool: &str, arguments: Value) -> Outcome {
    bench.call("tools/call", json!({ "name": tool, "arguments": arguments })).send().await
}

fn was_called(outcome: &Outcome) -> bool {
    outcome.reached.iter().any(|reached| reached.message.method() == Some(&Method::CallTool))
}

/// The reason of a refusal, as an error or as a result.
fn reason(outcome: &Outcome) -> Option<&str> {
    let told = outcome.message().pointer("/result/_meta/portcullis~1refusal/reason").and_then(Value::as_str);
    let told = told.or(outcome.reason());
    assert_eq!(told, outcome.facts.get::<Reason>().map(|reason| reason.code()).or(told), "the log says the same");
    told
}

fn decisions(outcome: &Outcome) -> Vec<(String, &'static str)> {
    let decided = outcome.facts.get::<Decisions>().map(|Decisions(decided)| decided.clone()).unwrap_or_default();
    decided.iter().map(|decided| (decided.rule.to_string(), decided.outcome)).collect()
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_reach_the_upstream_and_the_model_is_told_where_to_mend_them() {
    let bench = bench(&json!({}));
    let arguments = json!({ "to": "s3cret", "copies": 12, "priority": "s3cret", "when": 5, "x": "s3cret" });
    let outcome = call(&bench, "send", arguments).await;
    assert!(!was_called(&outcome));
    assert_eq!((outcome.status.as_u16(), reason(&outcome)), (200, Some("invalid_arguments")));
    let result = &outcome.message()["result"];
    assert_eq!((&result["isError"], &result["resultType"]), (&json!(true), &Value::Null));
    let text = result["content"][0]["text"].as_str().unwrap();
    for place in ["/to: ", "/copies: ", "/priority: ", "/when: "] {
        assert!(text.contains(place), "{place} in {text}");
    }
    assert!(text.contains("maximum of 9") && text.contains(r#""low" or "high""#) && text.contains("'x'"), "{text}");
    assert!(!outcome.message().to_string().contains("s3cret"), "values are not repeated");
    assert_eq!(result["_meta"]["portcullis/refusal"]["misfits"].as_array().unwrap().len(), 5);
    assert_eq!(decisions(&outcome), [("arguments".to_owned(), "denied")]);

    let missing = bench.call("tools/call", json!({ "name": "send" })).send().await;
    assert!(!was_called(&missing) && missing.message().to_string().contains(r#"\"to\" is a required property"#));
}

#[tokio::test]
async fn arguments_that_fit_pass_byte_for_byte() {
    let bench = bench(&json!({}));
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"free","arguments":{"n": 12345678901234567890.0001, "m":1e2}}}"#;
    let outcome = bench.post(text).send().await;
    assert!(was_called(&outcome));
    assert_eq!(outcome.reached.last().unwrap().message.bytes(), text);
    let outcome = call(&bench, "send", json!({ "to": "a@b", "copies": 2.0, "when": null })).await;
    assert!(was_called(&outcome) && outcome.message()["result"]["structuredContent"]["id"] == 1);
    assert!(decisions(&outcome).is_empty());
}

#[tokio::test]
async fn a_client_of_2026_07_28_gets_a_complete_result() {
    let bench = bench(&json!({}));
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
    let params = json!({ "name": "send", "arguments": { "to": 1 }, "_meta": meta });
    let outcome = bench.call("tools/call", params).header("mcp-protocol-version", "2026-07-28").send().await;
    let result = &outcome.message()["result"];
    assert_eq!((&result["isError"], &result["resultType"]), (&json!(true), &json!("complete")));
}

#[tokio::test]
async fn what_is_tried_out_first_is_only_counted() {
    let bench = bench(&json!({ "arguments": "warn" }));
    let outcome = call(&bench, "send", json!({ "to": 1 })).await;
    assert!(was_called(&outcome));
    assert_eq!(decisions(&outcome), [("arguments".to_owned(), "would_deny")]);
    let unknown = call(&bench, "no_such_tool", json!({})).await;
    assert!(was_called(&unknown));
    let expected = [("arguments".to_owned(), "would_deny"), ("results".to_owned(), "would_deny")];
    assert_eq!(decisions(&unknown), expected);
}

#[tokio::test]
async fn what_is_off_is_not_looked_at() {
    let bench = bench(&json!({ "arguments": "off", "results": "off" }));
    let outcome = call(&bench, "send", json!({ "to": 1 })).await;
    assert_eq!((was_called(&outcome), outcome.reached.len()), (true, 1));
    let bench = self::bench(&json!({ "exceptTools": ["send"] }));
    let outcome = call(&bench, "send", json!({ "to": 1 })).await;
    assert_eq!((was_called(&outcome), outcome.reached.len()), (true, 1));
}

#[tokio::test]
async fn a_tool_of_which_the_upstream_says_nothing_is_not_called() {
    let bench = bench(&json!({}));
    let outcome = call(&bench, "no_such_tool", json!({})).await;
    assert_eq!((was_called(&outcome), reason(&outcome)), (false, Some("schema_unusable")));
    assert_eq!(decisions(&outcome), [("arguments".to_owned(), "denied")]);

    let mute = Bench::of::<ArgumentValidation>(&json!({})).upstream(|message| result(message, &json!({})));
    assert_eq!(reason(&call(&mute, "send", json!({})).await), Some("schema_unusable"));
    let bare = upstream(&json!({}), json!([{ "name": "send" }]), json!({}));
    let outcome = call(&bare, "send", json!({})).await;
    assert!(outcome.message()["error"]["message"].as_str().unwrap().contains("the tool has none"));
}

#[tokio::test]
async fn who_is_not_connected_is_told_which_tool_connects() {
    let mute = Bench::of::<ArgumentValidation>(&json!({})).upstream(|message| result(message, &json!({})));
    let params = json!({ "name": "send", "arguments": {} });
    let outcome = mute.call("tools/call", params).fact(connectable()).send().await;
    let remedy = outcome.message()["error"]["data"]["remedy"].as_str().unwrap();
    assert!(!was_called(&outcome) && remedy.contains("connect_linear"), "{remedy}");
    let connect = mute.call("tools/call", json!({ "name": "connect_linear" })).fact(connectable()).send().await;
    assert!(was_called(&connect), "the tool by which people connect always passes");
}

#[tokio::test]
async fn the_upstream_is_asked_once_and_a_definition_that_changed_is_asked_for_before_a_call_is_refused() {
    let lists = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lists);
    let bench = Bench::of::<ArgumentValidation>(&json!({})).upstream(move |message| {
        if message.method() != Some(&Method::ListTools) {
            return result(message, &json!({ "content": [] }));
        }
        // The client's own list shows the first definition; since then the tool takes text.
        let kind = if count.fetch_add(1, Ordering::SeqCst) == 0 { "integer" } else { "string" };
        let schema = json!({ "type": "object", "properties": { "n": { "type": kind } } });
        let list = json!({ "tools": [{ "name": "count", "inputSchema": schema }] });
        stream([format!(r#"{{"jsonrpc":"2.0","id":{},"result":{list}}}"#, message.id().unwrap())])
    });
    let listed = bench.call("tools/list", json!({})).send().await;
    assert_eq!(listed.message()["result"]["tools"][0]["name"], "count");
    for _ in 0..3 {
        assert!(was_called(&call(&bench, "count", json!({ "n": 1 })).await));
        assert_eq!(lists.load(Ordering::SeqCst), 1, "what passed by is known");
    }
    assert!(was_called(&call(&bench, "count", json!({ "n": "one" })).await));
    assert!(!was_called(&call(&bench, "count", json!({ "n": 1 })).await));
    assert_eq!(lists.load(Ordering::SeqCst), 2, "and not for each call that is refused");
}

#[tokio::test(start_paused = true)]
async fn of_many_first_calls_at_once_one_asks_for_the_list_and_a_client_that_goes_away_takes_it_from_nobody() {
    let lists = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lists);
    let bench = Bench::of::<ArgumentValidation>(&json!({})).slow_upstream(Duration::from_secs(1), move |message| {
        if message.method() != Some(&Method::ListTools) {
            return result(message, &json!({ "content": [] }));
        }
        count.fetch_add(1, Ordering::SeqCst);
        result(message, &json!({ "tools": definitions() }))
    });
    let bench = Arc::new(bench);
    let call_of = |who: &'static str| {
        let bench = Arc::clone(&bench);
        async move {
            let who: Caller = Identity { subject: who.into(), ..Identity::default() }.into();
            bench.call("tools/call", json!({ "name": "free", "arguments": {} })).fact(who).send().await
        }
    };
    let first = tokio::spawn(call_of("ada"));
    sleep(Duration::from_millis(500)).await;
    let all: JoinSet<_> = (0..100).map(|_| call_of("ada")).collect();
    sleep(Duration::from_millis(100)).await;
    first.abort();
    assert!(all.join_all().await.iter().all(was_called));
    assert_eq!(lists.load(Ordering::SeqCst), 1, "that of the client that went away was never answered");
    assert!(was_called(&call_of("bob").await));
    assert_eq!(lists.load(Ordering::SeqCst), 2, "bob's own list is asked for");
}

#[tokio::test]
async fn what_one_caller_was_told_is_not_held_against_another() {
    let bench = bench(&json!({}));
    let caller = |subject: &str| -> Caller { Identity { subject: subject.into(), ..Identity::default() }.into() };
    let call_of =
        |who: &str| bench.call("tools/call", json!({ "name": "free", "arguments": {} })).fact(caller(who)).send();
    assert_eq!((call_of("ada").await.reached.len(), call_of("ada").await.reached.len()), (2, 1));
    assert_eq!(call_of("bob").await.reached.len(), 2, "bob's own list is asked for");
}

// Results.

async fn result_of(options: &Value, said: Value) -> Outcome {
    call(&upstream(options, definitions(), said), "send", json!({ "to": "a@b" })).await
}

#[tokio::test]
async fn a_result_that_does_not_fit_is_counted_or_not_shown() {
    for said in [json!({ "structuredContent": { "id": "s3cret" }, "content": [] }), json!({ "content": [] })] {
        let warned = result_of(&json!({}), said.clone()).await;
        assert_eq!(warned.message()["result"], said);
        assert_eq!(decisions(&warned), [("results".to_owned(), "would_deny")]);
        assert!(warned.facts.get::<Reason>().is_none());

        let blocked = result_of(&json!({ "results": "block" }), said).await;
        assert_eq!(reason(&blocked), Some("invalid_result"));
        let error = &blocked.message()["error"];
        assert!(error["message"].as_str().unwrap().starts_with(r#"The call of "send" was made."#), "{error}");
        assert!(was_called(&blocked) && !blocked.message().to_string().contains("s3cret"));
        assert_eq!(decisions(&blocked), [("results".to_owned(), "denied")]);
    }
}

#[tokio::test]
async fn a_result_in_a_stream_is_judged_when_it_comes_and_what_comes_before_it_passes() {
    let bench = Bench::of::<ArgumentValidation>(&json!({ "results": "block" })).upstream(|message| {
        if message.method() == Some(&Method::ListTools) {
            return result(message, &json!({ "tools": definitions() }));
        }
        stream([
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"id":"x"}}}"#,
        ])
    });
    let outcome = call(&bench, "send", json!({ "to": "a@b" })).await;
    assert_eq!((outcome.streamed, outcome.messages.len()), (true, 2));
    assert_eq!(outcome.messages[0]["method"], "notifications/progress");
    assert_eq!(outcome.reason(), Some("invalid_result"));
}

#[tokio::test]
async fn errors_questions_and_tools_without_an_output_schema_are_not_judged() {
    for said in [
        json!({ "isError": true, "content": [], "structuredContent": { "why": "full" } }),
        json!({ "resultType": "input_required", "inputRequests": {} }),
        json!({ "task": { "taskId": "t1", "status": "working" } }),
        json!({ "structuredContent": { "id": 7, "more": 1 }, "content": [] }),
    ] {
        let outcome = result_of(&json!({ "results": "block" }), said.clone()).await;
        assert_eq!(outcome.message()["result"], said);
        assert!(decisions(&outcome).is_empty());
    }
    let bench = upstream(&json!({ "results": "block" }), definitions(), json!({ "structuredContent": 5 }));
    assert_eq!(call(&bench, "free", json!({})).await.message()["result"]["structuredContent"], 5);
    let failed =
        Bench::of::<ArgumentValidation>(&json!({ "results": "block" })).upstream(|message| match message.method() {
            Some(Method::ListTools) => result(message, &json!({ "tools": definitions() })),
            _ => body(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"full"}}"#),
        });
    assert_eq!(call(&failed, "send", json!({ "to": "a@b" })).await.message()["error"]["code"], -32000);
}

#[tokio::test]
async fn sec_a_result_that_calls_itself_unfinished_is_judged_all_the_same_if_it_has_structured_content() {
    for mut said in [json!({ "resultType": "input_required" }), json!({ "task": { "taskId": "t" } })] {
        said["structuredContent"] = json!({ "id": "x" });
        assert_eq!(reason(&result_of(&json!({ "results": "block" }), said).await), Some("invalid_result"));
    }
    let odd = json!({ "isError": "true", "structuredContent": { "id": "x" } });
    assert_eq!(reason(&result_of(&json!({ "results": "block" }), odd).await), Some("invalid_result"));
}

#[tokio::test]
async fn the_result_of_a_task_is_one_of_the_tool_that_it_began_with() {
    let bench = Bench::of::<ArgumentValidation>(&json!({ "results": "block" })).upstream(|message| {
        let task = message.target().map(|(_, name)| name.to_owned()).unwrap_or_default();
        let said =
            json!({ "content": [], "structuredContent": { "id": if task == "good" { json!(1) } else { json!("x") } } });
        match message.method() {
            Some(Method::ListTools) => result(message, &json!({ "tools": definitions() })),
            Some(Method::CallTool) if message.params().unwrap().contains("a@good") => {
                result(message, &json!({ "task": { "taskId": "good", "status": "working" } }))
            }
            Some(Method::CallTool) => result(message, &json!({ "resultType": "task", "taskId": "bad" })),
            Some(Method::GetTask) if task == "good" => {
                result(message, &json!({ "status": "completed", "result": said }))
            }
            Some(Method::GetTask) if task == "new" => result(message, &json!({ "status": "working" })),
            _ => result(message, &said),
        }
    });
    for to in ["a@good", "a@bad"] {
        assert!(was_called(&call(&bench, "send", json!({ "to": to })).await));
    }
    let of = |method: &'static str, task: &'static str| bench.call(method, json!({ "taskId": task })).send();
    assert_eq!(of("tasks/result", "good").await.message()["result"]["structuredContent"]["id"], 1);
    assert_eq!(of("tasks/get", "good").await.message()["result"]["status"], "completed");
    assert_eq!(of("tasks/result", "bad").await.reason(), Some("invalid_result"));
    assert_eq!(of("tasks/get", "new").await.message()["result"]["status"], "working");
    let forgotten = of("tasks/result", "other").await;
    assert!(forgotten.message()["error"]["message"].as_str().unwrap().contains("which tool the task began with"));
}

#[test]
fn calls_are_compared_as_the_upstream_will_see_them_and_before_a_credential_is_taken() {
    let kind = PolicyKind::of::<ArgumentValidation>();
    assert!(kind.before.contains(&Fact::UPSTREAM_CREDENTIAL) && kind.gives.contains(&Fact::VALIDATED_CALL));
    for outer in crate::STANDARD.iter().filter(|kind| ["mcp-rules", "mcp-capability-filter"].contains(&kind.name)) {
        assert!(outer.before.contains(&Fact::VALIDATED_CALL), "{}", outer.name);
    }
}
