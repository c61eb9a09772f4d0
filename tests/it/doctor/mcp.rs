//! What the MCP server itself answers.

use serde_json::{Value, json};

use super::{examine, examine_with};
use crate::harness::{Answer, Received, Upstream};

#[tokio::test]
async fn a_server_without_tools_is_told_from_one_that_does_not_say_which() {
    for (outcome, code, exit_code) in [
        (json!({ "result": { "tools": [] } }), "no_tools", 0),
        (json!({ "error": { "code": -32603, "message": "the database is away" } }), "tools_refused", 7),
    ] {
        let upstream = Upstream::new(move |request| {
            if !request.head.starts_with("POST ") {
                return Answer::status(405);
            }
            let message = request.message();
            if message["method"] == "server/discover" {
                return Answer::json(&request.result(&json!({ "supportedVersions": ["2026-07-28"] })));
            }
            let refused = json!({ "error": { "code": -32601, "message": "unknown" } });
            let mut answer = if message["method"] == "tools/list" { outcome.clone() } else { refused };
            answer["jsonrpc"] = json!("2.0");
            answer["id"] = message["id"].clone();
            Answer::json(&answer)
        })
        .await;
        let seen = examine(&upstream.url()).await;
        assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(exit_code)), "{}", seen.printed);
        assert_eq!(seen.check("revisions"), ("ok", "server/discover: 2026-07-28"));
    }
}

#[tokio::test]
async fn a_server_that_refuses_both_eras_is_told_with_its_own_words() {
    let upstream = Upstream::new(|request| {
        if !request.head.starts_with("POST ") {
            return Answer::status(405);
        }
        let error = json!({ "code": -32000, "message": "the licence has ended" });
        Answer::json(&json!({ "jsonrpc": "2.0", "id": request.message()["id"], "error": error }))
    })
    .await;
    let seen = examine(&upstream.url()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["no_revision"], Some(7)), "{}", seen.printed);
    assert!(seen.check("revisions").1.contains("the licence has ended"), "{}", seen.printed);
}

#[tokio::test]
async fn a_get_that_fails_is_a_warning() {
    let upstream = Upstream::new(|request| {
        if !request.head.starts_with("POST ") {
            return Answer::body(500, "text/html", "<h1>Internal Server Error</h1>");
        }
        let result = json!({ "supportedVersions": ["2026-07-28"], "tools": [{ "name": "a" }] });
        Answer::json(&request.result(&result))
    })
    .await;
    let seen = examine(&upstream.url()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["get_unexpected"], Some(0)), "{}", seen.printed);
    assert_eq!(seen.report["state"], "warning");
}

