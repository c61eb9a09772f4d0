//! The page on which a person decides, and the browser that it is bound to.

use serde_json::json;

use super::{gateway, setup};
use crate::harness::{Browser, Landed, OAuthClient, Request, address, form, parameters, register};

#[tokio::test]
async fn oauth_17_as_08_sb_01_sb_10_the_page_shows_who_asks_for_what_and_where_it_goes() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let page = Browser::at(&gateway).open(&client.url("/mcp")).await.page();
    for shown in [
        "Story Client",
        "127.0.0.1",
        "mcp:tools",
        "/mcp",
        &client.id,
        "registered itself",
        "Any program on this computer",
    ] {
        assert!(page.text().contains(shown), "{shown}:\n{}", page.text());
    }
    let metadata = json!({
        "client_name": "Web", "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none",
    });
    let id = register(&gateway, &metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let web = OAuthClient::known(&gateway, &id, "https://app.example/cb");
    let page = Browser::at(&gateway).open(&web.url("/mcp")).await.page();
    assert!(page.text().contains("app.example") && !page.text().contains("Any program on this computer"));
}

#[tokio::test]
async fn oauth_18_as_08_sec_d6_the_page_cannot_be_framed_scripted_or_read_by_others() {
    let gateway = gateway().await;
    let hostile = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "{{7*7}}",
        "</title><svg onload=x>",
        "javascript:alert(1)",
        "Ad\u{202e}moc",
        "&lt;b&gt;",
        "' onfocus='x",
    ];
    for name in hostile {
        let metadata = json!({
            "client_name": name, "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none",
            "logo_uri": "javascript:alert(1)", "client_uri": "javascript:alert(1)", "tos_uri": "data:text/html,x",
        });
        let id = register(&gateway, &metadata).await.json()["client_id"].as_str().unwrap().to_owned();
        let client = OAuthClient::known(&gateway, &id, "http://127.0.0.1/cb");
        let page = Browser::at(&gateway).open(&client.url("/mcp")).await.page();
        assert_eq!(page.reply.status, 200, "{name}");
        let text = page.text();
        for bad in ["<script", "<img", "<svg", " onfocus='", "\u{202e}", "href=\"javascript", ">49<"] {
            assert!(!text.contains(bad), "{name}: {bad}\n{text}");
        }
        let policy = page.reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.reply.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.reply.header("cache-control"), Some("no-store"));
        assert!(page.reply.header("access-control-allow-origin").is_none());
    }
    let preflight = Request::new("OPTIONS", "/oauth/consent")
        .header("Origin", "https://evil.example")
        .header("Access-Control-Request-Method", "POST");
    assert!(gateway.ask(&preflight).await.header("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn oauth_18_a_form_from_another_browser_or_another_site_allows_nothing() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut mine = Browser::at(&gateway);
    let request = mine.open(&client.url("/mcp")).await.page().field("request");
    let fields: &[(&str, &str)] = &[("request", &request), ("decision", "allow")];
    // Somebody else's browser, with and without a cookie of its own.
    let mut other = Browser::at(&gateway);
    assert_eq!(other.submit("/oauth/consent", fields).await.page().reply.status, 400);
    other.open(&client.url("/mcp")).await;
    assert_eq!(other.submit("/oauth/consent", fields).await.page().reply.status, 400);
    // My browser, but the form was on another site.
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let reply = mine.ask(form("/oauth/consent", fields).header(name, value)).await;
        assert_eq!(reply.status, 403, "{name}: {value}");
    }
    // Tampered, empty, of the wrong kind.
    let middle = request.len() / 2;
    let other = if request.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let tampered = format!("{}{other}{}", &request[..middle], &request[middle + 1..]);
    for fields in [
        &[("request", tampered.as_str()), ("decision", "allow")][..],
        &[("decision", "allow")],
        &[("request", &request)],
    ] {
        assert_eq!(mine.submit("/oauth/consent", fields).await.page().reply.status, 400, "{fields:?}");
    }
    let json = Request::new("POST", "/oauth/consent").header("Content-Type", "application/json").body("{}");
    assert_eq!(mine.ask(json).await.status, 400);
    // After all that it still works for the one who was asked.
    assert!(
        matches!(mine.submit("/oauth/consent", fields).await, Landed::Page(page) if page.text().contains("Who are you"))
    );
}

#[tokio::test]
async fn as_08_whoever_says_no_is_believed() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let request = browser.open(&client.url("/mcp")).await.page().field("request");
    let back = browser.submit("/oauth/consent", &[("request", &request), ("decision", "deny")]).await.elsewhere();
    let parameters = parameters(&back);
    assert_eq!((parameters["error"].as_str(), parameters["state"].as_str()), ("access_denied", "st&te=1 ü"));
    assert!(parameters.contains_key("iss") && !parameters.contains_key("code"));
}

