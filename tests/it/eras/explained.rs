//! What `explain` says about the eras of a route.

use serde_json::{Value, json};

use super::{error, introduction, method, welcome};
use crate::harness::{Answer, Received, Route, Setup, Upstream, run};

/// What `explain` says of a route to this upstream, in words and as JSON.
async fn explained(route: Route, arguments: &[&str]) -> (String, Value) {
    let folder = Setup::new().route("/mcp", route).into_folder();
    let file = folder.path().join("routes.json").to_str().unwrap().to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let explaining = tokio::task::spawn_blocking(move || {
        let mut all = vec!["explain", "/mcp", "--config", &file];
        all.extend(arguments.iter().map(String::as_str));
        let words = run(&all, &[]);
        assert!(words.status.success(), "{words:?}");
        all.push("--json");
        (words.stdout, run(&all, &[]).stdout)
    });
    let (words, json) = explaining.await.unwrap();
    (String::from_utf8(words).unwrap(), serde_json::from_slice::<Value>(&json).unwrap()[0].take())
}

fn listed(request: &Received) -> Answer {
    let empty = json!({ "tools": [], "prompts": [], "resources": [], "resourceTemplates": [] });
    Answer::json(&request.result(&empty))
}

#[tokio::test]
async fn tr_25_explain_says_what_the_upstream_speaks_and_what_cannot_be_translated() {
    let with_sessions = Upstream::new(|request| match (method(request).as_str(), request.header("mcp-session-id")) {
        ("initialize", _) => Answer::json(&welcome(request)).header("Mcp-Session-Id", "upstream-session-1"),
        (_, Some(_)) => listed(request),
        _ => Answer::body(400, "application/json", error(request, -32000).to_string()),
    })
    .await;
    let (words, json) = explained(Route::to(&with_sessions), &[]).await;
    assert_eq!(json["upstreamEras"], json!(["legacy"]), "{words}");
    assert_eq!(json["era"], "both");
    assert!(json["notTranslated"]["modernClients"].is_array() && json["notTranslated"]["legacyClients"].is_null());
    for said in
        ["speaks MCP up to 2025-11-25, with sessions\n", "clients of 2026-07-28 are translated for", "- `tasks/*`"]
    {
        assert!(words.contains(said), "{said}: {words}");
    }
    let (_, json) = explained(Route::to(&with_sessions).era("upstream"), &[]).await;
    assert_eq!((&json["era"], &json["notTranslated"]), (&json!("upstream"), &json!({})), "nothing is translated");

    let without = Upstream::new(|request| match method(request).as_str() {
        "initialize" => Answer::body(400, "application/json", error(request, -32601).to_string()),
        "server/discover" => Answer::json(&introduction(request, &["2026-07-28"])),
        _ => listed(request),
    })
    .await;
    let (words, json) = explained(Route::to(&without), &[]).await;
    assert_eq!(json["upstreamEras"], json!(["modern"]), "{words}");
    assert!(json["notTranslated"]["legacyClients"].is_array() && json["notTranslated"]["modernClients"].is_null());

    let (words, json) = explained(Route::demo(), &[]).await;
    assert_eq!((&json["upstreamEras"], &json["notTranslated"]), (&json!(["legacy", "modern"]), &json!({})), "{words}");
}

#[tokio::test]
async fn tr_25_explain_without_asking_the_upstream_lists_both_ways() {
    let (words, json) = explained(Route::url("http://127.0.0.1:9/mcp"), &["--offline"]).await;
    assert_eq!((&json["upstreamEras"], words.contains("    speaks ")), (&Value::Null, false));
    assert_eq!(json["notTranslated"].as_object().unwrap().len(), 2);
    let (_, json) = explained(Route::url("http://127.0.0.1:9/mcp").era("modern"), &["--offline"]).await;
    assert!(json["notTranslated"]["legacyClients"].is_null(), "they are not served");
}
