//! What the gateway writes down, and what it never writes.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::harness::{Answer, Process, Request, Route, Setup, Upstream, call, list_tools, modern, until};

const CANARY: &str = "canary-3f9a1c7e5b";

/// The access log's line about the newest request.
async fn access(gateway: &Process, words: &str) -> Value {
    serde_json::from_str(&gateway.says(words).await).unwrap()
}

#[tokio::test]
async fn a_call_is_one_line_that_says_who_what_and_how_it_went() {
    let gateway = Setup::new().route("/mcp", Route::demo()).spawn();
    let reply = gateway.post(&call(1, "echo", &json!({ "text": "hello" }))).await;
    let line = access(&gateway, reply.header("x-request-id").unwrap()).await;
    assert_eq!(line["route"], "/mcp");
    assert_eq!(line["method"], "tools/call");
    assert_eq!(line["target"], "echo");
    assert_eq!((line["status"].clone(), line["client"].clone()), (200.into(), "127.0.0.1".into()));
    assert!(line["ms"].is_number() && line["timestamp"].is_string());

    let refused = gateway.ask(&Request::get("/mcp")).await;
    let line = access(&gateway, refused.header("x-request-id").unwrap()).await;
    assert_eq!((line["status"].clone(), line["reason"].clone()), (405.into(), "method_not_allowed".into()));
}

#[tokio::test]
async fn sec_d7_hostile_names_stay_on_one_line_and_are_escaped() {
    let hostile = [
        "\u{1b}[2J\u{1b}[31mowned",
        "a\nINFO access: forged=true",
        "a\r\nb",
        "tab\there\u{0}nul\u{7f}del\u{9b}csi",
        "\u{202e}gnitrats\u{2028}line\u{2029}par",
    ];
    for format in ["human", "json"] {
        let route = Route::demo().allow_unusual_names();
        let gateway = Setup::new().route("/mcp", route).gateway("log", json!({ "format": format })).spawn();
        // Once the line of a call is there, all that is said at the start is there too.
        let first = gateway.post(&list_tools(1)).await;
        gateway.says(first.header("x-request-id").unwrap()).await;
        for name in hostile {
            let before = gateway.lines().len();
            let reply = gateway.post(&call(1, name, &json!({}))).await;
            let line = gateway.says(reply.header("x-request-id").unwrap()).await;
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert_eq!(gateway.lines().len(), before + 1, "{name:?} became more than one line: {:?}", gateway.lines());
        }
        for path in ["/\u{1b}[2J", "/%0aforged", "/a b"] {
            let request = Request::post("/mcp", &list_tools(1)).target(path);
            gateway.ask(&request).await;
        }
        let evil = Request::post("/mcp", &list_tools(1)).with("Host", "evil.example\u{1b}[2J");
        gateway.ask(&evil).await;
        let method = json!({ "jsonrpc": "2.0", "id": 1, "method": "no\n\u{1b}[2Jsuch" });
        gateway.post(&method).await;
        gateway.ask(&Request::get("/healthz")).await;
        assert!(gateway.lines().iter().all(|line| !line.chars().any(char::is_control)), "{:?}", gateway.lines());
    }
}

#[tokio::test]
async fn long_names_are_cut() {
    let gateway = Setup::new().route("/mcp", Route::demo().allow_unusual_names()).spawn();
    let reply = gateway.post(&call(1, &"x".repeat(100_000), &json!({}))).await;
    let line = gateway.says(reply.header("x-request-id").unwrap()).await;
    assert!(line.len() < 2_000, "{} bytes", line.len());
}

#[tokio::test]
async fn an_access_log_that_is_not_wanted_is_not_written() {
    let gateway = Setup::new().route("/mcp", Route::demo()).gateway("log", json!({ "access": false })).spawn();
    let reply = gateway.post(&list_tools(1)).await;
    gateway.ask(&Request::get("/healthz")).await;
    assert!(gateway.line(reply.header("x-request-id").unwrap()).is_none());
}

#[tokio::test]
async fn sec_e5_a_secret_is_in_no_log_no_answer_and_no_report() {
    let upstream = Upstream::new(|request| match request.number {
        0 => Answer::json(&request.says("fine")),
        1 => Answer::status(401).header("WWW-Authenticate", CANARY),
        _ => Answer::hang_up(),
    })
    .await;
    let headers = json!({ "headers": [{ "name": "Authorization", "value": "Bearer $env(UPSTREAM_TOKEN)" }] });
    let log = json!({ "level": "trace" });
    let setup = Setup::new().route("/mcp", Route::to(&upstream).policy("set-headers", &headers));
    let broken = setup.text().replace("\"routes\"", "\"$env(UPSTREAM_TOKEN)\": 1, \"rotues\"");
    let gateway = setup.gateway("log", log).spawn_with(&[("UPSTREAM_TOKEN", CANARY)]);

    let mut answers = String::new();
    for _ in 0..3 {
        let request = Request::post("/mcp", &call(1, "f", &json!({})))
            .header("Authorization", &format!("Bearer client-{CANARY}"));
        let reply = gateway.ask(&request).await;
        write!(answers, "{reply:?}").unwrap();
    }
    assert_eq!(upstream.requests()[0].header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    answers += gateway.ask(&Request::get("/metrics")).await.text();
    gateway.write(&broken);
    gateway.says("stays").await;
    gateway.signal("TERM");
    let (_, written) = gateway.ended().await;
    assert!(!answers.contains(CANARY), "{answers}");
    for line in written {
        assert!(!line.contains(CANARY), "{line}");
    }
}

#[tokio::test]
async fn tr_10_what_a_client_puts_into_headers_of_parameters_is_in_no_log() {
    let upstream = Upstream::saying("fine").await;
    let setup = Setup::new().route("/mcp", Route::to(&upstream));
    let gateway = setup.gateway("log", json!({ "level": "debug" })).spawn();
    let good = modern("/mcp", 1, "f").header("Mcp-Param-Region", CANARY);
    assert_eq!(gateway.ask(&good).await.said(), "fine");
    assert_eq!(upstream.only_request().header("mcp-param-region"), Some(CANARY));
    let reply = gateway.ask(&good.clone().header("Mcp-Param-Region", CANARY)).await;
    assert_eq!(reply.reason(), "header_mismatch");
    gateway.says(reply.header("x-request-id").unwrap()).await;
    assert!(gateway.lines().iter().all(|line| !line.contains(CANARY)) && !reply.text().contains(CANARY));
}

#[tokio::test]
async fn what_went_wrong_behind_the_gateway_is_in_its_log() {
    let upstream = Upstream::new(|_| Answer::hang_up()).await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).spawn();
    let reply = gateway.post(&call(1, "f", &json!({}))).await;
    let line = access(&gateway, reply.header("x-request-id").unwrap()).await;
    assert_eq!(line["reason"], "upstream_closed");
    until("and why", || gateway.lines().iter().any(|line| line.contains("did not come"))).await;
}

#[tokio::test]
async fn a_client_that_comes_under_another_host_than_it_is_told_is_noticed_with_the_remedy() {
    let gateway = Setup::new().route("/mcp", Route::demo().policy("dev-login", &json!({}))).spawn();
    let port = gateway.address().await.port();
    let host = format!("localhost:{port}");
    let reply = gateway.ask(&Request::post("/mcp", &list_tools(1)).with("Host", &host)).await;
    assert_eq!(reply.status, 401);
    let line = gateway.says("under another host").await;
    assert!(line.contains(&host) && line.contains("gateway.publicUrl"), "{line}");
}
