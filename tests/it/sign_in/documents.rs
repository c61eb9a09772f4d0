//! Clients that are named by the URL of a document.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::setup;
use crate::harness::{Answer, Browser, DocumentHost, Gateway, OAuthClient, Page, Request, list_tools, parameters};

/// A gateway that trusts a host of documents.
pub(super) async fn both() -> (DocumentHost, Gateway) {
    let host = DocumentHost::new().await;
    let gateway = host.trusted_by(setup()).start().await;
    (host, gateway)
}

pub(super) fn client(gateway: &Gateway, id: &str) -> OAuthClient {
    OAuthClient::known(gateway, id, DocumentHost::REDIRECT)
}

/// What a person sees whom the client sends to us.
pub(super) async fn page(gateway: &Gateway, id: &str) -> Page {
    Browser::at(gateway).open(&client(gateway, id).url("/mcp")).await.page()
}

/// The person is told why, and nobody is sent anywhere.
pub(super) async fn refused(gateway: &Gateway, id: &str, why: &str) {
    let page = page(gateway, id).await;
    assert_eq!(page.reply.status, 400, "{id}: {}", page.text());
    assert!(page.text().contains("bad_client_document") && page.text().contains(why), "{id}: {why}\n{}", page.text());
    assert!(page.reply.header("location").is_none());
}

#[tokio::test]
async fn as_05_a_client_with_a_document_signs_in_without_having_registered() {
    let (host, gateway) = both().await;
    let client = client(&gateway, &host.publish("/desk.json", &json!({})));
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    let call = Request::post("/mcp", &list_tools(1)).bearer(&tokens.access);
    assert_eq!(gateway.ask(&call).await.status, 200);
    assert_eq!(client.refresh(&gateway, &tokens.refresh).await.status, 200);
    assert_eq!(host.asked("/desk.json"), 1, "a good document is kept for a while");
}

#[tokio::test]
async fn oauth_66_the_page_shows_the_host_that_vouches_and_no_picture() {
    let (host, gateway) = both().await;
    let logo = host.url("/logo.svg");
    let id = host.publish("/desk.json", &json!({ "logo_uri": logo, "client_uri": host.url("/about") }));
    let page = page(&gateway, &id).await;
    for shown in ["Story Desk", "<code>localhost</code>", "<code>desk.example</code>", &id] {
        assert!(page.text().contains(shown), "{shown}\n{}", page.text());
    }
    assert!(!page.text().contains("logo.svg") && !page.text().contains("<img"), "{}", page.text());
    assert!(!page.reply.header("content-security-policy").unwrap().contains("img-src"));
    assert_eq!(host.count(), 1, "nothing but the document is fetched");
}

