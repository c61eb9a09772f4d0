//! From nothing but a URL to a call in one's own name.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};

use super::{gateway, setup};
use crate::harness::{Browser, OAuthClient, Request, Tokens, call, list_tools, parameters};

#[tokio::test]
async fn a_client_that_only_knows_the_url_ends_up_signed_in_as_a_person() {
    let gateway = gateway().await;
    let origin = format!("http://{}", gateway.address);
    // 401, with the address of the metadata.
    let first = gateway.post(&list_tools(1)).await;
    assert_eq!(first.status, 401);
    let challenge = first.header("www-authenticate").unwrap();
    let metadata = format!("{origin}/.well-known/oauth-protected-resource/mcp");
    assert_eq!(challenge, format!(r#"Bearer resource_metadata="{metadata}", scope="mcp:tools""#));
    // Who signs in there, and how.
    let resource = gateway.ask(&Request::get("/.well-known/oauth-protected-resource/mcp")).await.json();
    assert_eq!(
        (&resource["resource"], &resource["authorization_servers"]),
        (&json!(format!("{origin}/mcp")), &json!([origin]))
    );
    let server = gateway.ask(&Request::get("/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(server["issuer"], json!(origin));
    // Registration, browser, code, token, call.
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    let reply = gateway.ask(&Request::post("/mcp", &call(1, "list_notes", &json!({}))).bearer(&tokens.access)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let listed = gateway.ask(&Request::post("/mcp", &list_tools(2)).bearer(&tokens.access)).await;
    assert!(listed.json()["result"]["tools"].as_array().is_some_and(|tools| !tools.is_empty()));
}

#[tokio::test]
async fn oauth_13_oauth_14_as_03_the_client_gets_its_state_and_the_issuer_with_the_code() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let landed = browser.open(&client.url("/mcp")).await;
    let back = crate::harness::say_yes(&mut browser, landed, "ada").await;
    assert!(back.starts_with("http://127.0.0.1:33418/callback?code="), "{back}");
    let parameters = parameters(&back);
    assert_eq!(parameters["state"], "st&te=1 ü");
    assert_eq!(parameters["iss"], format!("http://{}", gateway.address));
}

#[tokio::test]
async fn oauth_47_the_access_token_is_an_at_jwt_for_one_route_and_fifteen_minutes() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    let reply = client.redeem(&gateway, &code).await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let answer = reply.json();
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"], &answer["scope"]),
        (&json!("Bearer"), &json!(900), &json!("mcp:tools"))
    );
    let (header, claims) = parts(&Tokens::of(&reply).access);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("EdDSA")));
    let origin = format!("http://{}", gateway.address);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(origin), &json!(format!("{origin}/mcp"))));
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("dev|ada"), &json!(client.id)));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert!(claims["jti"].is_string());
    let keys = gateway.ask(&Request::get("/oauth/jwks")).await.json();
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]));
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none() && key["kty"] == "OKP"));
}

/// A JWT's header and claims.
fn parts(token: &str) -> (Value, Value) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap_or_default());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

#[tokio::test]
async fn a_second_sign_in_with_the_same_browser_asks_for_consent_and_not_for_the_name() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    client.code(&mut browser, "/mcp", "ada").await;
    let page = browser.open(&client.url("/other")).await.page();
    assert!(page.text().contains("ada"), "{}", page.text());
    let request = page.field("request");
    let back = browser.submit("/oauth/consent", &[("request", &request), ("decision", "allow")]).await.elsewhere();
    assert!(parameters(&back).contains_key("code"), "{back}");
}

#[tokio::test]
async fn after_eight_hours_a_browser_is_asked_for_the_name_again() {
    for (hours, is_known) in [(7, true), (9, false)] {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let gateway = setup().clock(clock.clone()).start().await;
        let client = OAuthClient::register(&gateway).await;
        let mut browser = Browser::at(&gateway);
        client.code(&mut browser, "/mcp", "ada").await;
        clock.advance(Duration::from_hours(hours));
        let page = browser.open(&client.url("/other")).await.page();
        assert_eq!(page.text().contains("ada"), is_known, "{hours} hours: {}", page.text());
    }
}
