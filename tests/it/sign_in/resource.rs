//! The routes that tokens are for.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::{gateway, setup};
use crate::harness::{
    Answer, Gateway, OAuthClient, Request, Route, Setup, Upstream, call, initialize, list_tools, modern, notification,
};

async fn status(gateway: &Gateway, request: Request) -> u16 {
    gateway.ask(&request).await.status
}

#[tokio::test]
async fn oauth_77_sec_a8_pr_07_a_token_is_good_at_its_own_route_and_nowhere_else() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    assert_eq!(status(&gateway, Request::post("/mcp", &list_tools(1)).bearer(&tokens.access)).await, 200);
    let elsewhere = gateway.ask(&Request::post("/other", &list_tools(1)).bearer(&tokens.access)).await;
    assert_eq!(elsewhere.status, 401);
    assert!(elsewhere.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn oauth_80_sec_a8_pr_07_sb_02_the_token_never_reaches_the_upstream() {
    let upstream = Upstream::new(|_| Answer::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))).await;
    let gateway = Setup::new().route("/mcp", Route::to(&upstream).policy("dev-login", &json!({}))).start().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    let request = Request::post("/mcp", &call(1, "x", &json!({})))
        .bearer(&tokens.access)
        .header("Cookie", "portcullis-session=x")
        .header("Proxy-Authorization", "Basic eDp4");
    assert_eq!(status(&gateway, request).await, 200);
    for received in upstream.requests() {
        assert!(!received.head.contains(&tokens.access) && !received.head.to_lowercase().contains("authorization"));
        assert!(!received.head.to_lowercase().contains("cookie"), "{}", received.head);
    }
}

#[tokio::test]
async fn oauth_79_pr_06_pr_08_sb_05_every_request_needs_its_own_token() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    let begun = gateway.ask(&Request::post("/mcp", &initialize(1)).bearer(&tokens.access)).await;
    let session = begun.header("mcp-session-id").unwrap_or("none").to_owned();
    for request in [
        Request::post("/mcp", &list_tools(2)).header("Mcp-Session-Id", &session),
        Request::post("/mcp", &notification("notifications/initialized")).header("Mcp-Session-Id", &session),
        modern("/mcp", 3, "list_notes"),
        Request::post("/mcp", &initialize(4)),
        Request::get("/mcp"),
        Request::new("DELETE", "/mcp").header("Mcp-Session-Id", &session),
        Request::post("/mcp", &json!([1])),
        Request::new("POST", "/mcp").header("Content-Type", "text/plain").body("x"),
    ] {
        assert_eq!(status(&gateway, request.clone()).await, 401, "{request:?}");
    }
}

#[tokio::test]
async fn sec_a10_no_shape_of_a_url_goes_round_the_sign_in() {
    let gateway = gateway().await;
    for path in [
        "/mcp",
        "/mcp?",
        "/mcp?access_token=x",
        "/mcp?x=/.well-known/oauth-protected-resource",
        "/mcp;x",
        "/mcp/",
        "/mcp//",
        "//mcp",
        "/./mcp",
        "/x/../mcp",
        "/%6dcp",
        "/mcp%2f",
        "/mcp%00",
        "/MCP",
        "/mcp/.well-known/openid-configuration/x",
        "/.well-known/../mcp",
        "/oauth/../mcp",
        "/healthz/../mcp",
        "/mcp#x",
    ] {
        for token in [None, Some("garbage"), Some("eyJhbGciOiJub25lIn0.e30."), Some("null"), Some("undefined")] {
            let request = Request::post(path, &list_tools(1));
            let request = token.map_or(request.clone(), |token| request.bearer(token));
            let reply = gateway.ask(&request).await;
            assert!(matches!(reply.status, 400 | 401 | 404 | 405 | 421), "{path} {token:?}: {}", reply.status);
            assert!(!reply.text().contains("\"tools\""), "{path} {token:?}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn oauth_74_oauth_75_one_credential_and_only_in_the_header() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let token = client.sign_in(&gateway, "/mcp", "ada").await.access;
    let post = || Request::post("/mcp", &list_tools(1));
    for scheme in ["bearer", "BEARER", "BeArEr"] {
        assert_eq!(
            status(&gateway, post().header("Authorization", &format!("{scheme} {token}"))).await,
            200,
            "{scheme}"
        );
    }
    assert_eq!(status(&gateway, post().bearer(&token).bearer(&token)).await, 400);
    assert_eq!(status(&gateway, Request::post(&format!("/mcp?access_token={token}"), &list_tools(1))).await, 401);
    for value in [
        format!("Basic {token}"),
        format!("Token {token}"),
        token.clone(),
        format!("Bearer  {token} x"),
        "Bearer".to_owned(),
    ] {
        let refused = status(&gateway, post().header("Authorization", &value)).await;
        assert!(matches!(refused, 400 | 401), "{value}: {refused}");
    }
}

#[tokio::test]
async fn several_issuers_of_names_never_share_a_subject() {
    // `dev|ada` cannot be claimed by a program, whatever the operator calls it.
    let program = json!({ "clientId": "dev|ada", "clientSecret": "a-long-and-secret-word-of-the-robot", "grantTypes": ["client_credentials"] });
    let gateway = setup().oauth_client(&program).start().await;
    let resource = format!("http://{}/mcp", gateway.address);
    let fields = [
        ("grant_type", "client_credentials"),
        ("resource", resource.as_str()),
        ("client_id", "dev|ada"),
        ("client_secret", "a-long-and-secret-word-of-the-robot"),
    ];
    let reply = gateway.ask(&crate::harness::form("/oauth/token", &fields)).await;
    let token = reply.json()["access_token"].as_str().unwrap().to_owned();
    let claims = token.split('.').nth(1).unwrap().to_owned();
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["sub"], "client|dev|ada");
}
