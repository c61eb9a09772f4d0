//! The documents by which upstreams know the gateway.

use std::sync::Arc;

use portcullis_policies::kit::clock::SystemClock;
use serde_json::{Value, json};

use super::to;
use crate::harness::{Request, Route, Setup, Upstream, Vendor};

#[tokio::test]
async fn cl_09_cl_15_oauth_85_each_upstream_gets_a_document_that_names_itself() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let provider = json!({
        "oidc": { "issuer": "https://idp.example.com" },
        "browserLogin": { "clientId": "gateway", "clientSecret": "secret", "scope": "openid" },
    });
    let route = |id: &str| {
        let options = json!({ "id": id, "displayName": "Vendor" });
        Route::url(&vendor.url()).policy("mcp-oauth-inbound", &provider).policy("mcp-token-exchange", &options)
    };
    let setup = Setup::new().route("/one", route("one")).route("/two", route("two"));
    let gateway = setup.gateway("publicUrl", json!("https://mcp.example.com")).start().await;
    for id in ["one", "two"] {
        let path = format!("/.well-known/oauth-client/{id}");
        let request = Request::get(&path).with("Host", "mcp.example.com").header("Origin", "https://anybody.example");
        let reply = gateway.ask(&request).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, Some("*")), "{}", reply.text());
        assert!(reply.header("cache-control").unwrap().contains("public"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let document = reply.json();
        assert_eq!(document["client_id"], json!(format!("https://mcp.example.com{path}")));
        assert_eq!(document["redirect_uris"], json!([format!("https://mcp.example.com/connect/callback/{id}")]));
        assert_eq!(document["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(document["response_types"], json!(["code"]));
        assert_eq!(document["token_endpoint_auth_method"], json!("none"));
        assert!(document["client_name"].is_string() && document["client_secret"] == Value::Null);
    }
    let unknown = Request::get("/.well-known/oauth-client/three").with("Host", "mcp.example.com");
    assert_eq!(gateway.ask(&unknown).await.status, 404);
}

#[tokio::test]
async fn cl_09_where_the_gateway_is_nobody_on_the_web_it_has_no_document() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let gateway = Setup::new().route("/mcp", to(&vendor, "vendor")).start().await;
    assert_eq!(gateway.ask(&Request::get("/.well-known/oauth-client/vendor")).await.status, 404);
    // Nor where nobody connects at all.
    let upstream = Upstream::saying("hello").await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).start().await;
    for path in ["/.well-known/oauth-client/vendor", "/connections", "/connect/token", "/connect/callback/vendor"] {
        assert_eq!(gateway.ask(&Request::get(path)).await.status, 404, "{path}");
    }
}