#[tokio::test]
async fn oauth_58_oauth_59_oauth_62_as_05_a_document_that_says_something_wrong_makes_no_client() {
    let (host, gateway) = both().await;
    let private = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let symmetric = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ" }] });
    let cases: [(Value, &str); 17] = [
        (json!({ "client_id": "https://desk.example/client.json" }), "another `client_id`"),
        (json!({ "client_id": host.url("/case-0") + "/" }), "another `client_id`"),
        (json!({ "client_id": null }), "another `client_id`"),
        (json!({ "client_secret": "everybody reads it" }), "client_secret"),
        (json!({ "client_secret_expires_at": 0 }), "client_secret"),
        (json!({ "token_endpoint_auth_method": "client_secret_basic" }), "shared secret"),
        (json!({ "token_endpoint_auth_method": "client_secret_post" }), "shared secret"),
        (json!({ "token_endpoint_auth_method": "client_secret_jwt" }), "cannot be used"),
        (json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": private }), "private"),
        (json!({ "jwks": symmetric }), "private or symmetric"),
        (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "jwks"),
        (json!({ "redirect_uris": [] }), "redirect_uris"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "at least one address that may be used"),
        (json!({ "redirect_uris": ["http://desk.example/cb"] }), "at least one address that may be used"),
        (json!({ "redirect_uris": "https://desk.example/cb" }), "cannot be used"),
        (json!({ "client_name": null }), "client_name"),
        (json!({ "client_name": " " }), "client_name"),
    ];
    for (number, (changes, why)) in cases.iter().enumerate() {
        let id = host.publish(&format!("/case-{number}"), changes);
        refused(&gateway, &id, why).await;
    }
}

#[tokio::test]
async fn oauth_63_sec_c5_only_a_short_json_document_that_is_right_there_counts() {
    let (host, gateway) = both().await;
    host.publish("/good.json", &json!({}));
    let text = |path: &str| host.document(path, &json!({})).to_string();
    let padded = |path: &str, length: usize| format!("{:length$}", text(path));
    let json = |path: &str| Answer::body(200, "application/json", text(path));
    let status = |status: u16, path: &str| Answer::body(status, "application/json", text(path));
    for (path, answer, why) in [
        ("/found", status(302, "/found").header("Location", &host.url("/good.json")), "redirect"),
        ("/moved", status(308, "/moved").header("Location", &host.url("/good.json")), "redirect"),
        ("/missing", status(404, "/missing"), "status 404"),
        ("/broken", status(500, "/broken"), "status 500"),
        ("/created", status(201, "/created"), "status 201"),
        ("/html", Answer::body(200, "text/html", text("/html")), "not JSON"),
        ("/untyped", Answer::status(200).write(text("/untyped")), "not JSON"),
        ("/nonsense", Answer::body(200, "application/json", "{"), "not JSON"),
        ("/list", Answer::body(200, "application/json", "[]"), "another `client_id`"),
        ("/long", Answer::body(200, "application/json", padded("/long", 5_001)), "too large"),
        ("/endless", json("/endless").chunked().forever(" ".repeat(1024)), "too large"),
        ("/packed", json("/packed").header("Content-Encoding", "gzip"), "could not be fetched"),
        ("/cut", json("/cut").cut_after(120), "could not be fetched"),
    ] {
        host.serve(path, answer);
        refused(&gateway, &host.url(path), why).await;
    }
    assert_eq!(host.asked("/good.json"), 0, "no redirect is followed");
    host.serve("/just", Answer::body(200, "application/client+json; charset=utf-8", padded("/just", 5_000)));
    assert_eq!(page(&gateway, &host.url("/just")).await.reply.status, 200);
}

#[tokio::test]
async fn oauth_63_sec_c5_a_slow_host_has_three_seconds() {
    let (host, gateway) = both().await;
    host.serve("/silent", Answer::never());
    let slowly =
        (0..40).fold(Answer::body(200, "application/json", "{").chunked(), |answer, _| answer.pause(200).write(" "));
    host.serve("/slow", slowly);
    let (silent, slow) = (host.url("/silent"), host.url("/slow"));
    let begun = Instant::now();
    tokio::join!(refused(&gateway, &silent, "in time"), refused(&gateway, &slow, "in time"));
    let took = begun.elapsed();
    assert!((Duration::from_millis(2_500)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn oauth_64_good_documents_are_kept_as_long_as_they_say_within_bounds_and_bad_ones_never() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let host = DocumentHost::new().await;
    let gateway = host.trusted_by(setup()).clock(clock.clone()).start().await;
    let (minute, hour) = (60, 3600);
    for (path, said, kept) in [
        ("/five-minutes", Some("max-age=300"), 5 * minute),
        ("/not-at-all", Some("no-store"), minute),
        ("/nothing", Some("max-age=0"), minute),
        ("/a-year", Some("public, max-age=31536000"), 24 * hour),
        ("/silent", None, 10 * minute),
    ] {
        let good = Answer::json(&host.document(path, &json!({})));
        host.serve(path, said.map_or(good.clone(), |said| good.header("Cache-Control", said)));
        let id = host.url(path);
        page(&gateway, &id).await;
        clock.advance(Duration::from_secs(kept - 1));
        page(&gateway, &id).await;
        assert_eq!(host.asked(path), 1, "{path} is kept");
        clock.advance(Duration::from_secs(2));
        page(&gateway, &id).await;
        assert_eq!(host.asked(path), 2, "{path} is too old");
    }
    // What was bad is asked for again, and helps as soon as it is good.
    let id = host.publish("/late", &json!({ "client_name": null }));
    host.serve("/late", Answer::status(503).header("Cache-Control", "max-age=3600"));
    refused(&gateway, &id, "503").await;
    let bad = Answer::json(&host.document("/late", &json!({ "client_name": null })));
    host.serve("/late", bad.header("Cache-Control", "max-age=3600"));
    refused(&gateway, &id, "client_name").await;
    host.publish("/late", &json!({}));
    assert_eq!(page(&gateway, &id).await.reply.status, 200);
    assert_eq!(host.asked("/late"), 3);
}

#[tokio::test]
async fn oauth_67_as_05_consent_is_asked_again_when_the_document_changes_in_substance() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let host = DocumentHost::new().await;
    let gateway = host.trusted_by(setup()).clock(clock.clone()).start().await;
    let client = client(&gateway, &host.publish("/desk.json", &json!({})));
    let mut browser = Browser::at(&gateway);
    client.code(&mut browser, "/mcp", "ada").await;
    let keys =
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let more = json!([DocumentHost::REDIRECT, "https://desk.example/other"]);
    for (changes, asks) in [
        (json!({}), false),
        (json!({ "contacts": ["desk@desk.example"], "policy_uri": "https://desk.example/policy" }), false),
        (json!({ "client_name": "Your Bank" }), true),
        (json!({ "redirect_uris": more }), true),
        (json!({ "jwks": keys, "token_endpoint_auth_method": "private_key_jwt" }), true),
        (json!({ "jwks_uri": host.url("/keys"), "token_endpoint_auth_method": "private_key_jwt" }), true),
    ] {
        host.publish("/desk.json", &changes);
        clock.advance(Duration::from_mins(11));
        let landed = browser.open(&client.url("/mcp")).await;
        if asks {
            let page = landed.page();
            assert!(page.text().contains("Signed in as"), "{changes}: {}", page.text());
            let sealed = page.field("request");
            browser.submit("/oauth/consent", &[("request", &sealed), ("decision", "allow")]).await.elsewhere();
        }
        // Whoever has just said yes to exactly this is not asked.
        let back = browser.open(&client.url("/mcp")).await.elsewhere();
        assert!(parameters(&back).contains_key("code"), "{changes}: {back}");
    }
}
