//! Rules about calls, through a running gateway.

use serde_json::{Value, json};

use crate::harness::{Gateway, OAuthClient, Request, Route, Setup, call, list_tools};

/// Everybody reads, only Ada deletes, and what is written must have a short title.
fn rules() -> Value {
    json!({ "rules": [
        { "name": "echo soon ends", "match": { "tools": ["echo"] }, "action": "deny", "mode": "shadow" },
        { "name": "reading", "match": { "annotations": { "readOnlyHint": true } }, "action": "allow" },
        { "name": "ada deletes", "match": { "tools": ["delete_note"], "users": [{ "glob": "*ada" }] }, "action": "allow" },
        { "name": "nobody else does", "match": { "annotations": { "destructiveHint": true }, "tools": [{ "glob": "delete_*" }] },
          "action": "deny", "remedy": "Ask Ada." },
        { "name": "short titles", "match": { "tools": ["write_note"], "when": "size(arguments.title) <= 5" }, "action": "allow" },
    ] })
}

async fn gateway() -> Gateway {
    let route = Route::demo().policy("dev-login", &json!({})).policy("mcp-rules", &rules());
    Setup::new().route("/mcp", route).start().await
}

async fn token(gateway: &Gateway, who: &str) -> String {
    OAuthClient::register(gateway).await.sign_in(gateway, "/mcp", who).await.access
}

fn signed(token: &str, message: &Value) -> Request {
    Request::post("/mcp", message).header("authorization", &format!("Bearer {token}"))
}

#[tokio::test]
async fn the_list_and_the_calls_of_each_person_are_judged_by_the_same_rules() {
    let gateway = gateway().await;
    for (who, deletes) in [("ada", true), ("bob", false)] {
        let token = token(&gateway, who).await;
        // The first thing that this person does: nothing has been listed yet.
        let reply = gateway.ask(&signed(&token, &call(1, "delete_note", &json!({ "id": "1" })))).await.json();
        assert_eq!(reply["error"]["data"]["reason"] == "denied_by_rule", !deletes, "{who}: {reply}");
        if !deletes {
            let data = &reply["error"]["data"];
            assert_eq!((&data["rule"], &data["remedy"]), (&json!("nobody else does"), &json!("Ask Ada.")));
        }
        let list = gateway.ask(&signed(&token, &list_tools(2))).await.json();
        let tools = list["result"]["tools"].as_array().unwrap();
        let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names.contains(&"delete_note"), deletes, "{who}: {names:?}");
        assert!(names.contains(&"list_notes") && names.contains(&"write_note"), "{names:?}");
        assert_eq!(gateway.ask(&signed(&token, &call(3, "list_notes", &json!({})))).await.status, 200);
    }
}

#[tokio::test]
async fn arguments_decide_and_what_decided_is_counted_by_the_rule_s_name() {
    let gateway = gateway().await;
    let token = token(&gateway, "ada").await;
    let write = |id: u64, title: &str| call(id, "write_note", &json!({ "title": title, "text": "x" }));
    assert!(gateway.ask(&signed(&token, &write(1, "short"))).await.json()["result"].is_object());
    let long = gateway.ask(&signed(&token, &write(2, "far too long"))).await;
    assert_eq!(long.reason(), "denied_by_rule");
    assert_eq!(long.json()["error"]["data"]["rule"], Value::Null, "no rule allows it: {}", long.text());
    assert_eq!(gateway.ask(&signed(&token, &call(3, "echo", &json!({ "text": "hello" })))).await.said(), "hello");
    let metrics = gateway.ask(&Request::get("/metrics")).await;
    for wanted in [
        r#"outcome="allowed",policy="mcp-rules",route="/mcp",rule="short titles""#,
        r#"outcome="would_deny",policy="mcp-rules",route="/mcp",rule="echo soon ends""#,
    ] {
        assert!(metrics.text().contains(wanted), "{wanted}: {}", metrics.text());
    }
}
