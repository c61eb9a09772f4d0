//! What clients may ask for at the authorization endpoint, and where the answer goes.

use super::gateway;
use crate::harness::{Browser, Gateway, Landed, OAuthClient, address, parameters};

/// Opens a good request with some parameters replaced, or taken away where the value is empty.
async fn ask(gateway: &Gateway, client: &OAuthClient, changes: &[(&'static str, &str)]) -> Landed {
    let mut request = client.request("/mcp");
    for (name, value) in changes {
        request.retain(|(known, _)| known != name);
        if !value.is_empty() {
            request.push((name, (*value).to_owned()));
        }
    }
    Browser::at(gateway).open(&address(&request)).await
}

/// The error that the client was told.
async fn error(gateway: &Gateway, client: &OAuthClient, changes: &[(&'static str, &str)]) -> String {
    let back = ask(gateway, client, changes).await.elsewhere();
    assert!(back.starts_with(&format!("{}?", client.redirect)), "{back}");
    let parameters = parameters(&back);
    let issuer = format!("http://{}", gateway.address);
    assert_eq!(parameters.get("iss"), Some(&issuer), "oauth_14: {changes:?}");
    assert_eq!(parameters.get("state").map(String::as_str), Some("st&te=1 ü"), "oauth_13: {changes:?}");
    assert!(!parameters.contains_key("code"));
    assert!(parameters["error_description"].bytes().all(|b| (0x20..0x7F).contains(&b) && b != b'"' && b != b'\\'));
    parameters["error"].clone()
}

#[tokio::test]
async fn oauth_01_as_13_an_unknown_client_gets_a_page_and_no_redirect() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    for id in ["nobody", "", "mcp_x", "client|x", "https://", "' or 1=1 --", "<script>alert(1)</script>"] {
        let page = ask(&gateway, &client, &[("client_id", id)]).await.page();
        assert_eq!(page.reply.status, 400, "{id}");
        let code = match id {
            "" => "no_client_id",
            "https://" => "bad_client_document",
            _ => "unknown_client",
        };
        assert!(page.text().contains(code) && !page.text().contains("<script>"), "{}", page.text());
    }
}

#[tokio::test]
async fn oauth_02_sec_a4_as_07_as_13_an_address_that_is_not_the_clients_gets_nothing() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    for uri in [
        "https://evil.example/callback",
        "http://127.0.0.1:33418/callback/",
        "http://127.0.0.1:33418/callback?x=1",
        "http://127.0.0.1:33418/callback#x",
        "http://127.0.0.1:33418/",
        "http://localhost:33418/callback",
        "http://127.0.0.1:33418@evil.example/callback",
        "javascript:alert(1)",
        "//evil.example",
        "not a url",
    ] {
        let page = ask(&gateway, &client, &[("redirect_uri", uri)]).await.page();
        assert_eq!(page.reply.status, 400, "{uri}");
        assert!(page.reply.header("location").is_none() && !page.text().contains("href=\"h"), "{uri}");
        assert!(page.text().contains("redirect_uri_mismatch"), "{}", page.text());
    }
}

#[tokio::test]
async fn oauth_03_as_07_a_program_on_loopback_may_listen_on_any_port() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let page = ask(&gateway, &client, &[("redirect_uri", "http://127.0.0.1:50000/callback")]).await.page();
    assert_eq!(page.reply.status, 200);
}

#[tokio::test]
async fn oauth_06_with_several_addresses_the_client_says_which() {
    let gateway = gateway().await;
    let metadata = serde_json::json!({
        "redirect_uris": ["https://a.example/cb", "https://b.example/cb"], "token_endpoint_auth_method": "none",
    });
    let id = crate::harness::register(&gateway, &metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let client = OAuthClient::known(&gateway, &id, "https://a.example/cb");
    assert_eq!(ask(&gateway, &client, &[("redirect_uri", "")]).await.page().reply.status, 400);
    assert_eq!(ask(&gateway, &client, &[]).await.page().reply.status, 200);
    let only = OAuthClient::register(&gateway).await;
    assert_eq!(ask(&gateway, &only, &[("redirect_uri", "")]).await.page().reply.status, 200);
}

#[tokio::test]
async fn oauth_07_oauth_48_as_01_only_codes_are_given_out() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    for kind in ["token", "id_token", "code token", "none", "password"] {
        assert_eq!(error(&gateway, &client, &[("response_type", kind)]).await, "unsupported_response_type", "{kind}");
    }
    assert_eq!(error(&gateway, &client, &[("response_type", "")]).await, "invalid_request");
}

#[tokio::test]
async fn oauth_08_oauth_09_oauth_10_sec_a5_as_01_pkce_with_s256_is_demanded_of_everybody() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let bad: [&[(&'static str, &str)]; 8] = [
        &[("code_challenge", "")],
        &[("code_challenge_method", "")],
        &[("code_challenge_method", "plain")],
        &[("code_challenge_method", "s256")],
        &[("code_challenge_method", "none")],
        &[("code_challenge", "short")],
        &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c=")],
        &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw cM")],
    ];
    for changes in bad {
        assert_eq!(error(&gateway, &client, changes).await, "invalid_request", "{changes:?}");
    }
    assert_eq!(error(&gateway, &client, &[("code_challenge", &"x".repeat(129))]).await, "invalid_request");
    assert_eq!(ask(&gateway, &client, &[("code_challenge", &"x".repeat(128))]).await.page().reply.status, 200);
}

#[tokio::test]
async fn oauth_11_a_parameter_that_is_there_twice_is_refused() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    for name in ["scope", "resource", "code_challenge", "response_type", "unknown"] {
        let mut request = client.request("/mcp");
        let value = request.iter().find(|(known, _)| *known == name).map_or("x".to_owned(), |(_, value)| value.clone());
        request.push((name, value.clone()));
        request.push((name, value));
        let back = Browser::at(&gateway).open(&address(&request)).await.elsewhere();
        assert_eq!(parameters(&back)["error"], "invalid_request", "{name}");
    }
    for name in ["client_id", "redirect_uri"] {
        let mut request = client.request("/mcp");
        let value = request.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        request.push((name, value));
        assert_eq!(Browser::at(&gateway).open(&address(&request)).await.page().reply.status, 400, "{name}");
    }
}

#[tokio::test]
async fn oauth_12_parameters_that_nobody_knows_are_ignored() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let page =
        ask(&gateway, &client, &[("audience", "x"), ("display", "page"), ("claims", "{}"), ("nonce", "n")]).await;
    assert_eq!(page.page().reply.status, 200);
}

