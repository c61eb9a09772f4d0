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
