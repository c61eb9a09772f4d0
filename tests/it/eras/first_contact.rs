//! What the gateway finds out about an upstream, and at what price.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use super::{alone, error, introduction, method, methods};
use crate::harness::{Answer, Gateway, Received, Request, Upstream, initialize, modern};

#[tokio::test]
async fn tr_25_an_upstream_of_the_clients_own_era_is_asked_nothing() {
    let upstream = Upstream::saying("done").await;
    let gateway = Gateway::before(&upstream).await;
    for _ in 0..3 {
        assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.said(), "done");
    }
    assert_eq!(methods(&upstream), ["tools/call"; 3]);
}

#[tokio::test]
async fn tr_25_an_error_of_2026_07_28_stays_as_it_is() {
    for (status, code) in [(400, -32020), (400, -32021), (400, -32022), (404, -32601)] {
        let script =
            move |request: &Received| Answer::body(status, "application/json", error(request, code).to_string());
        let upstream = Upstream::new(script).await;
        let gateway = Gateway::before(&upstream).await;
        let reply = gateway.ask(&modern("/mcp", "x", "look")).await;
        assert_eq!(
            (reply.status, reply.json()),
            (
                status,
                json!({
                    "jsonrpc": "2.0", "id": "x", "error": { "code": code, "message": "no" },
                })
            )
        );
        assert_eq!(methods(&upstream), ["tools/call"], "{code}");
    }
}

#[tokio::test]
async fn tr_25_who_may_call_and_trouble_say_nothing_about_an_upstream() {
    for status in [403, 429, 500, 503] {
        let upstream = Upstream::new(move |_| Answer::body(status, "text/plain", "no")).await;
        let gateway = Gateway::before(&upstream).await;
        assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.status, status);
        assert_eq!(gateway.post(&initialize(1)).await.status, status);
        assert_eq!(methods(&upstream), ["tools/call", "initialize"], "{status}");
    }
}

#[tokio::test]
async fn tr_25_a_call_that_an_upstream_of_2026_07_28_refuses_its_own_way_is_not_taken_for_an_older_one() {
    let upstream = Upstream::new(|request| match method(request).as_str() {
        "server/discover" => Answer::json(&introduction(request, &["2026-07-28"])),
        _ => Answer::body(400, "text/html", "<p>Bad Request"),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    for _ in 0..3 {
        assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.status, 400);
    }
    let asked = methods(&upstream);
    let discoveries = asked.iter().filter(|method| *method == "server/discover").count();
    assert_eq!((discoveries, asked.len()), (2, 5), "once, and once more because it contradicts itself: {asked:?}");
    assert!(!asked.contains(&"initialize".to_owned()));
}

/// Knows nothing but 2026-07-28, and checks what a client declares.
fn strict(request: &Received) -> Answer {
    let meta = &request.message()["params"]["_meta"];
    let declared = &meta["io.modelcontextprotocol/clientCapabilities"];
    let is_well_formed = declared.get("experimental").is_none_or(serde_json::Value::is_object);
    match method(request).as_str() {
        _ if !declared.is_object() || !is_well_formed => {
            Answer::body(400, "application/json", error(request, -32602).to_string())
        }
        "server/discover" => Answer::json(&introduction(request, &["2026-07-28"])),
        _ => Answer::json(&request.says("alone")),
    }
}

#[tokio::test]
async fn sb_05_tr_25_what_an_upstream_makes_of_a_bad_message_of_one_client_says_nothing_to_others() {
    let upstream = Upstream::new(strict).await;
    let gateway = Gateway::before(&upstream).await;
    for version in ["2026-07-28", "2027-01-01"] {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": { "experimental": 5 },
        });
        let bad = json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": { "_meta": meta } });
        let bad = Request::post("/mcp", &bad).header("Mcp-Protocol-Version", version);
        let reply = gateway.ask(&bad.header("Mcp-Method", "server/discover")).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32602)));
    }
    upstream.forget();
    assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.said(), "alone");
    assert_eq!(methods(&upstream), ["tools/call"]);
}

#[tokio::test]
async fn sb_05_tr_25_a_caller_without_rights_teaches_nothing_about_an_upstream_that_hides_from_them() {
    for is_known in [true, false] {
        let hides = Arc::new(AtomicBool::new(false));
        let hidden = Arc::clone(&hides);
        let upstream = Upstream::new(
            move |request| {
                if hidden.load(Ordering::SeqCst) { Answer::status(404) } else { strict(request) }
            },
        )
        .await;
        let gateway = Gateway::before(&upstream).await;
        if is_known {
            assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.said(), "alone");
        }
        hides.store(true, Ordering::SeqCst);
        assert_eq!(gateway.ask(&modern("/mcp", 2, "look")).await.status, 404);
        assert_eq!(gateway.post(&initialize(3)).await.status, 404);
        hides.store(false, Ordering::SeqCst);
        upstream.forget();
        assert_eq!(gateway.ask(&modern("/mcp", 4, "look")).await.said(), "alone", "{is_known}");
        assert_eq!(methods(&upstream), ["tools/call"], "{is_known}");
    }
}

#[tokio::test]
async fn tr_25_an_upstream_of_both_eras_says_itself_what_it_does_not_like_about_initialize() {
    let upstream = Upstream::new(|request| match method(request).as_str() {
        "server/discover" => Answer::json(&introduction(request, &["2026-07-28", "2025-11-25"])),
        _ => Answer::json(&error(request, -32602)),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let reply = gateway.post(&initialize("i")).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (200, &json!(-32602)));
    assert_eq!(methods(&upstream), ["initialize", "server/discover"]);
}

#[tokio::test]
async fn tr_24_a_client_that_knows_the_upstreams_revision_finds_it_in_both_places() {
    let upstream = Upstream::new(|request| match method(request).as_str() {
        "server/discover" => Answer::json(&introduction(request, &["2026-07-28", "2025-11-25"])),
        _ => Answer::json(&super::welcome(request)),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let discovered = gateway.ask(&alone("2026-07-28", "server/discover")).await.json();
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28", "2025-11-25"]));
    assert_eq!(gateway.post(&initialize(1)).await.json()["result"]["protocolVersion"], super::AGREED);
}