#[tokio::test]
async fn sec_a1_cl_17_sb_01_a_new_client_is_asked_about_although_the_person_is_signed_in() {
    let gateway = gateway().await;
    let mut browser = Browser::at(&gateway);
    OAuthClient::register(&gateway).await.code(&mut browser, "/mcp", "ada").await;
    let metadata = json!({
        "client_name": "Stranger", "redirect_uris": ["https://stranger.example/cb"], "token_endpoint_auth_method": "none",
    });
    let id = register(&gateway, &metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let stranger = OAuthClient::known(&gateway, &id, "https://stranger.example/cb");
    let page = browser.open(&stranger.url("/mcp")).await.page();
    assert!(page.text().contains("Stranger") && page.text().contains("decision"));
}

#[tokio::test]
async fn sec_a2_a_sign_in_that_one_browser_allowed_cannot_be_finished_in_another() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut attacker = Browser::at(&gateway);
    let request = attacker.open(&client.url("/mcp")).await.page().field("request");
    let page = attacker.submit("/oauth/consent", &[("request", &request), ("decision", "allow")]).await.page();
    let state = page.field("state");
    // The victim opens the captured address, or even sends the form.
    let mut victim = Browser::at(&gateway);
    victim.open(&page.at).await;
    let page = victim.submit("/oauth/dev-login", &[("state", &state), ("name", "victim")]).await.page();
    assert_eq!(page.reply.status, 400);
    assert!(page.text().contains("other_browser"), "{}", page.text());
    // In the browser that it was begun in it can be finished once, by whoever sits there.
    let fields = [("state", state.as_str()), ("name", "attacker")];
    assert!(parameters(&attacker.submit("/oauth/dev-login", &fields).await.elsewhere()).contains_key("code"));
    assert_eq!(attacker.submit("/oauth/dev-login", &fields).await.page().reply.status, 400);
}

#[tokio::test]
async fn oauth_19_consent_is_remembered_for_exactly_what_was_shown() {
    let gateway =
        setup().client("web", "https://app.example/cb").client("other", "https://app.example/cb").start().await;
    let client = OAuthClient::known(&gateway, "web", "https://app.example/cb");
    let mut browser = Browser::at(&gateway);
    client.code(&mut browser, "/mcp", "ada").await;
    // The same again: no page.
    let back = browser.open(&client.url("/mcp")).await.elsewhere();
    assert!(parameters(&back).contains_key("code"));
    // Another route, another client: asked.
    browser.open(&client.url("/other")).await.page();
    browser.open(&OAuthClient::known(&gateway, "other", "https://app.example/cb").url("/mcp")).await.page();
    // A program on loopback: asked each time, because anybody can be it.
    let local = OAuthClient::register(&gateway).await;
    local.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    browser.open(&local.url("/mcp")).await.page();
}

#[tokio::test]
async fn oauth_20_as_12_after_a_form_the_browser_is_sent_on_with_303() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let request = browser.open(&client.url("/mcp")).await.page().field("request");
    let reply = browser.ask(form("/oauth/consent", &[("request", &request), ("decision", "allow")])).await;
    assert_eq!(reply.status, 303);
}

#[tokio::test]
async fn oauth_22_cookies_are_for_this_host_alone_and_signing_in_changes_the_session() {
    let gateway = super::public().start().await;
    let request = Request::get("/oauth/authorize").with("Host", "mcp.example.com");
    assert_eq!(gateway.ask(&request).await.status, 400);
    let id =
        register(&gateway, &json!({ "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none" }))
            .await;
    let client = OAuthClient::known(&gateway, id.json()["client_id"].as_str().unwrap(), "http://127.0.0.1/cb");
    let mut parameters = client.request("/mcp");
    parameters.retain(|(name, _)| *name != "resource");
    parameters.push(("resource", "https://mcp.example.com/mcp".to_owned()));
    let reply = gateway.ask(&Request::get(&address(&parameters))).await;
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-portcullis-browser="), "{cookie}");
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
}

#[tokio::test]
async fn oauth_22_signing_in_again_rotates_the_session() {
    let gateway = gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    client.code(&mut browser, "/mcp", "ada").await;
    let session =
        |browser: &Browser| browser.cookies().iter().find(|(name, _)| name.contains("session")).cloned().unwrap().1;
    let first = session(&browser);
    let mut request = client.request("/mcp");
    request.push(("prompt", "login".to_owned()));
    let sealed = browser.open(&address(&request)).await.page().field("request");
    let fields = [("request", sealed.as_str()), ("decision", "allow"), ("account", "other")];
    let state = browser.submit("/oauth/consent", &fields).await.page().field("state");
    browser.submit("/oauth/dev-login", &[("state", &state), ("name", "bob")]).await.elsewhere();
    assert_ne!(session(&browser), first);
    // The old one is worth nothing any more.
    let mut old = Browser::at(&gateway);
    old.ask(Request::get("/oauth/logout")).await;
    let reply =
        old.ask(Request::get(&client.url("/mcp")).header("Cookie", &format!("portcullis-session={first}"))).await;
    assert!(!reply.text().contains("Signed in as"), "{}", reply.text());
}
