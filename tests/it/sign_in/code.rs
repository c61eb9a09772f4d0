//! Redeeming codes.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use serde_json::json;

use super::{gateway, setup};
use crate::harness::{Browser, Gateway, OAuthClient, Reply, Request, Tokens, VERIFIER, form, list_tools, register};

fn error(reply: &Reply) -> String {
    assert!(reply.status >= 400, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), Some("no-store"), "oauth_32");
    let answer = reply.json();
    let description = answer["error_description"].as_str().unwrap();
    assert!(
        description.bytes().all(|b| (0x20..0x7F).contains(&b) && b != b'"' && b != b'\\'),
        "oauth_53: {description}"
    );
    answer["error"].as_str().unwrap().to_owned()
}

async fn code(gateway: &Gateway) -> (OAuthClient, String) {
    let client = OAuthClient::register(gateway).await;
    let code = client.code(&mut Browser::at(gateway), "/mcp", "ada").await;
    (client, code)
}

#[tokio::test]
async fn oauth_25_oauth_28_as_10_a_code_is_good_once_and_its_second_use_ends_what_it_gave() {
    let gateway = gateway().await;
    let (client, code) = code(&gateway).await;
    let tokens = Tokens::of(&client.redeem(&gateway, &code).await);
    let works = || async { gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(&tokens.access)).await.status };
    assert_eq!(works().await, 200);
    assert_eq!(error(&client.redeem(&gateway, &code).await), "invalid_grant");
    assert_eq!(works().await, 401);
    assert_eq!(error(&client.refresh(&gateway, &tokens.refresh).await), "invalid_grant");
}

#[tokio::test]
async fn oauth_25_of_many_who_redeem_a_code_at_once_one_at_most_gets_tokens() {
    let gateway = gateway().await;
    let (client, code) = code(&gateway).await;
    let all = (0..16).map(|_| client.redeem(&gateway, &code));
    let replies = futures(all).await;
    assert!(replies.iter().filter(|reply| reply.status == 200).count() <= 1);
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, done) in all.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *done = Some(value),
                std::task::Poll::Pending => waiting = true,
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn oauth_26_a_code_is_good_for_a_minute() {
    for (waited, good) in [(59, true), (61, false)] {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let gateway = setup().clock(clock.clone()).start().await;
        let (client, code) = code(&gateway).await;
        clock.advance(Duration::from_secs(waited));
        assert_eq!(client.redeem(&gateway, &code).await.status == 200, good, "{waited} s");
    }
}

#[tokio::test]
async fn oauth_27_oauth_29_oauth_30_a_code_is_bound_and_a_wrong_proof_burns_it() {
    let gateway = gateway().await;
    let wrong: [&[(&str, &str)]; 8] = [
        &[("code_verifier", "")],
        &[("code_verifier", "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong")],
        &[("code_verifier", "short")],
        &[("code_verifier", crate::harness::CHALLENGE)],
        &[("redirect_uri", "https://evil.example/cb")],
        &[("redirect_uri", "http://127.0.0.1:33418/callback/")],
        &[("resource", "RESOURCE/other")],
        &[("resource", "https://elsewhere.example/mcp")],
    ];
    for changes in wrong {
        let (client, code) = code(&gateway).await;
        let mut fields =
            vec![("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", VERIFIER)];
        let resource = format!("http://{}/other", gateway.address);
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            fields.push((name, if *value == "RESOURCE/other" { &resource } else { value }));
        }
        let expected = if changes[0].0 == "resource" { "invalid_target" } else { "invalid_grant" };
        assert_eq!(error(&client.token(&gateway, &fields).await), expected, "{changes:?}");
        assert_eq!(error(&client.redeem(&gateway, &code).await), "invalid_grant", "{changes:?}: the code is burnt");
    }
}

#[tokio::test]
async fn oauth_27_a_code_is_no_use_to_another_client() {
    let gateway = gateway().await;
    let (_, code) = code(&gateway).await;
    let other = OAuthClient::register(&gateway).await;
    assert_eq!(error(&other.redeem(&gateway, &code).await), "invalid_grant");
}

#[tokio::test]
async fn as_10_clients_of_oauth_2_0_may_repeat_the_redirect_uri_and_the_resource() {
    let gateway = gateway().await;
    let (client, code) = code(&gateway).await;
    let resource = format!("http://{}/mcp", gateway.address);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
        ("redirect_uri", client.redirect.as_str()),
        ("resource", resource.as_str()),
    ];
    assert_eq!(client.token(&gateway, &fields).await.status, 200);
}