#[tokio::test]
async fn oauth_15_as_09_sec_a7_a_resource_is_one_of_our_routes() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let at = |rest: &str| format!("http://{}{rest}", gateway.address);
    for resource in [
        at(""),
        at("/"),
        at("/mcp/"),
        at("/mcp#x"),
        at("/mcp?x=1"),
        at("/mcp/none"),
        at("/MCP"),
        at("/healthz"),
        "https://elsewhere.example/mcp".to_owned(),
        "/mcp".to_owned(),
        "mcp".to_owned(),
        format!("http://user@{}/mcp", gateway.address),
        format!("https://{}/mcp", gateway.address),
    ] {
        assert_eq!(error(&gateway, &client, &[("resource", &resource)]).await, "invalid_target", "{resource}");
    }
    let loud = format!("HTTP://{}/mcp", gateway.address);
    assert_eq!(ask(&gateway, &client, &[("resource", &loud)]).await.page().reply.status, 200);
    // Two routes, and none is named.
    assert_eq!(error(&gateway, &client, &[("resource", "")]).await, "invalid_target");
}

#[tokio::test]
async fn as_02_as_09_a_client_of_2025_03_asks_without_a_resource() {
    let route = crate::harness::Route::demo().policy("dev-login", &serde_json::json!({}));
    let alone = crate::harness::Setup::new().route("/mcp", route).start().await;
    let client = OAuthClient::register(&alone).await;
    assert_eq!(ask(&alone, &client, &[("resource", "")]).await.page().reply.status, 200);
    // With several routes it asks the issuer of one of them.
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut request = client.request("/mcp");
    request.retain(|(name, _)| *name != "resource");
    let url = address(&request).replace("/oauth/authorize?", "/oauth/authorize/other?");
    let mut browser = Browser::at(&gateway);
    let landed = browser.open(&url).await;
    let back = parameters(&crate::harness::say_yes(&mut browser, landed, "ada").await);
    assert_eq!(back["iss"], format!("http://{}/other", gateway.address));
    assert!(back.contains_key("code"));
}

