//! Signing in with an OpenID provider, and what of it is believed.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::{
    clock::{Clock, ManualClock, SystemClock},
    jwt::{Algorithm, SigningKey},
};
use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, DISCOVERY, Gateway, JWKS, OAuthClient, Page, Provider, Request, Route, SECRET, Setup, TOKEN,
    Tokens, Upstream, call, forge, form, hs256, parameters, sign,
};

pub(super) async fn provider() -> Provider {
    Provider::new(Arc::new(SystemClock)).await
}

pub(super) fn route(provider: &Provider) -> Route {
    Route::demo().policy("mcp-oauth-inbound", &provider.options())
}

/// A provider, and a gateway whose only route asks for a sign-in there.
async fn both() -> (Provider, Gateway) {
    let provider = provider().await;
    let gateway = Setup::new().route("/mcp", route(&provider)).start().await;
    (provider, gateway)
}

/// A browser that has just come back from the provider's page, and what it has to show there.
async fn returning(provider: &Provider, gateway: &Gateway, client: &OAuthClient) -> (Browser, String) {
    let mut browser = Browser::at(gateway);
    let login = client.to_provider(&mut browser, "/mcp").await;
    (browser, provider.sign_in(&login, "ada"))
}

/// The page says why the provider's answer was not good, nobody is signed in, and a link leads back.
pub(super) fn assert_failed(page: &Page, why: &str) {
    assert_eq!(page.reply.status, 502, "{}", page.text());
    assert!(page.text().contains("provider_failed") && page.text().contains(why), "{why:?} in\n{}", page.text());
    assert!(page.reply.all("set-cookie").iter().all(|cookie| !cookie.contains("session")), "{:?}", page.reply);
    let back = parameters(&page.link());
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("server_error", "st&te=1 ü"));
    assert!(back.contains_key("iss") && !back.contains_key("code"), "{back:?}");
}

/// Whose token it is.
fn subject(tokens: &Tokens) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(tokens.access.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["sub"].clone()
}

#[tokio::test]
async fn a_person_signs_in_at_a_provider_that_is_known_by_its_issuer_alone() {
    let (provider, gateway) = both().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.through(&provider, &gateway, "/mcp", "ada").await;
    assert_eq!(subject(&tokens), format!("{}|ada", provider.issuer()));
    let request = Request::post("/mcp", &call(1, "list_notes", &json!({}))).bearer(&tokens.access);
    assert_eq!(gateway.ask(&request).await.status, 200);
    client.through(&provider, &gateway, "/mcp", "bob").await;
    assert_eq!((provider.asked(DISCOVERY), provider.asked(JWKS)), (1, 1), "both are kept");
}

#[tokio::test]
async fn a_provider_without_discovery_is_described_by_its_addresses() {
    let provider = provider().await;
    provider.answers(DISCOVERY, Some(Answer::status(404)));
    let mut options = provider.options();
    let at = |path: &str| json!(format!("{}{path}", provider.issuer()));
    options["oidc"]["jwksUrl"] = at(JWKS);
    options["browserLogin"]["url"] = at("/authorize");
    options["browserLogin"]["tokenUrl"] = at(TOKEN);
    let gateway = Setup::new().route("/mcp", Route::demo().policy("mcp-oauth-inbound", &options)).start().await;
    OAuthClient::register(&gateway).await.through(&provider, &gateway, "/mcp", "ada").await;
    assert_eq!(provider.asked(DISCOVERY), 0);
}

