//! What the options mean, and what is said when they mean nothing.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    kit::{
        bench::Bench,
        credential::{AuthMode, ClientAuthMethod, SubjectToken, UpstreamAuth, UpstreamCredential},
        host::Host,
        policy::{Fact, PolicyKind, Problem},
    },
    token_exchange::TokenExchange,
};

const KEY: &str = "-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----\n";

fn kind() -> PolicyKind {
    PolicyKind::of::<TokenExchange>()
}

fn with(mut options: Value) -> Value {
    options["id"] = "linear".into();
    options["displayName"] = "Linear".into();
    options
}

fn auth(options: Value) -> UpstreamAuth {
    let options = with(options);
    let said = || kind().layer(&options, &Host::default());
    kind().upstream_auth(&options).unwrap_or_else(|| panic!("{:#?}", said()))
}

#[test]
fn every_mistake_is_reported_at_its_place_with_its_remedy_and_without_its_secret() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("mistakes.json")).unwrap();
    assert!(cases.len() > 25);
    for case in cases {
        let options = &case["options"];
        let found = kind().layer(options, &Host::default()).unwrap_err();
        let expected = case["problems"].as_array().unwrap();
        let places: Vec<_> = found.iter().map(|problem| problem.at.as_str()).collect();
        let expected_places: Vec<_> = expected.iter().map(|one| one[0].as_str().unwrap()).collect();
        assert_eq!(places, expected_places, "{options}\n{found:#?}");
        for (Problem { why, hint, .. }, expected) in found.iter().zip(expected) {
            let (hint, expected) = (hint.as_deref().unwrap(), expected[1].as_str().unwrap());
            assert!(hint.contains(expected), "{options}: {hint}");
            assert!(!format!("{why}{hint}").contains("s3cr3t"), "{why} {hint}");
        }
        assert!(kind().upstream_auth(options).is_none());
    }
}

#[test]
fn keys_that_nobody_knows_are_errors() {
    for options in
        [json!({ "scope": "a" }), json!({ "clientRegistration": { "secret": "a" } }), json!({ "authMode": "oauth" })]
    {
        assert!(kind().layer(&with(options), &Host::default()).is_err());
    }
}

#[test]
fn two_words_are_enough_for_an_upstream_that_speaks_mcp_authorization() {
    let auth = auth(json!({}));
    assert_eq!((&*auth.id, &*auth.display_name, auth.mode.name()), ("linear", "Linear", "user-oauth"));
    let AuthMode::UserOAuth(oauth) = auth.mode else { panic!("another mode") };
    assert_eq!((oauth.scopes.len(), &*oauth.scope_delimiter), (0, " "));
    assert!(oauth.client.is_none() && oauth.classic.is_none());
}

#[test]
fn cl_09_a_registration_that_an_operator_made_is_used() {
    let registered = |more: Value| {
        let mut registration = json!({ "mode": "manual", "clientId": "portcullis" });
        registration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let auth = auth(json!({ "authMode": "shared-oauth", "clientRegistration": registration }));
        let AuthMode::SharedOAuth(oauth) = auth.mode else { panic!("another mode") };
        oauth.client.unwrap()
    };
    assert!(matches!(registered(json!({})).method, ClientAuthMethod::None));
    let basic = registered(json!({ "clientSecret": "s" }));
    assert_eq!(basic.client_id, "portcullis");
    assert!(matches!(basic.method, ClientAuthMethod::Basic(secret) if secret.expose_secret() == "s"));
    let post = registered(json!({ "clientSecret": "s", "tokenEndpointAuthMethod": "client_secret_post" }));
    assert!(matches!(post.method, ClientAuthMethod::Post(_)));
    let key = registered(json!({ "privateKeyPem": KEY, "algorithm": "ES256", "keyId": "1" }));
    let ClientAuthMethod::PrivateKey { algorithm, key_id, .. } = key.method else { panic!("another method") };
    assert_eq!((&*algorithm, key_id.as_deref()), ("ES256", Some("1")));
}