#[tokio::test]
async fn oauth_16_scopes_that_the_route_does_not_know_are_refused() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    for scope in ["admin", "mcp:tools admin", "mcp:tools\u{7f}", "\"", "*"] {
        assert_eq!(error(&gateway, &client, &[("scope", scope)]).await, "invalid_scope", "{scope}");
    }
    for scope in ["mcp:tools", "offline_access", "mcp:tools offline_access", " mcp:tools "] {
        assert_eq!(ask(&gateway, &client, &[("scope", scope)]).await.page().reply.status, 200, "{scope}");
    }
}

#[tokio::test]
async fn oauth_23_prompt_and_hints_never_skip_the_consent() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    client.code(&mut browser, "/mcp", "ada").await;
    for (name, value) in [("prompt", "login"), ("prompt", "consent"), ("login_hint", "ada"), ("max_age", "99999")] {
        let mut request = client.request("/mcp");
        request.push((name, value.to_owned()));
        let page = browser.open(&address(&request)).await.page();
        assert!(page.text().contains("name=\"decision\""), "{name}={value}");
    }
    // Nobody may be asked: then the client is told.
    let mut request = client.request("/mcp");
    request.push(("prompt", "none".to_owned()));
    let back = browser.open(&address(&request)).await.elsewhere();
    assert_eq!(parameters(&back)["error"], "consent_required");
    let back = Browser::at(&gateway).open(&address(&request)).await.elsewhere();
    assert_eq!(parameters(&back)["error"], "login_required");
}

#[tokio::test]
async fn oauth_21_no_parameter_redirects_anywhere_but_to_the_client() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    for name in ["next", "return_to", "redirect", "url", "continue", "post_logout_redirect_uri"] {
        let page = ask(&gateway, &client, &[(name, "https://evil.example")]).await.page();
        assert!(!page.text().contains("evil.example"), "{name}");
        for path in ["/oauth/logout", "/oauth/callback", "/oauth/dev-login"] {
            let landed = Browser::at(&gateway).open(&format!("{path}?{name}=https://evil.example")).await;
            assert!(!landed.page().text().contains("evil.example"), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn oauth_21_as_13_a_site_that_registered_itself_gets_nobody_sent_there_by_a_mistake() {
    let gateway = gateway().await;
    let metadata = serde_json::json!({
        "redirect_uris": ["https://evil.example/cb"], "token_endpoint_auth_method": "none",
    });
    let id = crate::harness::register(&gateway, &metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let site = OAuthClient::known(&gateway, &id, "https://evil.example/cb");
    for changes in [&[("response_type", "")][..], &[("scope", "admin")], &[("prompt", "none")], &[("resource", "x")]] {
        let page = ask(&gateway, &site, changes).await.page();
        assert_eq!(page.reply.status, 400, "{changes:?}");
        assert!(page.text().contains("Return to the program"), "the person may go on: {}", page.text());
    }
    let long = "s".repeat(2049);
    assert_eq!(ask(&gateway, &site, &[("state", &long)]).await.page().reply.status, 400);
}

#[tokio::test]
async fn oauth_19_a_program_with_a_scheme_of_its_own_is_asked_about_each_time() {
    let gateway = gateway().await;
    let metadata = serde_json::json!({ "redirect_uris": ["cursor://x/cb"], "token_endpoint_auth_method": "none" });
    let id = crate::harness::register(&gateway, &metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let client = OAuthClient::known(&gateway, &id, "cursor://x/cb");
    let mut browser = Browser::at(&gateway);
    client.code(&mut browser, "/mcp", "ada").await;
    let page = browser.open(&client.url("/mcp")).await.page();
    assert!(page.text().contains("Any program on this computer"), "{}", page.text());
}
