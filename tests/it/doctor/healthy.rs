//! Servers with nothing wrong: no failure and no false alarm.

use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use super::{examine, examine_with, token, url, vendor};
use crate::harness::{Answer, Gateway, OAuthClient, RESOURCE_METADATA, Received, Request, Route, Setup, Upstream};

#[tokio::test]
async fn an_open_server_is_found_healthy_with_its_revisions_and_its_tools() {
    let gateway = Gateway::with(Route::demo()).await;
    let seen = examine(&url(&gateway)).await;
    seen.is_healthy();
    assert!(seen.check("answer").1.contains("open to anybody"), "{}", seen.printed);
    assert_eq!(seen.check("challenge"), ("skipped", "it asks for no token"));
    let revisions = seen.check("revisions").1;
    assert!(revisions.contains("2026-07-28") && revisions.contains("initialize: 2025-11-25"), "{revisions}");
    assert!(seen.check("tools").1.ends_with(" tools"), "{}", seen.printed);
    assert_eq!(seen.check("get"), ("ok", "405 Method Not Allowed"));
}

#[tokio::test]
async fn a_server_behind_a_sign_in_is_found_healthy_without_a_token_and_with_one() {
    let vendor = vendor().await;
    let seen = examine(&vendor.url()).await;
    seen.is_healthy();
    for check in ["answer", "challenge", "resource", "issuer"] {
        assert_eq!(seen.check(check).0, "ok", "{check}: {}", seen.printed);
    }
    let (state, why) = seen.check("tools");
    assert!(state == "skipped" && why.contains("--token"), "{why}");

    let token = token(&vendor).await;
    let seen = examine_with(&[&vendor.url(), "--token", &token], &[]).await;
    seen.is_healthy();
    assert_eq!(seen.check("tools"), ("ok", "3 tools"));
    // It goes to the server that was typed, and never to those that this one names.
    let carried = |received: &Received| received.head.contains(&token);
    assert!(vendor.at_resource().iter().any(carried) && !vendor.at_server().iter().any(carried));
    let documents = vendor.received(RESOURCE_METADATA);
    assert!(!documents.is_empty() && !documents.iter().any(carried));
    assert!(!seen.printed.contains(&token));

    // By the environment, where other people of the machine do not see it.
    let seen = examine_with(&[&vendor.url()], &[("PORTCULLIS_DOCTOR_TOKEN", &token)]).await;
    assert_eq!(seen.check("tools"), ("ok", "3 tools"));
}

#[tokio::test]
async fn a_gateway_s_own_sign_in_is_found_healthy() {
    let gateway = Setup::new().route("/mcp", Route::demo().policy("dev-login", &json!({}))).start().await;
    let seen = examine(&url(&gateway)).await;
    seen.is_healthy();
    assert_eq!((seen.check("resource").0, seen.check("issuer").0), ("ok", "ok"), "{}", seen.printed);
    let tokens = OAuthClient::register(&gateway).await.sign_in(&gateway, "/mcp", "ada").await;
    let seen = examine_with(&[&url(&gateway), "--token", &tokens.access], &[]).await;
    seen.is_healthy();
    assert_eq!(seen.check("revisions").0, "ok", "{}", seen.printed);
}

/// A server of 2025-06-18 with sessions: it takes no other revision in them, lists nothing before one has begun, and answers
/// `instead` to whoever shows no session.
fn with_sessions(request: &Received, instead: u16, stream: bool) -> Answer {
    let in_session = request.header("mcp-session-id").is_some();
    if in_session && request.header("mcp-protocol-version") != Some("2025-06-18") {
        return Answer::status(400);
    }
    match request.head.split(' ').next().unwrap_or_default() {
        "GET" if stream && in_session => Answer::events().write(": nothing yet\n\n").then_silence(),
        "GET" => Answer::status(405),
        "DELETE" => Answer::status(200),
        _ if request.message()["method"] == "initialize" => {
            let result = json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} }, "serverInfo": {} });
            Answer::json(&request.result(&result)).header("Mcp-Session-Id", "one")
        }
        _ if !in_session => Answer::status(instead),
        _ if request.message().get("id").is_none() => Answer::status(202),
        _ => Answer::events().event(&request.result(&json!({ "tools": [{ "name": "a" }, { "name": "b" }] }))),
    }
}

/// How many requests have this in their head or their body.
fn count(upstream: &Upstream, words: &str) -> usize {
    let is_in = |text: &[u8]| text.windows(words.len()).any(|part| part == words.as_bytes());
    upstream.requests().iter().filter(|one| is_in(one.head.as_bytes()) || is_in(&one.body)).count()
}

