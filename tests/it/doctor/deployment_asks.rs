//! What a deployment asks of others: identity providers, upstreams, and what they have.

use std::sync::Arc;

use portcullis_policies::kit::clock::SystemClock;
use serde_json::{Value, json};

use super::{
    deployment::{at, examine, fails_with, free_port},
    vendor,
};
use crate::connect::decide;
use crate::harness::{
    Answer, Browser, DISCOVERY, JWKS, Provider, REGISTER, Route, SECRET, SERVER_METADATA, Setup, Upstream, Vendor,
};

async fn examine_route(route: Route) -> super::Examined {
    examine(at(free_port()).route("/mcp", route).into_folder().path()).await
}

#[tokio::test]
async fn an_identity_provider_is_asked_as_when_somebody_signs_in() {
    let provider = Provider::new(Arc::new(SystemClock)).await;
    let route = || Route::demo().policy("mcp-oauth-inbound", &provider.options());
    let seen = examine_route(route()).await;
    seen.is_healthy();
    assert_eq!(seen.check("provider").0, "ok", "{}", seen.printed);

    let keys = || Answer::json(&json!({ "keys": [] }));
    for (path, answer, code) in [
        (DISCOVERY, Answer::status(404), "identity_provider_unreachable"),
        (DISCOVERY, Answer::body(200, "text/html", "<h1>Sign in</h1>"), "identity_provider_unreadable"),
        (JWKS, keys(), "identity_provider_keys_unusable"),
        (JWKS, Answer::status(500), "identity_provider_keys_unusable"),
    ] {
        provider.answers(path, Some(answer));
        let seen = examine_route(route()).await;
        provider.answers(path, None);
        fails_with(&seen, code);
        assert!(seen.report["diagnosis"][0]["verify"].to_string().contains(path), "{}", seen.printed);
        assert!(!seen.printed.contains(SECRET), "{}", seen.printed);
    }
    provider.also_says(json!({ "issuer": format!("{}/", provider.issuer()) }));
    fails_with(&examine_route(route()).await, "identity_provider_issuer_mismatch");
}

#[tokio::test]
async fn an_issuer_of_tokens_whose_keys_are_gone_is_told_by_the_policy_that_needs_them() {
    let provider = Provider::new(Arc::new(SystemClock)).await;
    let options = json!({ "issuers": [{ "issuer": provider.issuer() }], "audience": "here" });
    examine_route(Route::demo().policy("jwt-inbound", &options)).await.is_healthy();
    provider.answers(JWKS, Some(Answer::status(404)));
    let seen = examine_route(Route::demo().policy("jwt-inbound", &options)).await;
    fails_with(&seen, "policy_cannot_work");
    let evidence = seen.check("policy").1;
    assert!(evidence.contains("routes.json:") && evidence.contains(&provider.issuer()), "{evidence}");
}

#[tokio::test]
async fn an_upstream_that_is_gone_closed_or_refuses_its_key_is_told_apart() {
    let gone = Upstream::saying("gone soon").await;
    let url = gone.url();
    drop(gone);
    let seen = examine_route(Route::url(&url)).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["connection_refused"], Some(3)), "{}", seen.printed);
    assert!(seen.check("upstream").1.contains(&url), "{}", seen.printed);

    let vendor = vendor().await;
    fails_with(&examine_route(Route::url(&vendor.url())).await, "upstream_asks_for_token");
    let headers = json!({ "headers": [{ "name": "Authorization", "value": "Bearer canary" }] });
    let seen = examine_route(Route::url(&vendor.url()).policy("set-headers", &headers)).await;
    fails_with(&seen, "upstream_refuses_credential");
    assert!(!seen.printed.contains("canary"), "{}", seen.printed);
}

