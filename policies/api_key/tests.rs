use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::kit::{
    bench::{Bench, Outcome},
    host::Caller,
    policy::PolicyKind,
    sign_in::{Access, ApiKeys, Denied, Judging},
};

/// Knows one key, and one that it cannot judge.
#[derive(Debug)]
struct OneKey;

impl ApiKeys for OneKey {
    fn judge<'a>(&'a self, key: &'a str, route: &'a str) -> Judging<'a> {
        assert_eq!(route, "/mcp");
        match key {
            "pk_good" => {
                let caller = Caller::new("key|nightly");
                Judging::Ready(Ok(Access { caller, scopes: ["mcp:tools".into()].into() }))
            }
            "pk_slow" => Judging::Pending(Box::pin(async { Err(Denied::Unavailable) })),
            _ => Judging::Ready(Err(Denied::Invalid("no key of this gateway"))),
        }
    }
}

fn layer(options: &Value) -> Result<RouteLayer, Vec<Problem>> {
    PolicyKind::of::<ApiKey>().layer(options, &Host { api_keys: Some(Arc::new(OneKey)), ..Host::default() })
}

fn bench(options: &Value) -> Bench {
    Bench::with(layer(options).unwrap())
}

async fn call(bench: &Bench, headers: &[(&str, &str)]) -> Outcome {
    let call = bench.call("tools/call", json!({ "name": "echo" }));
    headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
}

#[tokio::test]
async fn a_good_key_makes_the_caller_known() {
    let outcome = call(&bench(&json!({})), &[("authorization", "bearer pk_good")]).await;
    assert_eq!(&*outcome.reached[0].facts.get::<Caller>().unwrap().subject, "key|nightly");
    for scheme in [json!(null), json!("")] {
        let bench = bench(&json!({ "authHeader": "X-Api-Key", "authScheme": scheme }));
        assert!(call(&bench, &[("x-api-key", "pk_good")]).await.got_through());
        assert_eq!(call(&bench, &[("authorization", "Bearer pk_good")]).await.status, StatusCode::UNAUTHORIZED);
    }
    let custom = bench(&json!({ "authScheme": "Key" }));
    assert!(call(&custom, &[("authorization", "Key pk_good")]).await.got_through());
    assert_eq!(call(&custom, &[("authorization", "Bearer pk_good")]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_a_key_the_program_is_told_how_to_get_one() {
    let bench = bench(&json!({}));
    for headers in
        [&[][..], &[("authorization", "Basic YTpi")], &[("authorization", "Bearer ")], &[("x-api-key", "pk_good")]]
    {
        let outcome = call(&bench, headers).await;
        assert_eq!((outcome.status, outcome.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Bearer")));
        assert!(!outcome.got_through());
        let remedy = outcome.message()["error"]["data"]["remedy"].as_str().unwrap();
        assert!(remedy.contains("`portcullis keys create`"), "{remedy}");
    }
}

#[tokio::test]
async fn sec_a9_a_key_that_is_not_good_or_cannot_be_judged_lets_nobody_in() {
    let bench = bench(&json!({}));
    let wrong = call(&bench, &[("authorization", "Bearer pk_other")]).await;
    assert_eq!((wrong.status, wrong.reason()), (StatusCode::UNAUTHORIZED, Some("invalid_token")));
    let challenge = wrong.header("www-authenticate").unwrap();
    assert_eq!(challenge, r#"Bearer error="invalid_token", error_description="no key of this gateway""#);
    let slow = call(&bench, &[("authorization", "Bearer pk_slow")]).await;
    assert_eq!((slow.status, slow.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("5")));
    assert!(!wrong.got_through() && !slow.got_through());
}

#[tokio::test]
async fn oauth_74_two_keys_are_refused() {
    let own = bench(&json!({ "authHeader": "X-Api-Key", "authScheme": "" }));
    let usual = bench(&json!({}));
    let cases: [(&Bench, &[(&str, &str)]); 5] = [
        (&usual, &[("authorization", "Bearer pk_good"), ("authorization", "Bearer pk_good")]),
        (&usual, &[("authorization", "Bearer pk_good pk_good")]),
        (&usual, &[("authorization", "Bearer pk_good,pk_good")]),
        (&own, &[("x-api-key", "pk_good"), ("x-api-key", "pk_other")]),
        (&own, &[("x-api-key", "pk_good"), ("authorization", "Bearer t")]),
    ];
    for (bench, headers) in cases {
        let outcome = call(bench, headers).await;
        assert_eq!((outcome.status, outcome.got_through()), (StatusCode::BAD_REQUEST, false), "{headers:?}");
        assert_eq!(outcome.reason(), Some("ambiguous_credentials"));
    }
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_all_that_the_call_needs() {
    let bench = bench(&json!({ "scopes": ["mcp:tools"], "toolScopes": { "echo": ["echo"] } }));
    let outcome = call(&bench, &[("authorization", "Bearer pk_good")]).await;
    assert_eq!((outcome.status, outcome.reason()), (StatusCode::FORBIDDEN, Some("insufficient_scope")));
    assert!(outcome.header("www-authenticate").unwrap().contains(r#"scope="mcp:tools echo""#));
}

#[test]
fn mistakes_are_found_at_their_places() {
    let at = |options: Value| layer(&options).unwrap_err().into_iter().map(|problem| problem.at).collect::<Vec<_>>();
    assert_eq!(at(json!({ "authHeader": "X Key", "scopes": ["a b"] })), ["/scopes/0", "/authHeader"]);
    assert_eq!(at(json!({ "authScheme": "Bearer " })), ["/authScheme"]);
    let without = PolicyKind::of::<ApiKey>().layer(&json!({}), &Host::default()).unwrap_err();
    assert!(without[0].why.contains("needs the gateway's API keys"), "{without:?}");
}
