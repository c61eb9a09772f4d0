//! Each provider's addresses, and what people get wrong about each. The cases are files.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::host;
use crate::{
    STANDARD,
    kit::{
        policy::{PolicyKind, Problem},
        sign_in::{OpenIdProvider, Provider},
    },
    mcp_oauth::tests::{Script, ada},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Good {
    policy: String,
    options: Map<String, Value>,
    issuer: String,
    authorization: Option<String>,
    token: Option<String>,
    jwks: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    tenant: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    required: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    policy: String,
    options: Map<String, Value>,
    at: String,
    hint: String,
}

fn good() -> Vec<Good> {
    serde_json::from_str(include_str!("urls.json")).unwrap()
}

fn mistakes() -> Vec<Mistake> {
    serde_json::from_str(include_str!("mistakes.json")).unwrap()
}

fn kind(name: &str) -> &'static PolicyKind {
    STANDARD.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("{name} is no policy"))
}

fn provider(policy: &str, options: &Value) -> OpenIdProvider {
    match kind(policy).sign_in(options).unwrap_or_else(|| panic!("{policy}: {options}")).provider {
        Provider::OpenId(provider) => *provider,
        Provider::Dev => panic!("{policy} has no provider"),
    }
}

fn problems(policy: &str, options: &Value) -> Vec<Problem> {
    let host = host(&Script::new(Ok(ada(&[])), false));
    kind(policy).layer(options, &host).err().unwrap_or_default()
}

fn with_client(policy: &str, own: &Map<String, Value>) -> Value {
    let mut options = json!({ "clientId": "id", "clientSecret": "s3cr3t" });
    if policy == "mcp-oauth-inbound" {
        options = json!({ "oidc": { "issuer": "https://login.example.com" }, "browserLogin": options });
    }
    for (key, value) in own {
        match (&mut options[key], value) {
            (Value::Object(known), Value::Object(more)) => known.extend(more.clone()),
            (place, value) => *place = value.clone(),
        }
    }
    options
}

#[test]
fn each_providers_addresses_are_as_its_documentation_says() {
    for case in good() {
        let found = provider(&case.policy, &with_client(&case.policy, &case.options));
        let text = |url: &Option<url::Url>| url.as_ref().map(ToString::to_string);
        assert_eq!(found.issuer, case.issuer, "{}", case.policy);
        let endpoints = [text(&found.authorization_endpoint), text(&found.token_endpoint), text(&found.jwks_url)];
        assert_eq!(endpoints, [case.authorization, case.token, case.jwks], "{}", case.policy);
        assert_eq!((found.claims.roles, found.claims.groups), (case.roles, case.groups), "{}", case.policy);
        assert_eq!(found.claims.tenant, case.tenant, "{}", case.policy);
        assert_eq!(json!(found.parameters), Value::Object(case.parameters), "{}", case.policy);
        assert_eq!(json!(found.required_claims), Value::Object(case.required), "{}", case.policy);
        assert_eq!((found.client_secret.expose_secret(), found.scope.as_str()), ("s3cr3t", "openid profile email"));
    }
}

#[test]
fn each_mistake_is_found_at_its_place_with_what_was_probably_meant() {
    for case in mistakes() {
        let options = with_client(&case.policy, &case.options);
        let found = problems(&case.policy, &options);
        let [problem] = &found[..] else { panic!("{} {options}: {found:#?}", case.policy) };
        assert_eq!(problem.at, case.at, "{problem:?}");
        let hint = problem.hint.as_deref().unwrap_or_default();
        assert!(hint.contains(&case.hint), "{} {options}: {problem:#?}", case.policy);
        assert!(kind(&case.policy).sign_in(&options).is_none(), "{options}");
    }
}

#[test]
fn every_provider_has_good_cases_and_mistakes() {
    let signs_in = |kind: &&PolicyKind| kind.name.ends_with("oauth-inbound");
    let all: BTreeSet<_> = STANDARD.iter().filter(signs_in).map(|kind| kind.name.to_owned()).collect();
    assert_eq!(all.len(), 12);
    assert_eq!(good().into_iter().map(|case| case.policy).collect::<BTreeSet<_>>(), all);
    assert_eq!(mistakes().into_iter().map(|case| case.policy).collect::<BTreeSet<_>>(), all);
}

#[test]
fn every_mistake_is_reported_not_only_the_first() {
    let options = json!({
        "awsRegion": "Frankfurt", "userPoolId": "pool", "userPoolDomain": "https://x", "clientId": "", "clientSecret": " ",
        "scope": "profile", "scopes": ["a b"], "toolScopes": { "a/b": [""] },
    });
    let places: Vec<_> =
        problems("mcp-cognito-oauth-inbound", &options).into_iter().map(|problem| problem.at).collect();
    assert_eq!(
        places,
        [
            "/clientId",
            "/clientSecret",
            "/scope",
            "/awsRegion",
            "/userPoolId",
            "/userPoolDomain",
            "/scopes/0",
            "/toolScopes/a~1b/0"
        ]
    );
}

#[test]
fn sec_a_secret_is_never_shown() {
    let options = with_client("mcp-google-oauth-inbound", &Map::new());
    assert!(!format!("{:?}", problems("mcp-google-oauth-inbound", &options)).contains("s3cr3t"));
    let options = with_client("mcp-oauth-inbound", &Map::new());
    assert!(!format!("{:?}", kind("mcp-oauth-inbound").sign_in(&options)).contains("s3cr3t"));
}

#[test]
fn an_unknown_key_is_refused_at_every_depth() {
    let wrong = [
        json!({ "toolScope": {} }),
        json!({ "browserLoginOverrides": { "sessionTtl": 1 } }),
        json!({ "gateway": { "accessTokenTtl": 1 } }),
        json!({ "claims": { "role": [] } }),
    ];
    for wrong in wrong {
        let own = json!({ "oktaDomain": "acme.okta.com" });
        let mut options = with_client("mcp-okta-oauth-inbound", own.as_object().unwrap());
        assert!(problems("mcp-okta-oauth-inbound", &options).is_empty());
        options.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        assert_eq!(problems("mcp-okta-oauth-inbound", &options).len(), 1, "{wrong}");
    }
    assert_eq!(problems("dev-login", &json!({ "clientId": "x" })).len(), 1);
}

#[test]
fn what_the_options_say_goes_before_what_is_usual() {
    let own = json!({
        "oktaDomain": "acme.okta.com", "claims": { "roles": ["r"], "groups": ["g"], "tenant": "t" },
        "browserLoginOverrides": { "remoteTimeoutMs": 250, "sessionTtlSeconds": 60, "stateTtlSeconds": 30 },
    });
    let options = with_client("mcp-okta-oauth-inbound", own.as_object().unwrap());
    let found = provider("mcp-okta-oauth-inbound", &options);
    assert_eq!((&found.claims.roles[..], &found.claims.groups[..]), (&["r".to_owned()][..], &["g".to_owned()][..]));
    assert_eq!((found.claims.tenant.as_deref(), found.patience.as_millis()), (Some("t"), 250));
    let lifetimes = kind("mcp-okta-oauth-inbound").sign_in(&options).unwrap().lifetimes;
    assert_eq!((lifetimes.session.as_secs(), lifetimes.state.as_secs()), (60, 30));
}