/// A server that stands for itself in each request, with so many tools.
fn with_tools(request: &Received, tools: usize, capabilities: &Value) -> Answer {
    if !request.head.starts_with("POST ") {
        return Answer::status(405);
    }
    let tools = vec![json!({ "name": "a" }); tools];
    let result = json!({ "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "tools": tools });
    if request.message()["method"] == "initialize" {
        let error = json!({ "code": -32601, "message": "unknown" });
        return Answer::json(&json!({ "jsonrpc": "2.0", "id": request.message()["id"], "error": error }));
    }
    Answer::json(&request.result(&result))
}

#[tokio::test]
async fn zero_tools_are_told_apart_another_path_has_them_the_token_hides_them_or_the_server_has_none() {
    let tools = json!({ "tools": {} });
    let elsewhere = {
        let tools = tools.clone();
        Upstream::new(move |request| with_tools(request, if request.path() == "/mcp/v1" { 3 } else { 0 }, &tools)).await
    };
    let seen = examine(&elsewhere.url()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["tools_elsewhere"], Some(0)), "{}", seen.printed);
    assert!(seen.check("tools").1.contains("with 3 tools"), "{}", seen.printed);
    let fix = seen.report["diagnosis"][0]["fix"].as_str().unwrap();
    assert_eq!(fix, format!("Give clients {}/v1 as the URL.", elsewhere.url()));

    let hidden = Upstream::new(move |request| {
        let path = request.path() == "/mcp" && request.header("authorization").is_none();
        with_tools(request, if path { 2 } else { 0 }, &tools)
    })
    .await;
    let seen = examine_with(&[&hidden.url(), "--token", "canary"], &[]).await;
    assert_eq!(seen.codes(), ["token_hides_tools"], "{}", seen.printed);
    assert!(seen.check("tools").1.contains("without the token: 2 tools"), "{}", seen.printed);
    // It is for the typed URL, whoever else is at this origin.
    let carried = |request: &&Received| request.header("authorization").is_some();
    assert!(hidden.requests().iter().filter(carried).all(|request| request.path() == "/mcp"));

    let without = Upstream::new(|request| with_tools(request, 0, &json!({ "prompts": {}, "resources": {} }))).await;
    let seen = examine(&without.url()).await;
    assert_eq!(seen.codes(), ["no_tools_capability"], "{}", seen.printed);
    assert!(seen.check("tools").1.contains("the capabilities prompts, resources"), "{}", seen.printed);
}

#[tokio::test]
async fn at_a_wrong_path_the_right_one_is_looked_for_in_few_requests_and_its_sessions_are_ended() {
    let upstream = Upstream::new(|request| match (request.path(), request.head.split(' ').next()) {
        ("/mcp/v1", Some("DELETE")) => Answer::status(204),
        ("/mcp/v1", Some("POST")) => {
            let result = json!({ "protocolVersion": "2025-11-25", "tools": [{ "name": "a" }] });
            Answer::json(&request.result(&result)).header("Mcp-Session-Id", "one")
        }
        _ => Answer::status(404),
    })
    .await;
    let seen = examine(&upstream.url()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["not_found"], Some(5)), "{}", seen.printed);
    let fix = seen.report["diagnosis"][0]["fix"].as_str().unwrap();
    assert!(fix.contains(&format!("{}/v1", upstream.url())), "{fix}");
    let requests = upstream.requests();
    let beside = requests.iter().filter(|one| one.path() != "/mcp" && one.path() != "/mcp/v1").count();
    assert!(beside <= 6, "{requests:#?}");
    let ended = requests.iter().filter(|one| one.head.starts_with("DELETE /mcp/v1 ")).count();
    assert_eq!(ended, 1, "{requests:#?}");
}

#[tokio::test]
async fn a_path_beside_the_typed_one_is_known_by_its_session_also_where_that_wants_to_begin_first() {
    let upstream = Upstream::new(|request| {
        let in_session = request.header("mcp-protocol-version") == Some("2025-06-18");
        match (request.path(), request.head.split(' ').next()) {
            ("/mcp/v1", Some("POST")) if request.message()["method"] == "initialize" => {
                let result = json!({ "protocolVersion": "2025-06-18" });
                Answer::json(&request.result(&result)).header("Mcp-Session-Id", "one")
            }
            ("/mcp/v1", Some("POST")) if !in_session => Answer::status(400),
            ("/mcp/v1", Some("POST")) if request.message().get("id").is_none() => Answer::status(202),
            ("/mcp/v1", Some("POST")) => {
                let error = json!({ "code": -32603, "message": "the database is away" });
                Answer::json(&json!({ "jsonrpc": "2.0", "id": request.message()["id"], "error": error }))
            }
            ("/mcp/v1", _) if in_session => Answer::status(204),
            _ => Answer::status(404),
        }
    })
    .await;
    let seen = examine(&upstream.url()).await;
    assert_eq!(seen.codes(), ["not_found"], "{}", seen.printed);
    assert!(seen.check("answer").1.contains("an MCP server is at"), "{}", seen.printed);
    let requests = upstream.requests();
    let told: Vec<_> = requests.iter().filter(|one| one.path() == "/mcp/v1").map(|one| &one.head[..4]).collect();
    assert_eq!(told, ["POST", "POST", "POST", "DELE"], "{requests:#?}");
    assert!(
        requests.iter().any(|one| one.path() == "/mcp/v1" && one.message()["method"] == "notifications/initialized")
    );
}

#[tokio::test]
async fn a_session_is_ended_also_where_the_answer_that_opened_it_is_no_good() {
    let error = json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32000, "message": "the licence has ended" } });
    for (opened, code) in [
        (Answer::json(&error), "no_revision"),
        (Answer::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} })), "no_revision"),
        (Answer::json(&error), "no_answer"),
    ] {
        let opened = opened.header("Mcp-Session-Id", "one");
        let length = opened.bytes().len();
        let opened = if code == "no_answer" { opened.cut_after(length - 5) } else { opened };
        let upstream = Upstream::new(move |request| match request.head.split(' ').next() {
            Some("POST") if request.message()["method"] == "initialize" => opened.clone(),
            Some("DELETE") => Answer::status(204),
            _ => Answer::status(400),
        })
        .await;
        let seen = examine(&upstream.url()).await;
        assert_eq!(seen.codes(), [code], "{}", seen.printed);
        let requests = upstream.requests();
        let begun = requests.iter().filter(|one| one.head.starts_with("POST ")).map(|one| one.message());
        let begun = begun.filter(|message| message["method"] == "initialize").count();
        let ended = requests.iter().filter(|one| one.head.starts_with("DELETE ")).count();
        assert_eq!(ended, begun, "{requests:#?}");
    }
}

