//! Routes that serve only some clients, and what they tell the others.

use serde_json::json;

use super::{alone, introduction, method, welcome};
use crate::harness::{Answer, Gateway, Route, Setup, Upstream, call, initialize, modern, notification};

/// An upstream of both eras, behind a route that serves one.
async fn serving(era: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::new(|request| match method(request).as_str() {
        "initialize" => Answer::json(&welcome(request)),
        "server/discover" => Answer::json(&introduction(request, &["2026-07-28", "2025-11-25"])),
        _ => Answer::json(&request.says("done")),
    })
    .await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream).era(era)).start().await;
    (upstream, gateway)
}

#[tokio::test]
async fn tr_24_a_route_for_clients_with_sessions_lets_clients_of_both_fall_back() {
    let (upstream, gateway) = serving("legacy").await;
    for request in [modern("/mcp", 7, "look"), alone("2026-07-28", "server/discover"), alone("2027-01-01", "ping")] {
        let reply = gateway.ask(&request).await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "revision_not_served"));
        let told = reply.json();
        assert_eq!((&told["id"], &told["error"]["code"]), (&json!(7), &json!(-32600)), "no error of 2026-07-28");
    }
    assert_eq!(upstream.count(), 0);
    assert_eq!(gateway.post(&initialize(1)).await.status, 200);
    assert_eq!(gateway.post(&call(2, "look", &json!({}))).await.said(), "done");
}

#[tokio::test]
async fn tr_24_a_route_for_clients_without_sessions_names_the_revision_that_it_serves() {
    let (upstream, gateway) = serving("modern").await;
    for message in [initialize(3), call(3, "look", &json!({}))] {
        let reply = gateway.post(&message).await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "revision_not_served"));
        let error = &reply.json()["error"];
        assert_eq!((&error["code"], &error["data"]["supported"]), (&json!(-32600), &json!(["2026-07-28"])));
        assert!(error["message"].as_str().unwrap().contains("2026-07-28"), "a person may see nothing else");
    }
    assert_eq!(gateway.post(&notification("notifications/initialized")).await.status, 400);
    assert_eq!(upstream.count(), 0);
    assert_eq!(gateway.ask(&modern("/mcp", 1, "look")).await.said(), "done");
    let discovered = gateway.ask(&alone("2026-07-28", "server/discover")).await.json();
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]), "as `initialize` is told");
}

#[tokio::test]
async fn tr_25_a_route_that_translates_nothing_leaves_every_refusal_to_the_client() {
    let refusal =
        json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32000, "message": "Server not initialized" } });
    let text = refusal.to_string();
    let upstream = Upstream::new(move |_| Answer::body(400, "application/json", text.clone())).await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream).era("upstream")).start().await;
    let reply = gateway.ask(&modern("/mcp", 1, "look")).await;
    assert_eq!((reply.status, reply.json()), (400, refusal.clone()));
    let reply = gateway.post(&initialize(1)).await;
    assert_eq!((reply.status, reply.json()), (400, refusal));
    assert_eq!(upstream.count(), 2, "and it is asked nothing else");
}
