//! Vendors without MCP authorization, and credentials that all callers share.

use serde_json::{Value, json};

use super::{Person, Story, renewing, vendor};
use crate::harness::{
    AUTHORIZE, Answer, MCP, RESOURCE_METADATA, REVOKE, Route, SERVER_METADATA, Setup, Upstream, VENDOR_TOKEN, Vendor,
    parameters,
};

const SECRET: &str = "canary-known-secret";

/// A vendor that knows the gateway, and publishes nothing.
async fn silent() -> Vendor {
    let vendor = vendor().await;
    vendor.knows_client("gateway", Some(SECRET));
    for document in [RESOURCE_METADATA, SERVER_METADATA] {
        vendor.answers(document, Some(Answer::status(404)));
    }
    vendor.challenges("");
    vendor
}

fn classic(vendor: &Vendor) -> Value {
    json!({
        "scopes": ["read", "issues:create"],
        "scopeDelimiter": ",",
        "clientRegistration": {
            "mode": "manual", "clientId": "gateway", "clientSecret": SECRET,
            "tokenEndpointAuthMethod": "client_secret_post",
        },
        "classicOAuth": {
            "authorizeUrl": vendor.endpoint(AUTHORIZE),
            "tokenUrl": vendor.endpoint(VENDOR_TOKEN),
            "revocationUrl": vendor.endpoint(REVOKE),
            "parameters": { "access_type": "offline" },
        },
    })
}

#[tokio::test]
async fn a_vendor_with_classic_oauth_is_asked_in_its_own_words_and_never_looked_up() {
    let vendor = silent().await;
    let options = classic(&vendor);
    let story = Story::renewing(vendor, &options).await;
    let mut ada = story.person("ada").await;
    let link = ada.link().await;
    let asked = ada.agree(&link).await;
    let said = parameters(&asked);
    assert_eq!((said["scope"].as_str(), said["access_type"].as_str()), ("read,issues:create", "offline"));
    assert!(said.contains_key("code_challenge") && !said.contains_key("resource"), "{asked}");
    ada.browser.open(&story.vendor.says_yes(&asked, "ada at vendor")).await.page();
    assert_eq!(ada.call().await.said(), "ada at vendor");

    story.vendor.expires_tokens();
    assert_eq!(ada.call().await.said(), "ada at vendor");
    let form = story.vendor.last_form(VENDOR_TOKEN);
    assert_eq!((form["grant_type"].as_str(), form["client_secret"].as_str()), ("refresh_token", SECRET));
    assert!(!form.contains_key("resource"));
    assert!(story.vendor.received(VENDOR_TOKEN).iter().all(|asked| asked.header("authorization").is_none()));
    let looked_up = [RESOURCE_METADATA, SERVER_METADATA].map(|document| story.vendor.asked(document));
    assert_eq!((looked_up, story.vendor.counts().registrations), ([0, 0], 0));
}

#[tokio::test]
async fn client_credentials_are_the_gateways_own_and_replaced_when_they_are_refused() {
    let vendor = vendor().await;
    vendor.knows_client("gateway", Some(SECRET));
    let options = json!({
        "authMode": "client-credentials",
        "scopes": ["read"],
        "clientRegistration": { "mode": "manual", "clientId": "gateway", "clientSecret": SECRET },
    });
    // Nobody has to say who they are.
    let gateway = Setup::new().route("/mcp", renewing(Route::url(&vendor.url()), &options)).start().await;
    for _ in 0..3 {
        assert_eq!(gateway.call("whoami").await.said(), "gateway");
    }
    assert_eq!(vendor.counts().direct, 1, "one token for all of them");
    let form = vendor.last_form(VENDOR_TOKEN);
    assert_eq!((form["grant_type"].as_str(), form["scope"].as_str()), ("client_credentials", "read"));
    assert_eq!(form["resource"], vendor.url());

    vendor.expires_tokens();
    vendor.forgets_calls();
    assert_eq!(gateway.call("whoami").await.said(), "gateway");
    assert_eq!((vendor.asked(MCP), vendor.counts().direct), (2, 2));

    // A vendor that does not know the gateway any more: the operator can mend that, and nobody else.
    vendor.forgets_clients();
    vendor.expires_tokens();
    let refused = gateway.call("whoami").await;
    assert_eq!((refused.status, refused.reason().as_str()), (502, "upstream_setup_failed"), "{refused:?}");
    assert!(refused.text().contains("invalid_client") && !refused.text().contains(SECRET), "{refused:?}");
}

#[tokio::test]
async fn sec_a8_a_shared_key_goes_with_each_call_in_place_of_what_the_caller_showed() {
    let upstream = Upstream::saying("hello").await;
    let options = json!({
        "authMode": "shared-key",
        "headers": [
            { "name": "Authorization", "value": "Bearer $env(STORY_KEY)" },
            { "name": "X-Team", "value": "blue" },
        ],
    });
    let route = renewing(Route::to(&upstream).policy("dev-login", &json!({})), &options);
    let gateway = Setup::new().route("/mcp", route).spawn_with(&[("STORY_KEY", "canary-key-0815")]);
    let place = gateway.place().await;
    let ada = Person::at(&place, "ada").await;
    assert_eq!(ada.call().await.said(), "hello");
    let [sent] = &upstream.requests()[..] else { panic!("{:?}", upstream.requests()) };
    assert_eq!(sent.header("authorization"), Some("Bearer canary-key-0815"));
    assert_eq!(sent.header("x-team"), Some("blue"));
    assert!(gateway.line("canary-key-0815").is_none());
}