#[tokio::test]
async fn oauth_24_sec_a17_an_id_token_that_is_not_for_this_sign_in_signs_nobody_in() {
    let (provider, gateway) = both().await;
    let client = OAuthClient::register(&gateway).await;
    let now = SystemClock.now().as_seconds();
    for (claims, why) in [
        (json!({ "nonce": "of-another-sign-in" }), "nonce"),
        (json!({ "nonce": null }), "nonce"),
        (json!({ "nonce": 1 }), "nonce"),
        (json!({ "iss": "https://elsewhere.example" }), "another issuer (iss)"),
        (json!({ "iss": format!("{}/", provider.issuer()) }), "another issuer (iss)"),
        (json!({ "iss": null }), "lacks a claim"),
        (json!({ "aud": "another-client" }), "another audience (aud)"),
        (json!({ "aud": [] }), "aud"),
        (json!({ "aud": null }), "lacks a claim"),
        (json!({ "aud": ["portcullis", "another-client"] }), "another client"),
        (json!({ "aud": ["portcullis", "another-client"], "azp": "another-client" }), "another client"),
        (json!({ "azp": "another-client" }), "another client"),
        (json!({ "exp": now - 120 }), "expired"),
        (json!({ "exp": null }), "lacks a claim"),
        (json!({ "exp": "tomorrow" }), "exp"),
        (json!({ "iat": now + 600 }), "in the future"),
        (json!({ "nbf": now + 600 }), "not valid yet"),
        (json!({ "sub": null }), "lacks a claim"),
        (json!({ "sub": 7 }), "sub"),
    ] {
        provider.claims(claims.clone());
        let (mut browser, back) = returning(&provider, &gateway, &client).await;
        let page = browser.open(&back).await.page();
        assert_failed(&page, why);
        // The browser was given no session: it is asked to sign in.
        let page = browser.open(&client.url("/mcp")).await.page();
        assert!(!page.text().contains("Signed in as"), "{claims}");
    }
    provider.claims(json!({ "aud": ["portcullis", "another-client"], "azp": "portcullis" }));
    client.through(&provider, &gateway, "/mcp", "ada").await;
}

/// Makes an ID token of claims.
type Signs = fn(&SigningKey, Value) -> String;

#[tokio::test]
async fn sec_a17_an_id_token_that_the_provider_did_not_sign_signs_nobody_in() {
    let (provider, gateway) = both().await;
    let client = OAuthClient::register(&gateway).await;
    let forgeries: [(Signs, &str); 7] = [
        (|_, claims| forge(&json!({ "alg": "none" }), &claims, |_| Vec::new()), "not accepted"),
        (|key, claims| forge(&json!({ "alg": "none", "kid": key.kid() }), &claims, |_| Vec::new()), "not accepted"),
        (|_, claims| forge(&json!({ "alg": "HS256" }), &claims, hs256(SECRET.as_bytes())), "not accepted"),
        (
            |key, claims| forge(&json!({ "alg": "HS256", "kid": key.kid() }), &claims, hs256(SECRET.as_bytes())),
            "not accepted",
        ),
        (|_, claims| sign(&SigningKey::generate(Algorithm::Es256).unwrap(), &claims), "not signed with a key"),
        (
            |key, claims| forge(&json!({ "alg": "ES256", "kid": key.kid() }), &claims, |_| vec![7; 64]),
            "signature is wrong",
        ),
        (|_, _| "nonsense".to_owned(), "not accepted"),
    ];
    for (signs, why) in forgeries {
        provider.signs(signs);
        let (mut browser, back) = returning(&provider, &gateway, &client).await;
        assert_failed(&browser.open(&back).await.page(), why);
    }
    provider.signs_plainly();
    client.through(&provider, &gateway, "/mcp", "ada").await;
}

#[tokio::test]
async fn oauth_24_sec_a14_an_answer_of_another_issuer_is_not_even_redeemed() {
    let (provider, gateway) = both().await;
    let client = OAuthClient::register(&gateway).await;
    let issuer = provider.issuer();
    for iss in ["&iss=https://elsewhere.example", &format!("&iss={issuer}/"), "&iss=", ""] {
        let (mut browser, back) = returning(&provider, &gateway, &client).await;
        let mixed_up = back.replace(&format!("&iss={issuer}"), iss);
        assert_ne!(mixed_up, back);
        assert_failed(&browser.open(&mixed_up).await.page(), "another issuer (iss)");
    }
    assert_eq!(provider.asked(TOKEN), 0);
    // A provider that does not promise to name itself may leave it out.
    let provider = self::provider().await;
    provider.also_says(json!({ "authorization_response_iss_parameter_supported": false }));
    let gateway = Setup::new().route("/mcp", route(&provider)).start().await;
    let client = OAuthClient::register(&gateway).await;
    let (mut browser, back) = returning(&provider, &gateway, &client).await;
    let back = browser.open(&back.replace(&format!("&iss={}", provider.issuer()), "")).await.elsewhere();
    assert!(parameters(&back).contains_key("code"), "{back}");
}

