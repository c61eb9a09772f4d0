//! Examples that are programs do what their pages say.

#[path = "../../examples/tower-layers/main.rs"]
#[allow(dead_code, reason = "its `main` is run by people")]
mod tower_layers;

use std::net::SocketAddr;

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn tower_layers_filters_and_limits() {
    let app = tower_layers::app().unwrap();
    let (_, list) = ask(&app, "tools/list", json!({})).await;
    let names: Vec<_> = list["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["add"]);
    let (_, hidden) = ask(&app, "tools/call", json!({ "name": "erase" })).await;
    assert_eq!(hidden["error"]["data"]["reason"], "not_exposed");
    for _ in 0..2 {
        let (status, sum) =
            ask(&app, "tools/call", json!({ "name": "add", "arguments": { "numbers": [2, 40] } })).await;
        assert_eq!((status, &sum["result"]["content"][0]["text"]), (StatusCode::OK, &json!("The sum is 42.")));
    }
    let (status, limited) = ask(&app, "tools/call", json!({ "name": "add" })).await;
    assert_eq!((status, &limited["error"]["data"]["reason"]), (StatusCode::TOO_MANY_REQUESTS, &json!("rate_limited")));
}

#[tokio::test]
async fn tower_layers_keeps_the_other_pages_of_the_program() {
    let app = tower_layers::app().unwrap();
    let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

async fn ask(app: &Router, method: &str, params: Value) -> (StatusCode, Value) {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut request =
        Request::post("/mcp").header("content-type", "application/json").body(message.to_string()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 50_000))));
    let response = app.clone().oneshot(request.map(Body::new)).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}
