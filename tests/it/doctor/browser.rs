//! Clients that are web pages.

use serde_json::json;

use super::{Examined, examine, examine_with, url, vendor};
use crate::harness::{Answer, Gateway, Received, Route, Setup, Upstream};

const PAGE: &str = "http://localhost:6274";

async fn as_inspector(url: &str) -> Examined {
    examine_with(&[url, "--client", "inspector"], &[]).await
}

#[tokio::test]
async fn a_server_that_lets_no_page_in_is_safe_and_a_fault_only_to_the_inspector() {
    let gateway = Gateway::with(Route::demo()).await;
    let seen = examine(&url(&gateway)).await;
    seen.is_healthy();
    let (state, evidence) = seen.check("browser");
    assert!(state == "ok" && evidence.contains("which is safe"), "{evidence}");
    let seen = as_inspector(&url(&gateway)).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["cors_refused"], Some(0)), "{}", seen.printed);
    assert!(seen.report["diagnosis"][0]["fix"].as_str().unwrap().contains("by its proxy"), "{}", seen.printed);
}

#[tokio::test]
async fn pr_10_a_gateway_that_lets_the_inspector_in_is_healthy_to_it_open_or_behind_a_sign_in() {
    let allowed = json!({ "allowedOrigins": [PAGE] });
    let open = Gateway::with(Route::demo().policy("cors", &allowed)).await;
    let route = Route::demo().policy("cors", &allowed).policy("dev-login", &json!({}));
    let signed_in = Setup::new().route("/mcp", route).start().await;
    for gateway in [&open, &signed_in] {
        let seen = as_inspector(&url(gateway)).await;
        seen.is_healthy();
        assert_eq!(seen.check("browser"), ("ok", "pages of http://localhost:6274 may use it"));
    }
}

#[tokio::test]
async fn pr_10_metadata_that_a_page_may_not_read_are_named() {
    let vendor = vendor().await;
    let seen = as_inspector(&vendor.url()).await;
    assert_eq!(
        seen.codes(),
        ["cors_refused", "cors_metadata_refused", "cors_metadata_refused"],
        "the resource's and the authorization server's: {}",
        seen.printed
    );
}

/// A server with sessions that answers the browser's question with `granted` and everything with `also`.
async fn with_headers(granted: &'static [(&str, &str)], also: &'static [(&str, &str)]) -> Upstream {
    let with = |answer: Answer, headers: &[(&str, &str)]| {
        headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
    };
    Upstream::new(move |request| match request.head.split(' ').next().unwrap_or_default() {
        "OPTIONS" => with(Answer::status(204), granted),
        "GET" => Answer::status(405),
        "DELETE" => Answer::status(200),
        _ => with(answer(request), also),
    })
    .await
}

fn answer(request: &Received) -> Answer {
    let result = match request.message()["method"].as_str().unwrap_or_default() {
        "notifications/initialized" => return Answer::status(202),
        "initialize" => json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": {} }),
        _ if request.header("mcp-session-id").is_none() => return Answer::status(400),
        _ => json!({ "tools": [{ "name": "a" }] }),
    };
    Answer::json(&request.result(&result)).header("Mcp-Session-Id", "one")
}

#[tokio::test]
async fn each_thing_that_keeps_a_page_out_is_named() {
    const ANY: (&str, &str) = ("Access-Control-Allow-Origin", "*");
    const SENT: (&str, &str) =
        ("Access-Control-Allow-Headers", "Content-Type, Authorization, MCP-Protocol-Version, Mcp-Session-Id");
    const SHOWN: (&str, &str) = ("Access-Control-Expose-Headers", "Mcp-Session-Id");
    for (granted, also, codes, words) in [
        (&[ANY, SENT][..], &[ANY, SHOWN][..], &[][..], "may use it"),
        (&[], &[ANY, SHOWN], &["cors_refused"], "no Access-Control-Allow-Origin"),
        (&[("Access-Control-Allow-Origin", "https://app.example")], &[], &["cors_refused"], "https://app.example"),
        // It stands for every header but this one.
        (&[ANY, ("Access-Control-Allow-Headers", "*")], &[ANY, SHOWN], &["cors_refused"], "no authorization in"),
        (&[ANY, SENT], &[SHOWN], &["cors_refused"], "POST from"),
        (&[ANY, SENT], &[ANY], &["cors_header_hidden"], "no mcp-session-id in"),
    ] {
        let upstream = with_headers(granted, also).await;
        let seen = as_inspector(&upstream.url()).await;
        assert_eq!(seen.codes(), codes, "{words}: {}", seen.printed);
        assert!(seen.check("browser").1.contains(words), "{words}: {}", seen.printed);
    }
}