#[tokio::test]
async fn oauth_33_oauth_34_oauth_11_the_token_endpoint_takes_one_form_and_nothing_else() {
    let gateway = gateway().await;
    let (client, code) = code(&gateway).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
        ("client_id", client.id.as_str()),
    ];
    let good = form("/oauth/token", &fields);
    let json = good.clone().with("Content-Type", "application/json");
    let in_query = good.clone().target(&format!("/oauth/token?client_id={}", client.id));
    let twice = [&fields[..], &[("code", code.as_str())]].concat();
    for request in [json, in_query, form("/oauth/token", &twice), good.clone().without("Content-Type")] {
        assert_eq!(error(&gateway.ask(&request).await), "invalid_request");
    }
    assert_eq!(gateway.ask(&good.clone().method("GET")).await.status, 405);
    assert_eq!(gateway.ask(&good).await.status, 200);
}

#[tokio::test]
async fn oauth_48_as_01_oauth_52_other_grants_do_not_exist() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    for grant in [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:device_code",
        "x",
    ] {
        let fields = [("grant_type", grant), ("username", "ada"), ("password", "x")];
        assert_eq!(error(&client.token(&gateway, &fields).await), "unsupported_grant_type", "{grant}");
    }
    assert_eq!(error(&client.token(&gateway, &[("code", "x")]).await), "invalid_request");
}

fn basic(id: &str, secret: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn oauth_35_oauth_36_oauth_37_oauth_54_as_14_a_client_proves_itself_in_the_way_that_it_registered() {
    let gateway = gateway().await;
    for method in ["client_secret_basic", "client_secret_post"] {
        let metadata = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": method });
        let registered = register(&gateway, &metadata).await.json();
        let (id, secret) = (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
        let fields = [("grant_type", "refresh_token"), ("refresh_token", "none")];
        let token = |basic_of: Option<(&str, &str)>, post: &[(&str, &str)]| {
            let request = form("/oauth/token", &[&fields[..], post].concat());
            match basic_of {
                Some((id, secret)) => request.header("Authorization", &basic(id, secret)),
                None => request,
            }
        };
        // Right: the refresh token is what is wrong.
        for right in [token(Some((id, secret)), &[]), token(None, &[("client_id", id), ("client_secret", secret)])] {
            assert_eq!(error(&gateway.ask(&right).await), "invalid_grant", "{method}");
        }
        // Wrong, with the same words whether the client exists or not.
        for (id, secret) in [(id, "wrong"), (id, ""), ("mcp_nobody", secret), (id, &secret[1..])] {
            let reply = gateway.ask(&token(Some((id, secret)), &[])).await;
            assert_eq!((reply.status, error(&reply).as_str()), (401, "invalid_client"));
            assert!(reply.header("www-authenticate").unwrap().starts_with("Basic "));
        }
        // Without a secret, or in two ways at once.
        assert_eq!(error(&gateway.ask(&token(None, &[("client_id", id)])).await), "invalid_client");
        let twice = token(Some((id, secret)), &[("client_id", id), ("client_secret", secret)]);
        assert_eq!(error(&gateway.ask(&twice).await), "invalid_request");
    }
    let public = OAuthClient::register(&gateway).await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_secret", "guess")];
    assert_eq!(error(&public.token(&gateway, &fields).await), "invalid_client");
}

#[tokio::test]
async fn oauth_55_wrong_credentials_are_slowed_down() {
    let gateway = gateway().await;
    let request = form("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", "x")])
        .header("Authorization", &basic("nobody", "guess"));
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(gateway.ask(&request).await.status);
    }
    assert_eq!((statuses[0], statuses[39]), (401, 429));
    // Then even a right one is not looked at.
    let client =
        json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "client_secret_basic" });
    let registered = register(&gateway, &client).await.json();
    let (id, secret) = (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let right = form("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", "x")]);
    assert_eq!(gateway.ask(&right.header("Authorization", &basic(id, secret))).await.status, 429);
}

#[tokio::test]
async fn oauth_49_a_program_of_the_operator_acts_for_itself_and_is_nobody_else() {
    let program = json!({
        "clientId": "robot", "clientSecret": "a-long-and-secret-word-of-the-robot", "grantTypes": ["client_credentials"],
    });
    let gateway = setup().oauth_client(&program).client("web", "https://app.example/cb").start().await;
    let resource = format!("http://{}/mcp", gateway.address);
    let fields = [("grant_type", "client_credentials"), ("resource", resource.as_str())];
    let request =
        form("/oauth/token", &fields).header("Authorization", &basic("robot", "a-long-and-secret-word-of-the-robot"));
    let reply = gateway.ask(&request).await;
    let tokens = Tokens::of(&reply);
    assert!(tokens.refresh.is_empty() && reply.json().get("refresh_token").is_none());
    let call = |path: &'static str| Request::post(path, &list_tools(1)).bearer(&tokens.access);
    assert_eq!(gateway.ask(&call("/mcp")).await.status, 200);
    assert_eq!(gateway.ask(&call("/other")).await.status, 401);
    // A public client, and one that registered itself, may not.
    let web = OAuthClient::known(&gateway, "web", "https://app.example/cb");
    assert_eq!(error(&web.token(&gateway, &fields).await), "unauthorized_client");
    let registered = OAuthClient::register(&gateway).await;
    assert_eq!(error(&registered.token(&gateway, &fields).await), "unauthorized_client");
}
