//! What no request brings about, whatever it says.

use serde_json::json;

use super::{gateway, setup};
use crate::harness::{
    Answer, OAuthClient, REDIRECT, Request, Route, Setup, Tokens, Upstream, form, list_tools, register,
};

#[tokio::test]
async fn pr_05_sb_12_the_first_challenge_asks_for_no_more_than_every_call_needs() {
    let options = json!({ "toolScopes": { "delete_*": ["notes:delete"] } });
    let gateway = Setup::new().route("/mcp", Route::demo().policy("dev-login", &options)).start().await;
    let first = gateway.post(&list_tools(1)).await;
    let challenge = first.header("www-authenticate").unwrap();
    assert!(challenge.ends_with("scope=\"mcp:tools\""), "{challenge}");
    let metadata = gateway.ask(&Request::get("/.well-known/oauth-protected-resource/mcp")).await;
    assert!(!metadata.text().contains("offline_access"), "{}", metadata.text());
}

#[tokio::test]
async fn oauth_32_as_12_nothing_with_a_token_in_it_may_be_kept() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let code = client.code(&mut crate::harness::Browser::at(&gateway), "/mcp", "ada").await;
    let redeemed = client.redeem(&gateway, &code).await;
    let tokens = Tokens::of(&redeemed);
    let metadata = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post" });
    let registered = register(&gateway, &metadata).await;
    assert!(registered.json()["client_secret"].is_string(), "{registered:?}");
    let refused = client.redeem(&gateway, "nonsense").await;
    for reply in [redeemed, client.refresh(&gateway, &tokens.refresh).await, registered, refused] {
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
    }
}

#[tokio::test]
async fn oauth_53_what_a_client_is_told_stays_within_the_letters_that_are_permitted() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    for hostile in ["\"}{\"", "a\\b", "\r\nSet-Cookie: x=1", "\u{1b}[2J", "grüße", "<script>", "\0", "\u{202e}x"] {
        for field in ["grant_type", "code", "refresh_token", "client_id", "scope", "resource", "code_verifier"] {
            let mut fields = vec![("grant_type", "authorization_code"), ("code", "x"), ("client_id", &client.id)];
            fields.retain(|(name, _)| *name != field);
            fields.push((field, hostile));
            let reply = gateway.ask(&form("/oauth/token", &fields)).await;
            assert!((400..500).contains(&reply.status), "{field}={hostile:?}: {reply:?}");
            let answer = reply.json();
            for member in ["error", "error_description"] {
                let text = answer[member].as_str().unwrap_or_default();
                let permitted = |letter: char| matches!(letter, ' '..='~') && letter != '"' && letter != '\\';
                assert!(text.chars().all(permitted), "{field}={hostile:?}: {text:?}");
            }
            assert!(reply.header("set-cookie").is_none());
        }
    }
}

#[tokio::test]
async fn sec_a11_what_belongs_to_somebody_else_is_answered_like_what_is_unknown() {
    let gateway = gateway().await;
    let (ada, eve) = (OAuthClient::register(&gateway).await, OAuthClient::register(&gateway).await);
    let tokens = ada.sign_in(&gateway, "/mcp", "ada").await;
    let unknown = "A".repeat(tokens.refresh.len());
    let (theirs, nobodys) = (eve.refresh(&gateway, &tokens.refresh).await, eve.refresh(&gateway, &unknown).await);
    assert_eq!((theirs.status, theirs.text()), (nobodys.status, nobodys.text()));
    let revoke = |token: &str| form("/oauth/revoke", &[("token", token), ("client_id", &eve.id)]);
    let (theirs, nobodys) = (gateway.ask(&revoke(&tokens.refresh)).await, gateway.ask(&revoke(&unknown)).await);
    assert_eq!((theirs.status, theirs.text()), (nobodys.status, nobodys.text()));
    // And it has had no effect.
    assert_eq!(ada.refresh(&gateway, &tokens.refresh).await.status, 200);
    // A token for one route learns nothing of another.
    let elsewhere = gateway.ask(&Request::post("/other", &list_tools(1)).bearer(&tokens.access)).await;
    assert_eq!(elsewhere.status, 401);
    assert!(!elsewhere.text().contains("tools"), "{}", elsewhere.text());
}

/// Names under which gateways and frameworks pass things on inside.
const INSIDE: [(&str, &str); 14] = [
    ("X-Forwarded-Host", "internal"),
    ("X-Forwarded-User", "admin"),
    ("X-Forwarded-Prefix", "/oauth"),
    ("X-Original-URL", "/healthz"),
    ("X-Rewrite-URL", "/healthz"),
    ("X-HTTP-Method-Override", "GET"),
    ("X-Envoy-Original-Path", "/healthz"),
    ("X-Authenticated-User", "admin"),
    ("X-Remote-User", "admin"),
    ("X-Portcullis-Caller", "dev|admin"),
    ("X-Portcullis-Upstream", "http://127.0.0.1:1"),
    ("X-Api-Key", "secret-gateway-key"),
    ("Forwarded", "for=127.0.0.1;host=internal;proto=https"),
    ("Proxy-Authorization", "Basic YWRtaW46YWRtaW4="),
];

#[tokio::test]
async fn sec_a13_no_header_opens_a_route_or_chooses_where_a_call_goes() {
    let upstream = Upstream::new(|_| Answer::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))).await;
    let canary = Upstream::new(|_| Answer::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))).await;
    let gateway = setup().route("/mcp", Route::to(&upstream).policy("dev-login", &json!({}))).start().await;
    let token = OAuthClient::register(&gateway).await.sign_in(&gateway, "/mcp", "ada").await.access;
    let canary_url = canary.url();
    let place = canary_url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    for (name, value) in INSIDE.into_iter().chain([("X-Forwarded-Host", place.as_str()), ("X-Host", &place)]) {
        let request = Request::post("/mcp", &list_tools(1)).header(name, value);
        assert_eq!(gateway.ask(&request).await.status, 401, "{name}");
        assert_eq!(gateway.ask(&request.bearer(&token)).await.status, 200, "{name}");
    }
    assert_eq!((upstream.requests().len(), canary.requests().len()), (INSIDE.len() + 2, 0));
}