#[tokio::test]
async fn sec_a14_a_discovery_document_of_another_issuer_is_not_believed() {
    let (provider, gateway) = both().await;
    provider.also_says(json!({ "issuer": "https://elsewhere.example" }));
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let sealed = browser.open(&client.url("/mcp")).await.page().field("request");
    let page = browser.submit("/oauth/consent", &[("request", &sealed), ("decision", "allow")]).await.page();
    assert_failed(&page, "https://elsewhere.example");
}

#[tokio::test]
async fn oauth_24_sec_a2_a_sign_in_is_finished_once_in_time_and_in_the_browser_that_began_it() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let provider = Provider::new(clock.clone()).await;
    let gateway = Setup::new().clock(clock.clone()).route("/mcp", route(&provider)).start().await;
    let client = OAuthClient::register(&gateway).await;
    let refused = |page: Page, code: &str| {
        assert_eq!(page.reply.status, 400, "{}", page.text());
        assert!(page.text().contains(code), "{code}: {}", page.text());
    };
    // Of nobody.
    for state in ["", "&state=", "&state=nonsense", "&state=a&state=b"] {
        let url = format!("/oauth/callback?code=canary-code&iss={}{state}", provider.issuer());
        let page = Browser::at(&gateway).open(&url).await.page();
        assert_eq!(page.reply.status, 400, "{state}: {}", page.text());
    }
    // Twice.
    let (mut browser, back) = returning(&provider, &gateway, &client).await;
    browser.open(&back).await.elsewhere();
    refused(browser.open(&back).await.page(), "other_browser");
    // In another browser.
    let (_, back) = returning(&provider, &gateway, &client).await;
    let mut victim = Browser::at(&gateway);
    refused(victim.open(&back).await.page(), "other_browser");
    assert!(victim.cookies().is_empty(), "{:?}", victim.cookies());
    // In another browser that began a sign-in of its own.
    let (_, back) = returning(&provider, &gateway, &client).await;
    let (mut victim, _) = returning(&provider, &gateway, &client).await;
    refused(victim.open(&back).await.page(), "other_browser");
    // Too late.
    let (mut browser, back) = returning(&provider, &gateway, &client).await;
    clock.advance(Duration::from_mins(16));
    refused(browser.open(&back).await.page(), "stale");
    assert_eq!(provider.asked(TOKEN), 1, "only the one good answer was redeemed");
}

#[tokio::test]
async fn whoever_says_no_at_the_provider_is_believed_and_other_errors_are_explained() {
    let (provider, gateway) = both().await;
    let client = OAuthClient::register(&gateway).await;
    let failing = |back: &str, error: &str| {
        let (head, code) = back.split_once("code=").unwrap();
        let rest = code.split_once('&').unwrap().1;
        format!("{head}error={error}&error_description=Not%20today&{rest}")
    };
    let (mut browser, back) = returning(&provider, &gateway, &client).await;
    let told = parameters(&browser.open(&failing(&back, "access_denied")).await.elsewhere());
    assert_eq!((told["error"].as_str(), told["state"].as_str()), ("access_denied", "st&te=1 ü"));
    assert!(told.contains_key("iss") && !told.contains_key("code"));
    for error in ["unauthorized_client", "invalid_scope", "server_error", "consent_required"] {
        let (mut browser, back) = returning(&provider, &gateway, &client).await;
        assert_failed(&browser.open(&failing(&back, error)).await.page(), error);
    }
    let (mut browser, back) = returning(&provider, &gateway, &client).await;
    let page = browser.open(&failing(&back, "%3Cscript%3Ealert(1)%3C/script%3E")).await.page();
    assert!(!page.text().contains("<script"), "{}", page.text());
    assert_eq!(provider.asked(TOKEN), 0);
}

