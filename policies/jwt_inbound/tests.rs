use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::kit::{
    bench::{Bench, Call, Outcome},
    chain::crosses_to_upstream,
    clock::{ManualClock, Timestamp},
    fetch::FetchError,
    jwt::{
        SigningKey,
        tests::provider::{Provider, jwks, key},
    },
    policy::PolicyKind,
    sign_in::Judging,
};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://gw.example/mcp";
const JWKS: &str = "https://as.example/jwks";

/// A route behind the policy, and an issuer.
struct World {
    bench: Bench,
    provider: Arc<Provider>,
    clock: Arc<ManualClock>,
    key: SigningKey,
}

impl World {
    fn new() -> Self {
        Self::with(&json!({ "issuers": [{ "issuer": ISSUER, "jwksUrl": JWKS }], "audience": AUDIENCE,
            "scopes": ["crm:use", "crm:read"] }))
    }

    fn with(options: &Value) -> Self {
        let (provider, key) = (Provider::new(), key());
        provider.answers(JWKS, jwks(&[&key]));
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(NOW)));
        let host = Host {
            clock: Arc::clone(&clock) as _,
            fetch: Some(Arc::clone(&provider) as _),
            access_tokens: Some(Arc::new(Metadata)),
            ..Host::default()
        };
        let bench = Bench::with(PolicyKind::of::<JwtInbound>().layer(options, &host).unwrap());
        Self { bench, provider, clock, key }
    }

    fn token(&self, changes: &Value) -> String {
        let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": NOW - 10, "exp": NOW + 900,
            "scope": "openid crm:read crm:use" });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.key.sign("at+jwt", &claims).unwrap()
    }

    fn call(&self) -> Call<'_> {
        self.bench.call("tools/call", json!({ "name": "echo" }))
    }

    async fn send(&self, token: &str) -> Outcome {
        self.call().header("authorization", &format!("Bearer {token}")).send().await
    }
}

/// Knows where the metadata of a route are, and nothing else.
#[derive(Debug)]
struct Metadata;

impl AccessTokens for Metadata {
    fn judge<'a>(&'a self, _: &'a str, _: &'a str) -> Judging<'a> {
        unreachable!("tokens of an outside issuer are not the gateway's own")
    }

    fn resource_metadata(&self, route: &str) -> String {
        format!("https://gw.example/.well-known/oauth-protected-resource{route}")
    }
}

fn refused(outcome: &Outcome) -> (u16, &str, &str) {
    assert!(!outcome.got_through() && outcome.reached.is_empty());
    (outcome.status.as_u16(), outcome.reason().unwrap(), outcome.header("www-authenticate").unwrap_or_default())
}

fn caller_of(outcome: &Outcome) -> &Caller {
    outcome.reached[0].facts.get::<Caller>().unwrap()
}

const METADATA: &str = r#"resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp""#;