#[tokio::test]
async fn an_open_server_that_refuses_the_list_is_not_told_to_have_had_a_good_token() {
    let upstream = Upstream::new(|request| match request.head.split(' ').next() {
        Some("POST") if request.message()["method"] == "server/discover" => {
            Answer::json(&request.result(&json!({ "supportedVersions": ["2026-07-28"] })))
        }
        Some("POST") if request.message()["method"] == "initialize" => Answer::json(&request.result(&json!({}))),
        Some("POST") => Answer::status(403),
        _ => Answer::status(405),
    })
    .await;
    let seen = examine(&upstream.url()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["forbidden"], Some(5)), "{}", seen.printed);
}

#[tokio::test]
async fn the_older_transport_is_known_by_its_endpoint_event_and_has_a_code_of_its_own() {
    let upstream = Upstream::new(|request| match (request.path(), request.head.split(' ').next()) {
        ("/sse", Some("GET")) => Answer::events().write("event: endpoint\ndata: /messages?id=1\n\n").then_silence(),
        ("/sse", _) => Answer::status(405),
        _ => Answer::status(404),
    })
    .await;
    let at = upstream.url().replace("/mcp", "/sse");
    let seen = examine(&at).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["only_http_sse"], Some(5)), "{}", seen.printed);
    // From the path where it was looked for, too.
    let seen = examine(&upstream.url()).await;
    assert_eq!(seen.codes(), ["not_found"], "{}", seen.printed);
    assert!(seen.check("answer").1.contains("older HTTP+SSE transport is at"), "{}", seen.printed);
}

#[tokio::test]
async fn where_the_time_goes_is_evidence_and_a_warning_only_when_people_would_not_wait() {
    let upstream = Upstream::new(|request| {
        let answer = with_tools(request, 1, &json!({ "tools": {} })).header("Server-Timing", "upstream;dur=53");
        let is_late = request.header("authorization").is_some() && request.head.contains("tools/list");
        if is_late { Answer::raw("").pause(5200).write(answer.bytes()) } else { answer }
    })
    .await;
    let seen = examine(&upstream.url()).await;
    seen.is_healthy();
    let (_, told) = seen.check("latency");
    for part in ["connect ", "first byte ", "server-timing: upstream;dur=53"] {
        assert!(told.contains(part), "{told}");
    }
    let seen = examine_with(&[&upstream.url(), "--token", "canary"], &[]).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["slow_answer"], Some(0)), "{}", seen.printed);
    let verify = seen.report["diagnosis"][0]["verify"].to_string();
    assert!(verify.contains("-X POST") && verify.contains("%{time_starttransfer}"), "{verify}");
}

#[tokio::test]
async fn a_long_token_that_a_server_repeats_in_its_times_is_not_shown_in_part() {
    let token = "canary-".repeat(40);
    let upstream = Upstream::new(|request| {
        let shown = request.header("authorization").unwrap_or_default().to_owned();
        with_tools(request, 1, &json!({ "tools": {} })).header("Server-Timing", &shown)
    })
    .await;
    let seen = examine_with(&[&upstream.url(), "--token", &token], &[]).await;
    assert!(seen.check("latency").1.contains("server-timing: Bearer …"), "{}", seen.printed);
    assert!(!seen.printed.contains("canary"), "{}", seen.printed);
}

#[tokio::test]
async fn a_list_without_an_end_is_not_told_as_if_it_had_one() {
    let upstream = Upstream::new(|request| {
        let tools = json!([{ "name": "a" }]);
        let result = json!({ "supportedVersions": ["2026-07-28"], "tools": tools, "nextCursor": "more" });
        if request.head.starts_with("POST ") { Answer::json(&request.result(&result)) } else { Answer::status(405) }
    })
    .await;
    let seen = examine(&upstream.url()).await;
    assert_eq!(seen.check("tools"), ("ok", "at least 50 tools"), "{}", seen.printed);
}
