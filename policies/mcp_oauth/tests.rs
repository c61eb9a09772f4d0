//! The door of a route, with a judge that follows a script.

mod urls;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::kit::{
    bench::{Bench, Outcome},
    host::Caller,
    policy::PolicyKind,
    refusal::Reason,
    sign_in::{Access, AccessTokens, Denied, Judging},
};

const MISSING: &str = r#"Bearer resource_metadata="https://gw.example/prm/mcp", scope="mcp:tools""#;

/// Judges every token alike, at once or later, and notes what it was asked.
#[derive(Debug)]
struct Script {
    judgement: Result<Access, Denied>,
    waits: bool,
    asked: Mutex<Vec<(String, String)>>,
    polled: AtomicUsize,
}

impl Script {
    fn new(judgement: Result<Access, Denied>, waits: bool) -> Arc<Self> {
        Arc::new(Self { judgement, waits, asked: Mutex::default(), polled: AtomicUsize::new(0) })
    }
}

impl AccessTokens for Script {
    fn judge<'a>(&'a self, token: &'a str, route: &'a str) -> Judging<'a> {
        if !self.waits {
            self.asked.lock().unwrap().push((token.to_owned(), route.to_owned()));
            return Judging::Ready(self.judgement.clone());
        }
        Judging::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            self.polled.fetch_add(1, Ordering::Relaxed);
            self.asked.lock().unwrap().push((token.to_owned(), route.to_owned()));
            self.judgement.clone()
        }))
    }

    fn resource_metadata(&self, route: &str) -> String {
        format!("https://gw.example/prm{route}")
    }
}

fn ada(scopes: &[&str]) -> Access {
    let scopes: Vec<Box<str>> = scopes.iter().map(|scope| (*scope).into()).collect();
    Access { caller: Caller::new("https://login.example|ada"), scopes: scopes.into() }
}

fn host(tokens: &Arc<Script>) -> Host {
    Host { access_tokens: Some(Arc::clone(tokens) as Arc<dyn AccessTokens>), ..Host::default() }
}

fn bench_of(options: &Value, tokens: &Arc<Script>) -> Bench {
    Bench::with(PolicyKind::of::<DevLogin>().layer(options, &host(tokens)).unwrap())
}

fn bench(judgement: Result<Access, Denied>) -> Bench {
    bench_of(&json!({}), &Script::new(judgement, false))
}

async fn call(bench: &Bench, tool: &str, authorization: &str) -> Outcome {
    bench.call("tools/call", json!({ "name": tool })).header("authorization", authorization).send().await
}

fn challenge(outcome: &Outcome) -> &str {
    assert_eq!(outcome.headers.get_all("www-authenticate").iter().count(), 1);
    outcome.header("www-authenticate").unwrap()
}

#[tokio::test]
async fn a_good_token_makes_the_caller_known() {
    for waits in [false, true] {
        let tokens = Script::new(Ok(ada(&["mcp:tools"])), waits);
        let outcome = call(&bench_of(&json!({}), &tokens), "echo", "Bearer t-1").await;
        assert!(outcome.got_through());
        let caller: &Caller = outcome.reached[0].facts.get().unwrap();
        assert_eq!(&*caller.subject, "https://login.example|ada");
        assert_eq!(*tokens.asked.lock().unwrap(), [("t-1".to_owned(), "/mcp".to_owned())]);
        assert_eq!(tokens.polled.load(Ordering::Relaxed), usize::from(waits));
    }
}

#[tokio::test]
async fn pr_03_without_a_token_the_client_is_told_where_to_sign_in() {
    let outcome = bench(Ok(ada(&["mcp:tools"]))).call("tools/list", json!({})).send().await;
    assert_eq!((outcome.status, outcome.reason()), (StatusCode::UNAUTHORIZED, Some("sign_in_required")));
    assert_eq!(challenge(&outcome), MISSING);
    assert!(!outcome.got_through());
}

#[tokio::test]
async fn pr_03_a_token_that_is_not_good_is_told_so_and_why() {
    let outcome = call(&bench(Err(Denied::Invalid("the token has expired"))), "echo", "Bearer old").await;
    assert_eq!((outcome.status, outcome.reason()), (StatusCode::UNAUTHORIZED, Some("invalid_token")));
    assert_eq!(
        challenge(&outcome),
        r#"Bearer error="invalid_token", error_description="the token has expired", resource_metadata="https://gw.example/prm/mcp", scope="mcp:tools""#
    );
}

