//! Calls compared with the tools' own schemas, through a running gateway.

use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, Request, Route, Setup, Upstream, call, modern};

async fn gateway(route: Route, options: &Value) -> Gateway {
    Setup::new().route("/mcp", route.policy("argument-validation", options)).start().await
}

async fn ask(gateway: &Gateway, tool: &str, arguments: &Value) -> Value {
    gateway.ask(&Request::post("/mcp", &call(1, tool, arguments))).await.messages().pop().unwrap()
}

/// The pointers of a refusal.
fn misfits(outcome: &Value) -> &Value {
    &outcome["result"]["_meta"]["portcullis/refusal"]["misfits"]
}

#[tokio::test]
async fn a_call_of_a_demo_tool_with_a_wrong_argument_is_refused_with_its_place() {
    let gateway = gateway(Route::demo(), &json!({})).await;
    let outcome = ask(&gateway, "echo", &json!({ "text": 5 })).await;
    assert_eq!((&outcome["result"]["isError"], misfits(&outcome)), (&json!(true), &json!(["/text"])), "{outcome}");
    assert_eq!(ask(&gateway, "echo", &json!({ "text": "hello" })).await["result"]["content"][0]["text"], "hello");
    let metrics = gateway.ask(&Request::get("/metrics")).await;
    for wanted in [
        r#"outcome="denied",policy="argument-validation",route="/mcp",rule="arguments""#,
        r#"portcullis_refusals_total{reason="invalid_arguments"} 1"#,
    ] {
        assert!(metrics.text().contains(wanted), "{wanted}: {}", metrics.text());
    }
}

#[tokio::test]
async fn what_the_demo_server_answers_fits_what_it_promises_in_both_eras() {
    let gateway = gateway(Route::demo(), &json!({ "results": "block" })).await;
    let calls = [
        ("list_notes", json!({})),
        ("search_notes", json!({ "query": "a" })),
        ("write_note", json!({ "title": "t", "text": "x" })),
        ("count_slowly", json!({ "to": 2, "delay_ms": 10 })),
    ];
    for (tool, arguments) in calls {
        let outcome = ask(&gateway, tool, &arguments).await;
        assert!(outcome["result"]["content"].is_array() && outcome["result"]["isError"] != true, "{tool}: {outcome}");
    }
    let listed = gateway.ask(&modern("/mcp", 1, "list_notes")).await.messages().pop().unwrap();
    assert!(listed["result"]["structuredContent"].is_object(), "{listed}");
    let wrong = gateway.ask(&modern("/mcp", 2, "echo")).await.messages().pop().unwrap();
    assert_eq!((&wrong["result"]["resultType"], misfits(&wrong)), (&json!("complete"), &json!([""])), "{wrong}");
}

#[tokio::test]
async fn the_upstream_sees_its_list_asked_for_and_the_calls_that_fit() {
    let upstream = Upstream::new(|request| {
        if request.message()["method"] != "tools/list" {
            return Answer::json(&request.says("done"));
        }
        let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
        Answer::json(&request.result(&json!({ "tools": [{ "name": "count", "inputSchema": schema }] })))
    })
    .await;
    let gateway = gateway(Route::to(&upstream), &json!({})).await;
    assert_eq!(*misfits(&ask(&gateway, "count", &json!({ "n": "s3cret" })).await), json!(["/n"]));
    let seen = || upstream.requests().iter().map(|request| request.message()["method"].clone()).collect::<Vec<_>>();
    assert_eq!(seen(), ["tools/list"]);
    assert_eq!(ask(&gateway, "count", &json!({ "n": 1 })).await["result"]["content"][0]["text"], "done");
    assert_eq!(seen(), ["tools/list", "tools/call"]);
    let unknown = ask(&gateway, "discount", &json!({ "n": 1 })).await;
    assert_eq!(unknown["error"]["data"]["reason"], "schema_unusable");
    assert_eq!(seen(), ["tools/list", "tools/call"]);
}