#[tokio::test]
async fn an_email_address_counts_only_if_the_provider_has_verified_it() {
    let (provider, gateway) = both().await;
    let client = OAuthClient::register(&gateway).await;
    for (claims, shown) in [
        (json!({ "email": "ada@example.com", "email_verified": true, "name": "Ada" }), "ada@example.com"),
        (json!({ "email": "boss@example.com", "email_verified": false, "name": "Ada" }), "Ada"),
        (json!({ "email": "boss@example.com", "preferred_username": "ada.l" }), "ada.l"),
        (json!({ "email": "boss@example.com", "email_verified": 1 }), "|ada"),
    ] {
        provider.knows("ada", claims);
        let (mut browser, back) = returning(&provider, &gateway, &client).await;
        browser.open(&back).await.elsewhere();
        let page = browser.open(&client.url("/mcp")).await.page();
        let account = page.text().split("Signed in as</dt><dd>").nth(1).unwrap().split("</dd>").next().unwrap();
        assert!(account.ends_with(shown), "{account} is not {shown}");
        assert!(!page.text().contains("boss@example.com"), "{}", page.text());
    }
}

#[tokio::test]
async fn sec_a14_a_session_with_one_provider_is_worth_nothing_at_another() {
    let (one, other) = (provider().await, provider().await);
    let gateway = Setup::new().route("/mcp", route(&one)).route("/other", route(&other)).start().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let login = client.to_provider(&mut browser, "/mcp").await;
    let back = browser.open(&one.sign_in(&login, "ada")).await.elsewhere();
    let code = parameters(&back).remove("code").unwrap();
    let first = Tokens::of(&client.redeem(&gateway, &code).await);
    assert!(browser.open(&client.url("/mcp")).await.page().text().contains("Signed in as"));
    assert!(!browser.open(&client.url("/other")).await.page().text().contains("Signed in as"));
    // Saying yes there leads to the other provider, and its answer is not taken from the first.
    let login = client.to_provider(&mut browser, "/other").await;
    let back = other.sign_in(&login, "ada");
    let mixed_up = back.replace(&other.issuer(), &one.issuer());
    assert_failed(&browser.open(&mixed_up).await.page(), "another issuer (iss)");
    // The same name at both is two people.
    let second = client.through(&other, &gateway, "/other", "ada").await;
    assert_eq!(subject(&first), format!("{}|ada", one.issuer()));
    assert_eq!(subject(&second), format!("{}|ada", other.issuer()));
    let elsewhere = Request::post("/other", &call(1, "list_notes", &json!({}))).bearer(&first.access);
    assert_eq!(gateway.ask(&elsewhere).await.status, 401);
}

#[tokio::test]
async fn oauth_80_sec_a8_nothing_that_the_provider_gives_out_reaches_the_client_or_the_upstream() {
    let provider = provider().await;
    let upstream = Upstream::saying("done").await;
    let route = Route::to(&upstream).policy("mcp-oauth-inbound", &provider.options());
    let gateway = Setup::new().route("/mcp", route).start().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let mut seen = Vec::new();
    let page = browser.open(&client.url("/mcp")).await.page();
    let consent = form("/oauth/consent", &[("request", &page.field("request")), ("decision", "allow")]);
    let sent = browser.ask(consent.header("Origin", &format!("http://{}", gateway.address))).await;
    let login = sent.header("location").unwrap().to_owned();
    let back = provider.sign_in(&login, "ada");
    let path = back.replace(&format!("http://{}", gateway.address), "");
    let landed = browser.ask(Request::get(&path)).await;
    let code = parameters(landed.header("location").unwrap()).remove("code").unwrap();
    let redeemed = client.redeem(&gateway, &code).await;
    let tokens = Tokens::of(&redeemed);
    let request = Request::post("/mcp", &call(1, "x", &json!({}))).bearer(&tokens.access);
    let called = gateway.ask(&request).await;
    assert_eq!(called.status, 200, "{called:?}");
    let refreshed = client.refresh(&gateway, &tokens.refresh).await;
    seen.extend([page.reply, sent, landed, redeemed, called, refreshed].iter().map(|reply| format!("{reply:?}")));
    seen.extend(upstream.requests().iter().map(|request| format!("{request:?}")));
    seen.push(format!("{:?}", browser.cookies()));
    let secrets = provider.secrets();
    assert!(secrets.len() >= 5, "{secrets:?}");
    for secret in secrets {
        assert!(seen.iter().all(|text| !text.contains(&secret)), "{secret} was seen");
    }
}