#[tokio::test]
async fn pr_04_a_call_that_lacks_a_scope_is_told_all_that_it_needs() {
    let options = json!({ "toolScopes": { "delete_*": ["mcp:delete"], "*_note": ["notes", "mcp:tools"] } });
    let bench = bench_of(&options, &Script::new(Ok(ada(&["mcp:tools", "mcp:delete"])), false));
    assert!(call(&bench, "list", "Bearer t").await.got_through());
    assert!(call(&bench, "delete_all", "Bearer t").await.got_through());
    let outcome = call(&bench, "delete_note", "Bearer t").await;
    assert_eq!((outcome.status, outcome.reason()), (StatusCode::FORBIDDEN, Some("insufficient_scope")));
    let challenge = challenge(&outcome);
    assert!(challenge.starts_with(r#"Bearer error="insufficient_scope", "#), "{challenge}");
    assert!(challenge.contains(r#"resource_metadata="https://gw.example/prm/mcp""#), "{challenge}");
    assert!(challenge.contains(r#"scope="mcp:tools notes mcp:delete""#), "{challenge}");
    assert!(!outcome.got_through());
}

#[tokio::test]
async fn pr_04_a_scope_that_every_call_needs_is_needed_by_lists_and_unreadable_requests_too() {
    let bench = bench(Ok(ada(&["other"])));
    let list = bench.call("tools/list", json!({})).header("authorization", "Bearer t").send().await;
    let unreadable = bench.refused(Reason::BatchNotSupported).header("authorization", "Bearer t").send().await;
    for outcome in [list, unreadable] {
        assert_eq!(outcome.reason(), Some("insufficient_scope"));
    }
}

#[tokio::test]
async fn pr_08_oauth_79_every_request_needs_its_token() {
    let bench = bench(Ok(ada(&["mcp:tools"])));
    for message in [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t"}}"#,
    ] {
        let session = bench.post(message).header("mcp-session-id", "of-somebody").send().await;
        assert_eq!((session.status, session.got_through()), (StatusCode::UNAUTHORIZED, false), "{message}");
        assert!(bench.post(message).header("authorization", "Bearer t").send().await.got_through(), "{message}");
    }
    for method in [http::Method::GET, http::Method::DELETE, http::Method::POST] {
        let unread = bench.refused(Reason::MethodNotAllowed).method(method).header("mcp-session-id", "s").send().await;
        assert_eq!(challenge(&unread), MISSING);
    }
    let signed_in = bench.refused(Reason::MethodNotAllowed).header("authorization", "Bearer t").send().await;
    assert_eq!(signed_in.reason(), Some("method_not_allowed"));
}

#[tokio::test]
async fn oauth_73_no_token_has_no_error_code() {
    for header in [None, Some("Basic YTpi"), Some("Bearer"), Some("DPoP abc"), Some("")] {
        let bench = bench(Ok(ada(&["mcp:tools"])));
        let call = bench.call("tools/list", json!({}));
        let outcome = match header {
            Some(value) => call.header("authorization", value).send().await,
            None => call.send().await,
        };
        assert_eq!(challenge(&outcome), MISSING, "{header:?}");
    }
}

#[tokio::test]
async fn oauth_74_the_scheme_is_written_in_any_case_and_two_credentials_are_refused() {
    let bench = bench(Ok(ada(&["mcp:tools"])));
    for header in ["Bearer t", "bearer t", "BEARER t", "bEaReR   t"] {
        assert!(call(&bench, "echo", header).await.got_through(), "{header}");
    }
    for (first, second) in [("Bearer t", "Bearer t"), ("Bearer t", "Basic YTpi"), ("Basic YTpi", "Bearer t")] {
        let twice = bench.call("ping", json!({})).header("authorization", first).header("authorization", second);
        let outcome = twice.send().await;
        assert_eq!((outcome.status, outcome.reason()), (StatusCode::BAD_REQUEST, Some("ambiguous_credentials")));
        assert!(!outcome.got_through());
    }
    for header in ["Bearer a b", "Bearer a,Bearer b", "Bearer a, b"] {
        assert_eq!(call(&bench, "echo", header).await.status, StatusCode::BAD_REQUEST, "{header}");
    }
}

#[tokio::test]
async fn oauth_75_a_token_in_the_body_or_in_another_header_counts_for_nothing() {
    let bench = bench(Ok(ada(&["mcp:tools"])));
    let body = json!({ "name": "echo", "access_token": "t", "arguments": { "access_token": "t" } });
    for header in ["x-access-token", "cookie", "proxy-authorization", "x-forwarded-authorization"] {
        let outcome = bench.call("tools/call", body.clone()).header(header, "Bearer t").send().await;
        assert_eq!(challenge(&outcome), MISSING, "{header}");
    }
}

#[tokio::test]
async fn sec_a9_a_judge_that_cannot_judge_lets_nobody_in() {
    for waits in [false, true] {
        let bench = bench_of(&json!({}), &Script::new(Err(Denied::Unavailable), waits));
        let outcome = call(&bench, "echo", "Bearer t").await;
        assert_eq!((outcome.status, outcome.reason()), (StatusCode::SERVICE_UNAVAILABLE, Some("sign_in_unavailable")));
        assert_eq!((outcome.header("retry-after"), outcome.got_through()), (Some("5"), false));
    }
}

#[tokio::test]
async fn sec_a10_no_shape_of_request_gets_past_without_a_good_token() {
    let bench = bench(Err(Denied::Invalid("it is not ours")));
    for header in
        ["", "Bearer", "Bearer ", "Bearer undefined", "Bearer null", "Bearer eyJhbGciOiJub25lIn0.e30.", "Basic YTpi"]
    {
        for reason in [None, Some(Reason::BatchNotSupported), Some(Reason::MalformedJson), Some(Reason::UnknownMethod)]
        {
            let call = reason.map_or_else(|| bench.call("ping", json!({})), |reason| bench.refused(reason));
            let outcome = call.header("authorization", header).send().await;
            assert_eq!((outcome.status, outcome.got_through()), (StatusCode::UNAUTHORIZED, false), "{header:?}");
        }
    }
}

/// Words that a verifier could have for the client, and some that it should not.
fn denials() -> impl Strategy<Value = Denied> {
    const WORDS: &[&str] =
        &["expired", "revoked", "", "a \"quote\"", "back\\slash", "line\r\nx-evil: 1", "\u{e9}t\u{e9}"];
    prop_oneof![Just(Denied::Unavailable), prop::sample::select(WORDS).prop_map(Denied::Invalid)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn sec_a9_whatever_is_denied_never_gets_through(denied in denials(), waits: bool, token in "[ -~]{0,40}", tool in "[a-z_]{1,12}") {
        let options = json!({ "scopes": [], "toolScopes": {} });
        let bench = bench_of(&options, &Script::new(Err(denied), waits));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(call(&bench, &tool, &format!("Bearer {token}")));
        prop_assert!(!outcome.got_through());
        prop_assert!([400, 401, 503].contains(&outcome.status.as_u16()), "{}", outcome.status);
    }

    #[test]
    fn pr_09_challenges_are_printable_and_say_each_thing_once(denied in denials(), token in "[a-z]{0,3}") {
        let bench = bench_of(&json!({}), &Script::new(Err(denied), false));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(call(&bench, "echo", &format!("Bearer {token}")));
        if outcome.status == StatusCode::UNAUTHORIZED {
            let attributes = challenge(&outcome).strip_prefix("Bearer ").unwrap();
            let mut names = Vec::new();
            for attribute in attributes.split("\", ") {
                let (name, value) = attribute.split_once("=\"").unwrap();
                let value = value.trim_end_matches('"');
                prop_assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'));
                prop_assert!(!names.contains(&name));
                names.push(name);
            }
        }
    }
}

#[test]
fn without_an_authorization_server_the_policy_says_that_it_needs_one() {
    let problems = PolicyKind::of::<DevLogin>().layer(&json!({}), &Host::default()).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].why.contains("needs the gateway's authorization server"), "{problems:?}");
}

#[test]
fn what_a_route_asks_for_is_said_once() {
    let options = json!({
        "scopes": ["a"], "toolScopes": { "x": ["b", "a"], "y*": ["b", "c"] },
        "gateway": { "accessTokenTtlSeconds": 60, "refreshTokenTtlSeconds": 120, "cimdEnabled": false },
    });
    let sign_in = PolicyKind::of::<DevLogin>().sign_in(&options).unwrap();
    assert!(matches!(sign_in.provider, Provider::Dev));
    let scopes = |scopes: &[Box<str>]| scopes.join(" ");
    assert_eq!((scopes(&sign_in.scopes), scopes(&sign_in.more_scopes)), ("a".to_owned(), "b c".to_owned()));
    let lifetimes = sign_in.lifetimes;
    assert_eq!((lifetimes.access_token.as_secs(), lifetimes.refresh_token.as_secs()), (60, 120));
    assert!(!sign_in.client_documents);
    let usual = PolicyKind::of::<DevLogin>().sign_in(&json!({})).unwrap();
    assert_eq!((usual.lifetimes, usual.client_documents), (Lifetimes::default(), true));
    assert_eq!(scopes(&usual.scopes), "mcp:tools");
}