#[tokio::test]
async fn each_session_that_is_opened_at_an_upstream_to_look_at_it_is_ended() {
    let upstream = Upstream::new(|request| {
        if !request.head.starts_with("POST ") {
            return Answer::status(if request.head.starts_with("DELETE ") { 200 } else { 405 });
        }
        match request.message()["method"].as_str().unwrap() {
            "initialize" => {
                let agreed = json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                                     "serverInfo": { "name": "old", "version": "1" } });
                Answer::json(&request.result(&agreed)).header("Mcp-Session-Id", "a-session")
            }
            "notifications/initialized" => Answer::status(202),
            // As the SDKs do, of a revision that was not agreed on.
            _ if request.header("mcp-protocol-version") != Some("2025-06-18") => Answer::status(400),
            _ => Answer::json(&request.result(&json!({ "tools": [{ "name": "a" }] }))),
        }
    })
    .await;
    let key = json!({ "headers": [{ "name": "X-Key", "value": "canary" }] });
    let seen = examine_route(Route::to(&upstream).policy("set-headers", &key)).await;
    seen.is_healthy();
    assert!(seen.check("upstream").1.contains("1 tool"), "{}", seen.printed);
    let requests = upstream.requests();
    let opened = requests.iter().filter(|request| String::from_utf8_lossy(&request.body).contains("\"initialize\""));
    let ended: Vec<_> = requests.iter().filter(|request| request.head.starts_with("DELETE ")).collect();
    assert_eq!((opened.count(), ended.len()), (1, 1), "{requests:?}");
    let told = ["mcp-session-id", "mcp-protocol-version", "x-key"].map(|name| ended[0].header(name));
    assert_eq!(told, [Some("a-session"), Some("2025-06-18"), Some("canary")]);
}

#[tokio::test]
async fn an_upstream_that_answers_and_does_not_say_all_that_it_offers_is_told() {
    let upstream = Upstream::new(|request| {
        if !request.head.starts_with("POST ") {
            return Answer::status(405);
        }
        match request.message()["method"].as_str().unwrap() {
            "tools/list" => Answer::json(&request.result(&json!({ "tools": [{ "name": "a" }] }))),
            "prompts/list" => Answer::json(&json!({ "jsonrpc": "2.0", "id": request.message()["id"],
                                                    "error": { "code": -32603, "message": "out of order" } })),
            _ => Answer::json(
                &request.result(&json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
                                                       "serverInfo": { "name": "s", "version": "1" } })),
            ),
        }
    })
    .await;
    let seen = examine_route(Route::to(&upstream)).await;
    fails_with(&seen, "upstream_gives_no_list");
    assert!(seen.check("upstream").1.contains("prompts/list: out of order"), "{}", seen.printed);
}

#[tokio::test]
async fn an_upstream_that_has_nothing_is_told_with_a_command_that_asks_it() {
    let upstream = Upstream::new(|request| match &request.head {
        head if head.starts_with("POST ") => Answer::json(&request.result(&json!({ "tools": [] }))),
        _ => Answer::status(405),
    })
    .await;
    let seen = examine_route(Route::to(&upstream)).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["no_tools"], Some(0)), "{}", seen.printed);
    let verify = seen.report["diagnosis"][0]["verify"].to_string();
    assert!(verify.contains(&format!("portcullis doctor '{}'", upstream.url())), "{verify}");
}

/// A route to a vendor, in the name of each person or of all.
fn connected(vendor: &Vendor, mode: &str) -> Route {
    let options = json!({ "id": "vendor", "displayName": "Vendor", "authMode": mode });
    let retry = |route: Route| route.policy("upstream-auth-retry", &json!({}));
    let route = Route::url(&vendor.url());
    let route = if mode == "user-oauth" { route.policy("dev-login", &json!({})) } else { route };
    retry(route).policy("mcp-token-exchange", &options)
}