#[test]
fn vendors_without_mcp_authorization_are_described_by_hand() {
    let registration = json!({ "mode": "manual", "clientId": "a", "clientSecret": "b" });
    let classic = json!({
        "authorizeUrl": "https://a.example/authorize?team=1", "tokenUrl": "http://127.0.0.1:9/token",
        "parameters": { "access_type": "offline" }, "pkce": false, "resource": true,
    });
    let auth = auth(
        json!({ "classicOAuth": classic, "clientRegistration": registration, "scopes": ["a", "b"], "scopeDelimiter": "," }),
    );
    let AuthMode::UserOAuth(oauth) = auth.mode else { panic!("another mode") };
    let classic = oauth.classic.unwrap();
    assert_eq!(classic.authorization_endpoint.unwrap().as_str(), "https://a.example/authorize?team=1");
    assert_eq!((classic.pkce, classic.resource, &*oauth.scope_delimiter), (false, true, ","));
    assert_eq!(classic.parameters["access_type"], "offline");
}

#[test]
fn keys_of_people_become_headers() {
    let keys = json!([{ "name": "apiKey", "label": "API key" }, { "name": "team", "header": "X-Team" }]);
    let AuthMode::UserKey(fields) = auth(json!({ "authMode": "user-key", "keys": keys })).mode else {
        panic!("another mode")
    };
    let shown: Vec<_> = fields.iter().map(|field| (&*field.label, field.header.as_str(), &*field.prefix)).collect();
    assert_eq!(shown, [("API key", "authorization", "Bearer "), ("team", "x-team", "")]);
}

#[test]
fn what_people_signed_in_with_is_exchanged() {
    let client = json!({ "clientId": "a", "clientSecret": "b" });
    let exchange =
        json!({ "tokenUrl": "https://a.example/t", "clientAuth": client, "subjectToken": "inbound", "audience": "x" });
    let mode = auth(json!({ "authMode": "token-exchange", "tokenExchange": exchange, "scopes": ["a"] })).mode;
    let AuthMode::TokenExchange(exchange) = mode else { panic!("another mode") };
    assert_eq!((exchange.subject_token, exchange.scopes.len()), (SubjectToken::Inbound, 1));
    let at = |url: &str, more: Value| {
        let mut side = json!({ "tokenUrl": url, "clientAuth": client });
        side.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        side
    };
    let (idp, resource) = (
        at("https://idp.example/t", json!({})),
        at("https://as.example/t", json!({ "audience": "https://as.example" })),
    );
    let jag = |send: Value| {
        let mut options = json!({ "idp": idp, "resourceAs": resource, "scopes": ["mcp:tools"] });
        options.as_object_mut().unwrap().extend(send.as_object().unwrap().clone());
        match auth(json!({ "authMode": "id-jag", "idJag": options })).mode {
            AuthMode::IdJag(jag) => jag,
            other => panic!("{other:?}"),
        }
    };
    assert!(jag(json!({})).send_scope && !jag(json!({ "sendScope": false })).send_scope);
    assert_eq!(jag(json!({})).audience, "https://as.example");
}

#[test]
fn what_a_mode_needs_follows_from_the_options() {
    let key = json!({ "authMode": "shared-key", "headers": [{ "name": "X-Key", "value": "s" }] });
    for (options, needs, store) in [
        (json!({}), vec![Fact::CALLER], true),
        (json!({ "authMode": "user-key", "keys": [{ "name": "k" }] }), vec![Fact::CALLER], true),
        (json!({ "authMode": "shared-oauth" }), vec![], true),
        (key.clone(), vec![], false),
    ] {
        let options = with(options);
        assert_eq!(kind().needs_with(&options), needs, "{options}");
        assert_eq!((kind().needs_store(&options), kind().prepares_upstream(&options)), (store, !store), "{options}");
    }
    let problems = kind().layer(&with(json!({})), &Host::default()).unwrap_err();
    assert!(problems[0].why.contains("connections"), "{problems:?}");
    assert!(kind().layer(&with(key), &Host::default()).is_ok());
}

#[tokio::test]
async fn sec_a8_a_shared_key_is_the_only_credential_that_the_upstream_sees() {
    let headers = json!([{ "name": "Authorization", "value": "Bearer s3cr3t" }, { "name": "X-Team", "value": "7" }]);
    let options = with(json!({ "authMode": "shared-key", "headers": headers }));
    let bench = Bench::of::<TokenExchange>(&options);
    let outcome = bench.call("tools/call", json!({ "name": "a" })).header("authorization", "Bearer mine").send().await;
    let credential = outcome.reached[0].facts.get::<UpstreamCredential>().unwrap();
    let shown: Vec<_> =
        credential.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(shown, [("authorization", "Bearer s3cr3t"), ("x-team", "7")]);
    assert!(credential.headers().iter().all(|(_, value)| value.is_sensitive()));
    assert!(!format!("{credential:?}").contains("s3cr3t"));
}