#[tokio::test]
async fn a_session_that_was_opened_is_ended_at_the_revision_that_was_agreed_on() {
    for (instead, stream, get) in [
        (400, false, "405 Method Not Allowed"),
        (403, false, "405 Method Not Allowed"),
        (400, true, "200 OK: a stream"),
    ] {
        let upstream = Upstream::new(move |request| with_sessions(request, instead, stream)).await;
        let seen = examine(&upstream.url()).await;
        seen.is_healthy();
        assert_eq!(seen.check("revisions"), ("ok", "initialize: 2025-06-18"));
        assert_eq!((seen.check("tools"), seen.check("get")), (("ok", "2 tools"), ("ok", get)));
        let ended = upstream.requests().into_iter().filter(|one| one.head.starts_with("DELETE "));
        let revisions: Vec<_> = ended.map(|one| one.header("mcp-protocol-version").map(ToOwned::to_owned)).collect();
        assert_eq!(revisions.len(), count(&upstream, "\"initialize\""), "{:#?}", upstream.requests());
        assert!(revisions.iter().all(|revision| revision.as_deref() == Some("2025-06-18")), "{revisions:?}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_first_question_of_the_other_era_is_healthy_with_a_token_too() {
    for instead in [401, 403] {
        let upstream = Upstream::new(move |request| match request.header("authorization") {
            Some(_) => with_sessions(request, instead, false),
            None if request.head.starts_with("POST ") => Answer::status(401),
            None => Answer::status(404),
        })
        .await;
        let seen = examine_with(&[&upstream.url(), "--token", "canary"], &[]).await;
        assert_eq!(seen.check("revisions"), ("ok", "initialize: 2025-06-18"), "{}", seen.printed);
        assert_eq!(seen.check("tools"), ("ok", "2 tools"), "{}", seen.printed);
    }
}

/// A server that asks for a token and knows itself by this path, with its authorization server on the same origin. Its
/// metadata are at the root only.
fn behind_a_sign_in(request: &Received, own: &str) -> Answer {
    let origin = format!("http://{}", request.header("host").unwrap_or_default());
    let place = "/.well-known/oauth-protected-resource";
    match request.path() {
        path if path == place => {
            let resource = format!("{origin}{}", own.trim_end_matches('/'));
            Answer::json(&json!({ "resource": resource, "authorization_servers": [origin] }))
        }
        "/.well-known/oauth-authorization-server" => Answer::json(&json!({
            "issuer": origin, "authorization_endpoint": format!("{origin}/a"), "token_endpoint": format!("{origin}/t"),
            "registration_endpoint": format!("{origin}/r"), "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        })),
        path if path == own => {
            let challenge = format!("Bearer resource_metadata=\"{origin}{place}\"");
            Answer::status(401).header("WWW-Authenticate", &challenge)
        }
        _ => Answer::status(404),
    }
}

#[tokio::test]
async fn pr_01_metadata_at_the_root_a_server_at_the_root_and_one_with_a_query_are_healthy() {
    for own in ["/mcp", "/", "/mcp?tenant=canary"] {
        let upstream = Upstream::new(move |request| behind_a_sign_in(request, own)).await;
        let seen = examine(&format!("http://{}{own}", upstream.address())).await;
        seen.is_healthy();
        assert_eq!((seen.check("resource").0, seen.check("issuer").0), ("ok", "ok"), "{own}: {}", seen.printed);
        assert!(!seen.printed.contains("canary"), "{}", seen.printed);
    }
}

#[tokio::test]
async fn a_server_at_an_address_of_ipv6_is_healthy() {
    // Some machines have none.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let address = listener.local_addr().unwrap();
    let upstream = Upstream::new(|request| behind_a_sign_in(request, "/mcp")).await;
    let target = upstream.address();
    let running = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(target).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let seen = examine(&format!("http://{address}/mcp")).await;
    seen.is_healthy();
    assert_eq!((seen.check("name"), seen.check("issuer").0), (("ok", "::1"), "ok"), "{}", seen.printed);
    running.abort();
}

#[tokio::test]
async fn a_healthy_server_is_examined_in_less_than_two_seconds() {
    let gateway = Gateway::with(Route::demo()).await;
    let began = tokio::time::Instant::now();
    examine(&url(&gateway)).await.is_healthy();
    assert!(began.elapsed().as_secs_f64() < 2.0, "{:?}", began.elapsed());
    assert_eq!(gateway.ask(&Request::get("/healthz")).await.status, 200);
}