#[tokio::test]
async fn whether_the_gateway_can_get_tokens_for_an_upstream_is_known_before_anybody_connects() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let seen = examine_route(connected(&vendor, "user-oauth")).await;
    seen.is_healthy();
    assert!(
        seen.check("upstream").1.contains("registers itself there when somebody first connects"),
        "{}",
        seen.printed
    );
    assert_eq!(vendor.asked(REGISTER), 0, "it only looks");

    for (says, code) in [
        (json!({ "registration_endpoint": null }), "no_registration_endpoint"),
        (json!({ "code_challenge_methods_supported": null }), "no_pkce_support"),
        (json!({ "issuer": "https://elsewhere.example" }), "issuer_mismatch"),
        (json!({ "authorization_endpoint": null }), "no_authorization_endpoint"),
    ] {
        vendor.says(SERVER_METADATA, says);
        let seen = examine_route(connected(&vendor, "user-oauth")).await;
        vendor.says(SERVER_METADATA, json!({}));
        let known = |code: &str| seen.codes().contains(&code) || seen.check("upstream").1.contains(code);
        assert!(known(code), "{code}: {}", seen.printed);
        assert_ne!(seen.exit_code, Some(0), "{}", seen.printed);
    }

    let options = json!({ "id": "vendor", "displayName": "Vendor", "authMode": "user-oauth",
                          "authorizationServer": "https://elsewhere.example" });
    let route = Route::url(&vendor.url()).policy("dev-login", &json!({})).policy("mcp-token-exchange", &options);
    let seen = examine_route(route).await;
    // Without `upstream-auth-retry`, which the check of the configuration misses.
    assert_eq!(seen.codes(), ["configuration_warnings", "issuer_not_trusted"], "{}", seen.printed);
    assert!(seen.check("config").1.contains("a newer one would do"), "{}", seen.printed);

    let seen = examine_route(connected(&vendor, "shared-oauth")).await;
    fails_with(&seen, "nobody_connected");
    let fix = seen.report["diagnosis"][0]["fix"].to_string();
    assert!(fix.contains("portcullis connections connect vendor"), "{fix}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_has_connected_is_found_connected_and_registered() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let gateway = at(free_port()).route("/mcp", connected(&vendor, "shared-oauth")).spawn();
    let place = gateway.place().await;
    let command = gateway.command(&["connections", "connect", "vendor"]);
    let link = String::from_utf8(command.stdout).unwrap();
    let mut browser = Browser::at(&place);
    let page = browser.open(link.trim()).await.page();
    let asked = decide(&mut browser, &page, "connect").await.elsewhere();
    browser.open(&vendor.says_yes(&asked, "the team")).await.page();
    let seen = examine(gateway.folder()).await;
    let (state, evidence) = seen.check("upstream");
    assert!(state == "ok" && evidence.ends_with("; connected"), "{}", seen.printed);
    assert!(evidence.contains("is registered there as"), "{evidence}");
    let shown = |secret: &String| seen.printed.contains(secret.as_str());
    assert!(!vendor.secrets().iter().any(shown), "{}", seen.printed);
}

#[tokio::test]
async fn a_filter_that_names_what_the_upstream_does_not_have_is_told_with_the_nearest_name() {
    let filter = |tools: Value| Route::demo().policy("mcp-capability-filter", &json!({ "tools": tools }));
    let seen = examine_route(filter(json!(["ehco"]))).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["filter_matches_nothing"], Some(0)), "{}", seen.printed);
    let (_, evidence) = seen.check("filter");
    assert!(evidence.starts_with("routes.json:") && evidence.contains("ehco"), "{evidence}");
    assert!(seen.report["diagnosis"][0]["fix"].to_string().contains("did you mean \\\"echo\\\"?"), "{}", seen.printed);
    examine_route(filter(json!(["echo"]))).await.is_healthy();
}

#[tokio::test]
async fn what_came_into_the_configuration_from_outside_is_not_shown() {
    let upstream = Upstream::new(|_| Answer::status(500)).await;
    let setup: Setup = at(free_port())
        .file("key.txt", "canary")
        .route("/mcp", Route::url(&format!("{}/$file(key.txt)?key=$file(key.txt)", upstream.url())));
    let seen = examine(setup.into_folder().path()).await;
    assert_eq!(seen.codes(), ["server_error"], "{}", seen.printed);
    assert!(!seen.printed.contains("canary"), "{}", seen.printed);
    assert!(seen.report["diagnosis"][0]["verify"].to_string().contains("/mcp/$file(key.txt)"), "{}", seen.printed);
}