#[tokio::test(start_paused = true)]
async fn a_good_token_lets_its_bearer_in_and_says_who_it_is() {
    let world = World::new();
    let token = world.token(&json!({ "email": "ada@example.com", "email_verified": true, "name": "Ada", "azp": "app",
        "groups": ["engineering", 7], "roles": "admin", "tid": "t-1" }));
    let outcome = world.send(&token).await;
    let caller = caller_of(&outcome);
    assert_eq!((&*caller.subject, caller.email.as_deref()), ("https://as.example|ada", Some("ada@example.com")));
    assert_eq!((caller.name.as_deref(), caller.client.as_deref()), (Some("Ada"), Some("app")));
    assert_eq!((&caller.groups[..], &caller.roles[..]), (&["engineering".to_owned()][..], &["admin".to_owned()][..]));
    assert_eq!((caller.tenant.as_deref(), &caller.claims["iat"]), (Some("t-1"), &json!(NOW - 10)));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_nobody_verified_is_not_the_callers() {
    let world = World::new();
    for verified in [json!(false), json!("true"), json!(1), Value::Null] {
        let token = world.token(&json!({ "email": "ceo@example.com", "email_verified": verified }));
        assert_eq!(caller_of(&world.send(&token).await).email, None, "{verified}");
    }
}

#[tokio::test(start_paused = true)]
async fn oauth_73_pr_03_each_refusal_says_what_is_missing() {
    let world = World::new();
    let scope = r#"scope="crm:use crm:read""#;
    let none = world.call().send().await;
    assert_eq!(refused(&none), (401, "sign_in_required", &*format!("Bearer {METADATA}, {scope}")));
    let expired = world.send(&world.token(&json!({ "exp": NOW - 60 }))).await;
    let header =
        format!(r#"Bearer error="invalid_token", error_description="it has expired (exp)", {METADATA}, {scope}"#);
    assert_eq!(refused(&expired), (401, "invalid_token", &*header));
    let weak = world.send(&world.token(&json!({ "scope": "crm:use" }))).await;
    let header = format!(
        r#"Bearer error="insufficient_scope", error_description="the token lacks a scope that this call needs", {METADATA}, {scope}"#
    );
    assert_eq!(refused(&weak), (403, "insufficient_scope", &*header));
}

#[tokio::test(start_paused = true)]
async fn oauth_74_oauth_75_two_credentials_are_refused_although_each_is_good() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.token(&json!({})));
    let twice = world.call().header("authorization", &bearer).header("authorization", &bearer).send().await;
    assert_eq!(refused(&twice), (400, "ambiguous_credentials", r#"Bearer error="invalid_request""#));
    let lower = world.call().header("authorization", &bearer.replace("Bearer", "bEARER")).send().await;
    assert!(lower.got_through());
}

#[tokio::test(start_paused = true)]
async fn oauth_77_pr_07_a_token_for_another_route_or_of_another_issuer_is_refused() {
    let world = World::new();
    for (changes, why) in [
        (json!({ "aud": "https://gw.example/other" }), "it is meant for another audience (aud)"),
        (json!({ "aud": "https://gw.example" }), "it is meant for another audience (aud)"),
        (json!({ "aud": null }), "it lacks a claim that it must have (aud)"),
        (json!({ "iss": "https://evil.example" }), "it is from another issuer (iss)"),
        (json!({ "iss": null }), "it is from another issuer (iss)"),
        (json!({ "sub": null }), "it lacks a claim that it must have (sub)"),
        (json!({ "iat": null }), "it lacks a claim that it must have (iat)"),
        (json!({ "exp": "2000000000" }), "one of its claims has a wrong value (exp)"),
    ] {
        let outcome = world.send(&world.token(&changes)).await;
        let (status, reason, header) = refused(&outcome);
        assert_eq!((status, reason), (401, "invalid_token"), "{changes}");
        assert!(header.contains(&format!(r#"error_description="{why}""#)), "{changes}: {header}");
    }
}

#[tokio::test(start_paused = true)]
async fn oauth_79_pr_08_every_call_is_judged_and_a_session_is_no_credential() {
    let world = World::new();
    let token = world.token(&json!({}));
    assert!(world.send(&token).await.got_through());
    let session = world.call().header("mcp-session-id", "s-1").send().await;
    assert_eq!(refused(&session).1, "sign_in_required");
    world.clock.advance(Duration::from_secs(900 + 29));
    assert!(world.send(&token).await.got_through());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(refused(&world.send(&token).await).1, "invalid_token");
}

#[tokio::test(start_paused = true)]
async fn oauth_80_pr_07_the_token_does_not_cross_to_the_upstream() {
    let world = World::new();
    let outcome = world.send(&world.token(&json!({}))).await;
    assert!(outcome.reached[0].own_headers.is_empty());
    assert!(!crosses_to_upstream(&http::header::AUTHORIZATION));
}

#[tokio::test(start_paused = true)]
async fn oauth_81_a_token_that_is_bound_to_a_key_is_refused() {
    let world = World::new();
    let outcome = world.send(&world.token(&json!({ "cnf": { "jkt": "0ZcOCORZNYy" } }))).await;
    assert!(refused(&outcome).2.contains("it is bound to a key (cnf)"));
}

#[tokio::test(start_paused = true)]
async fn sec_a9_fault_nobody_comes_in_while_no_token_can_be_judged() {
    let html = || Ok("<html>sign in to the network</html>");
    for broken in [
        Err(FetchError::Unreachable("refused".into())),
        Err(FetchError::TimedOut),
        Err(FetchError::TooLarge),
        Err(FetchError::Forbidden("private".into())),
        Err(FetchError::Status(http::StatusCode::TOO_MANY_REQUESTS)),
        Err(FetchError::Status(http::StatusCode::INTERNAL_SERVER_ERROR)),
        Err(FetchError::Status(http::StatusCode::FOUND)),
        html(),
    ] {
        let world = World::new();
        match broken.clone() {
            Ok(page) => world.provider.answers(JWKS, page),
            Err(error) => world.provider.fails(JWKS, error),
        }
        let outcome = world.send(&world.token(&json!({}))).await;
        assert_eq!(refused(&outcome), (503, "sign_in_unavailable", ""), "{broken:?}");
        let data = &outcome.message()["error"]["data"];
        assert_eq!(data["cause"], KEYS_UNAVAILABLE.code);
        let remedy = data["remedy"].as_str().unwrap();
        assert!(remedy.starts_with("Try again") && remedy.ends_with(KEYS_UNAVAILABLE.remedy), "{remedy}");
        assert_eq!(outcome.header("retry-after"), Some("1"), "{broken:?}");
        assert_eq!(refused(&world.call().send().await).0, 401, "{broken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sec_a9_a_token_that_is_none_costs_no_fetch() {
    let world = World::new();
    for token in ["opaque", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &"a".repeat(20_000)] {
        assert_eq!(refused(&world.send(token).await).1, "invalid_token", "{token}");
    }
    world.send(&world.token(&json!({ "iss": "https://evil.example" }))).await;
    assert!(world.provider.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn several_issuers_each_have_their_own_keys_audiences_and_claims() {
    let (other, jwks_of_other) = (key(), "https://kc.example/realms/r/certs");
    let world = World::with(&json!({ "issuers": [
        { "issuer": ISSUER, "jwksUrl": JWKS, "audience": [AUDIENCE, "crm"] },
        { "issuer": "https://kc.example/realms/r", "audience": "kc", "scopesClaim": "permissions",
          "clientIdClaim": "app", "rolesClaim": "realm_access.roles", "groupsClaim": "https://kc.example/groups" },
    ], "scopes": ["crm:use"] }));
    let document = json!({ "issuer": "https://kc.example/realms/r", "jwks_uri": jwks_of_other }).to_string();
    world.provider.answers("https://kc.example/realms/r/.well-known/openid-configuration", document);
    world.provider.answers(jwks_of_other, jwks(&[&other]));
    assert!(world.send(&world.token(&json!({ "aud": "crm" }))).await.got_through());
    let theirs = json!({ "iss": "https://kc.example/realms/r", "aud": ["account", "kc"], "sub": "ada", "iat": NOW,
        "exp": NOW + 60, "permissions": ["crm:use"], "app": "cli", "realm_access": { "roles": ["admin"] },
        "https://kc.example/groups": ["a"] });
    let outcome = world.send(&other.sign("JWT", &theirs).unwrap()).await;
    let caller = caller_of(&outcome);
    assert_eq!((&*caller.subject, caller.client.as_deref()), ("https://kc.example/realms/r|ada", Some("cli")));
    assert_eq!((&caller.roles[0], &caller.groups[0]), (&"admin".to_owned(), &"a".to_owned()));
    // What one issuer signs, another cannot have said.
    let forged = world.token(&json!({ "iss": "https://kc.example/realms/r", "aud": "kc", "permissions": ["crm:use"] }));
    assert_eq!(refused(&world.send(&forged).await).1, "invalid_token");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_is_challenged_first() {
    let world = World::new();
    let outcome = world.bench.refused(crate::kit::refusal::Reason::MalformedJson).send().await;
    assert_eq!(refused(&outcome).1, "sign_in_required");
}

#[test]
fn a_program_that_cannot_fetch_cannot_have_the_policy() {
    let options = json!({ "issuers": [{ "issuer": ISSUER }], "audience": AUDIENCE });
    let problems = PolicyKind::of::<JwtInbound>().layer(&options, &Host::default()).unwrap_err();
    assert_eq!((problems.len(), &*problems[0].at), (1, ""));
    assert_eq!(problems[0].why, "this program cannot fetch the keys of an issuer");
}
