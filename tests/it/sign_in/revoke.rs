//! Giving back, taking back, and asking what a token is worth.

use serde_json::json;

use super::{gateway, setup};
use crate::harness::{Browser, OAuthClient, Request, Tokens, form, list_tools};

#[tokio::test]
async fn oauth_50_sec_a19_a_client_gives_a_grant_back_and_it_is_over_at_once() {
    let gateway = gateway().await;
    for which in ["refresh", "access"] {
        let client = OAuthClient::register(&gateway).await;
        let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
        let call = Request::post("/mcp", &list_tools(1)).bearer(&tokens.access);
        assert_eq!(gateway.ask(&call).await.status, 200);
        // Somebody else's client cannot give it back.
        let stranger = OAuthClient::register(&gateway).await;
        let token = if which == "refresh" { &tokens.refresh } else { &tokens.access };
        let revoke = |client: &OAuthClient| form("/oauth/revoke", &[("token", token), ("client_id", &client.id)]);
        assert_eq!(gateway.ask(&revoke(&stranger)).await.status, 200);
        assert_eq!(gateway.ask(&call).await.status, 200);
        assert_eq!(gateway.ask(&revoke(&client)).await.status, 200);
        assert_eq!(gateway.ask(&call).await.status, 401);
        assert_eq!(client.refresh(&gateway, &tokens.refresh).await.status, 400);
        // Again, and with nonsense: as good as revoked.
        assert_eq!(gateway.ask(&revoke(&client)).await.status, 200);
        let nonsense = form("/oauth/revoke", &[("token", "nonsense"), ("client_id", &client.id)]);
        assert_eq!(gateway.ask(&nonsense).await.status, 200);
    }
}

#[tokio::test]
async fn oauth_46_a_person_who_signs_out_everywhere_is_out_everywhere() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let code = client.code(&mut browser, "/mcp", "ada").await;
    let tokens = Tokens::of(&client.redeem(&gateway, &code).await);
    let call = Request::post("/mcp", &list_tools(1)).bearer(&tokens.access);
    let page = browser.submit("/oauth/logout", &[]).await.page();
    assert!(page.text().contains("signed out"), "{}", page.text());
    assert_eq!(gateway.ask(&call).await.status, 200, "programs go on");

    let code = client.code(&mut browser, "/mcp", "ada").await;
    let more = Tokens::of(&client.redeem(&gateway, &code).await);
    browser.submit("/oauth/logout", &[("everywhere", "yes")]).await.page();
    assert_eq!(gateway.ask(&call).await.status, 401);
    assert_eq!(client.refresh(&gateway, &more.refresh).await.status, 400);
    // Nobody can do that to them from another site.
    let reply =
        browser.ask(form("/oauth/logout", &[("everywhere", "yes")]).header("Origin", "https://evil.example")).await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn oauth_51_sec_a19_only_the_operators_programs_may_ask_what_a_token_is_worth() {
    let inspector =
        json!({ "clientId": "inspector", "clientSecret": "a-long-and-secret-word-to-ask-with", "grantTypes": [] });
    let gateway = setup().oauth_client(&inspector).start().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    let ask = |token: &str| {
        form(
            "/oauth/introspect",
            &[("token", token), ("client_id", "inspector"), ("client_secret", "a-long-and-secret-word-to-ask-with")],
        )
    };
    for token in [&tokens.access, &tokens.refresh] {
        let answer = gateway.ask(&ask(token)).await.json();
        assert_eq!(
            (&answer["active"], &answer["sub"], &answer["client_id"]),
            (&json!(true), &json!("dev|ada"), &json!(client.id))
        );
    }
    for request in [
        form("/oauth/introspect", &[("token", tokens.access.as_str())]),
        form("/oauth/introspect", &[("token", tokens.access.as_str()), ("client_id", &client.id)]),
        form("/oauth/introspect", &[("token", &tokens.access), ("client_id", "inspector"), ("client_secret", "guess")]),
    ] {
        assert!(gateway.ask(&request).await.status >= 400);
    }
    let over = json!({ "active": false });
    assert_eq!(gateway.ask(&ask("nonsense")).await.json(), over);
    gateway.ask(&form("/oauth/revoke", &[("token", tokens.refresh.as_str()), ("client_id", &client.id)])).await;
    for token in [&tokens.access, &tokens.refresh] {
        assert_eq!(gateway.ask(&ask(token)).await.json(), over);
    }
}

#[tokio::test]
async fn sec_a19_all_tokens_of_a_grant_end_together_however_they_became_known() {
    let first = setup().start().await;
    let client = OAuthClient::register(&first).await;
    let mut tokens = vec![client.sign_in(&first, "/mcp", "ada").await];
    for _ in 0..7 {
        let next = Tokens::of(&client.refresh(&first, &tokens.last().unwrap().refresh).await);
        tokens.push(next);
    }
    // A node that has never seen any of them, to which all are shown at once.
    let origin = format!("http://{}", first.address);
    let node = setup().gateway("publicUrl", json!(origin)).gateway("store", json!(store_of(&first)));
    let key = std::fs::read_to_string(first.folder().join("portcullis.key")).unwrap();
    let node = std::sync::Arc::new(node.gateway("encryptionKey", json!(key.trim())).start().await);
    let mut all = tokio::task::JoinSet::new();
    for token in &tokens {
        let (node, request) =
            (std::sync::Arc::clone(&node), Request::post("/mcp", &list_tools(1)).bearer(&token.access));
        all.spawn(async move { node.ask(&request).await.status });
    }
    assert_eq!(all.join_all().await, [200; 8]);
    let revoke = form("/oauth/revoke", &[("token", &tokens[7].refresh), ("client_id", &client.id)]);
    assert_eq!(node.ask(&revoke).await.status, 200);
    for token in &tokens {
        assert_eq!(node.ask(&Request::post("/mcp", &list_tools(1)).bearer(&token.access)).await.status, 401);
    }
}

fn store_of(gateway: &crate::harness::Gateway) -> String {
    format!("sqlite:{}", gateway.folder().join("portcullis.db").display())
}

#[tokio::test]
async fn what_one_way_of_signing_in_gave_is_worth_nothing_when_the_route_has_another() {
    let gateway = setup().start().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    let call = Request::post("/mcp", &list_tools(1)).bearer(&tokens.access);
    assert_eq!(gateway.ask(&call).await.status, 200);
    let provider = json!({
        "oidc": { "issuer": "https://idp.example.com" },
        "browserLogin": { "clientId": "gateway", "clientSecret": "secret" },
    });
    let route = crate::harness::Route::demo().policy("mcp-oauth-inbound", &provider);
    gateway.write(&crate::harness::Setup::new().route("/mcp", route).text());
    gateway.reload().await;
    assert_eq!(gateway.ask(&call).await.status, 401);
    let reply = client.refresh(&gateway, &tokens.refresh).await;
    assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn taking_back_takes_back_the_yes_too() {
    let gateway = setup().client("web", "https://app.example/cb").start().await;
    let web = OAuthClient::known(&gateway, "web", "https://app.example/cb");
    let mut browser = Browser::at(&gateway);
    web.code(&mut browser, "/mcp", "ada").await;
    assert!(browser.open(&web.url("/mcp")).await.elsewhere().contains("code="), "remembered");
    browser.submit("/oauth/logout", &[("everywhere", "yes")]).await.page();
    // Signed in again for another program; the first one has to ask.
    OAuthClient::register(&gateway).await.code(&mut browser, "/other", "ada").await;
    assert!(browser.open(&web.url("/mcp")).await.page().text().contains("name=\"decision\""));
}
