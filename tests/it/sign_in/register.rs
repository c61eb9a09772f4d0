//! Clients that register themselves.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};

use super::{gateway, setup};
use crate::harness::{Browser, OAuthClient, Request, register};

#[tokio::test]
async fn as_04_as_06_what_was_registered_is_told_back() {
    let gateway = gateway().await;
    let reply = register(
        &gateway,
        &json!({
            "client_name": "Claude", "redirect_uris": ["http://localhost:1234/cb"], "application_type": "native",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "token_endpoint_auth_method": "none", "scope": "mcp:tools", "software_id": "ignored", "contacts": ["x@y"],
        }),
    )
    .await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let answer = reply.json();
    assert_eq!(answer["redirect_uris"], json!(["http://localhost:1234/cb"]));
    assert_eq!(
        (&answer["token_endpoint_auth_method"], &answer["application_type"]),
        (&json!("none"), &json!("native"))
    );
    assert!(answer["client_id_issued_at"].is_i64() && answer.get("client_secret").is_none());
}

#[tokio::test]
async fn oauth_57_as_05_an_issued_id_never_looks_like_a_url() {
    let gateway = gateway().await;
    for _ in 0..20 {
        let id = OAuthClient::register(&gateway).await.id;
        assert!(id.starts_with("mcp_") && id.len() >= 20, "{id}");
    }
}

#[tokio::test]
async fn oauth_05_sec_a6_as_06_hostile_redirect_uris_are_refused_by_name() {
    let gateway = setup().gateway("oauth", json!({ "registration": { "perHourAndAddress": 1000 } })).start().await;
    for uri in [
        "javascript:alert(1)",
        "data:text/html,<script>",
        "http://app.example/cb",
        "https://u:p@app.example/cb",
        "https://app.example/cb#x",
        "https://*.example/cb",
        "file:///etc/passwd",
        "vbscript:x",
        "myapp://cb",
        "",
        "https://app.example/\u{0}",
        "/relative",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
    ] {
        let reply = register(&gateway, &json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" })).await;
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_redirect_uri")), "{uri}");
    }
    for uri in
        ["cursor://anysphere.cursor-mcp/oauth/callback", "vscode://vscode.github-authentication/did-authenticate"]
    {
        let reply = register(&gateway, &json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" })).await;
        assert_eq!(reply.status, 201, "{uri}");
    }
}

#[tokio::test]
async fn oauth_59_as_06_bad_metadata_are_refused() {
    let gateway = gateway().await;
    let uris = json!(["https://app.example/cb"]);
    let private = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" }] });
    let cases: [Value; 8] = [
        json!({}),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": "https://app.example/cb" }),
        json!({ "redirect_uris": uris, "token_endpoint_auth_method": "tls_client_auth" }),
        json!({ "redirect_uris": uris, "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "redirect_uris": uris, "token_endpoint_auth_method": "private_key_jwt", "jwks": private }),
        json!({ "redirect_uris": uris, "grant_types": ["client_credentials"] }),
        json!({ "redirect_uris": uris, "response_types": ["token"] }),
    ];
    for metadata in cases {
        let reply = register(&gateway, &metadata).await;
        assert_eq!(reply.status, 400, "{metadata}");
        assert!(reply.json()["error"].as_str().unwrap().starts_with("invalid_"), "{metadata}");
    }
    let long = register(&gateway, &json!({ "redirect_uris": uris, "client_name": "x".repeat(20_000) })).await;
    assert!(matches!(long.status, 400 | 413), "{}", long.status);
    let text = Request::new("POST", "/oauth/register").header("Content-Type", "application/json").body("{nonsense");
    assert_eq!(gateway.ask(&text).await.status, 400);
}

#[tokio::test]
async fn oauth_56_registration_is_capped_by_address_and_can_be_turned_off() {
    let gateway = setup().gateway("oauth", json!({ "registration": { "perHourAndAddress": 3 } })).start().await;
    let metadata = json!({ "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none" });
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(register(&gateway, &metadata).await.status);
    }
    assert_eq!(statuses, [201, 201, 201, 429]);
    let gateway = setup().gateway("oauth", json!({ "registration": { "enabled": false } })).start().await;
    assert_eq!(register(&gateway, &metadata).await.status, 400);
    let server = gateway.ask(&Request::get("/.well-known/oauth-authorization-server")).await.json();
    assert!(server.get("registration_endpoint").is_none());
    let gateway = setup().gateway("oauth", json!({ "registration": { "mostClients": 1 } })).start().await;
    assert_eq!(register(&gateway, &metadata).await.status, 201);
    assert_eq!(register(&gateway, &metadata).await.status, 503);
}

#[tokio::test]
async fn oauth_56_a_client_that_nobody_uses_is_forgotten_after_ninety_days_and_told_how_to_go_on() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let gateway = setup().clock(clock.clone()).start().await;
    let client = OAuthClient::register(&gateway).await;
    let used = OAuthClient::register(&gateway).await;
    clock.advance(Duration::from_hours(24 * 89));
    used.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    clock.advance(Duration::from_hours(24 * 2));
    gateway.tidy().await;
    let page = Browser::at(&gateway).open(&client.url("/mcp")).await.page();
    assert_eq!(page.reply.status, 400);
    assert!(page.text().contains("registers anew"), "{}", page.text());
    assert_eq!(Browser::at(&gateway).open(&used.url("/mcp")).await.page().reply.status, 200);
}
