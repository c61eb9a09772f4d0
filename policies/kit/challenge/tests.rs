use std::collections::BTreeMap;

use http::StatusCode;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::kit::{credential::UpstreamChallenge, refusal::Addressee};

const METADATA: &str = "https://gw.example/.well-known/oauth-protected-resource/mcp";

fn challenge(scopes: &[Box<str>]) -> Challenge<'_> {
    Challenge { resource_metadata: Some(METADATA), scopes }
}

async fn answered(refusal: Refusal) -> (u16, String, Value) {
    let (head, reply) = refusal.answer(Addressee::default()).into_parts();
    let body = reply.collect().await.unwrap().to_bytes();
    let header = head.headers[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
    (head.status.as_u16(), header, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn oauth_73_pr_03_a_client_without_a_token_learns_where_to_sign_in_and_of_no_error() {
    let (status, header, body) = answered(challenge(&["mcp:tools".into()]).none_presented()).await;
    assert_eq!((status, &body["error"]["data"]["reason"]), (401, &json!("sign_in_required")));
    assert_eq!(header, format!(r#"Bearer resource_metadata="{METADATA}", scope="mcp:tools""#));
    let (_, bare, _) = answered(Challenge::default().none_presented()).await;
    assert_eq!(bare, "Bearer");
}

#[tokio::test]
async fn oauth_73_pr_03_a_client_with_a_bad_token_learns_why_it_is_bad() {
    let (status, header, body) = answered(challenge(&["mcp:tools".into()]).invalid_token("it has expired")).await;
    assert_eq!((status, &body["error"]["data"]["reason"]), (401, &json!("invalid_token")));
    assert_eq!(
        header,
        format!(
            r#"Bearer error="invalid_token", error_description="it has expired", resource_metadata="{METADATA}", scope="mcp:tools""#
        )
    );
    assert_eq!(body["error"]["message"], "The access token is not accepted: it has expired.");
}

#[tokio::test]
async fn oauth_73_pr_04_a_client_that_may_too_little_learns_of_all_scopes_at_once() {
    let scopes = ["mcp:tools".into(), "files:read".into(), "files:write".into()];
    let (status, header, body) = answered(challenge(&scopes).insufficient_scope()).await;
    assert_eq!((status, &body["error"]["data"]["reason"]), (403, &json!("insufficient_scope")));
    assert_eq!(
        header,
        format!(
            r#"Bearer error="insufficient_scope", error_description="the token lacks a scope that this call needs", resource_metadata="{METADATA}", scope="mcp:tools files:read files:write""#
        )
    );
    assert_eq!(body["error"]["data"]["scope"], "mcp:tools files:read files:write");
}

#[tokio::test]
async fn pr_09_no_value_can_end_its_attribute_or_the_header() {
    let nasty = "a\"b\\c\r\nSet-Cookie: d\u{e9}\u{7f}\0, scope=\"all\"";
    let scopes = ["good".into(), "two words".into(), "quo\"te".into(), "".into(), "back\\slash".into()];
    let challenge = Challenge { resource_metadata: Some("https://gw/\",x=\""), scopes: &scopes };
    let (_, header, _) = answered(challenge.invalid_token(nasty)).await;
    assert_eq!(
        header,
        r#"Bearer error="invalid_token", error_description="a?b?c??Set-Cookie: d???, scope=?all?", scope="good""#
    );
    for attribute in ["error=", "error_description=", "scope=\""] {
        assert_eq!(header.matches(attribute).count(), 1, "{attribute}");
    }
}

fn headers(values: &[&[u8]]) -> HeaderMap {
    values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_bytes(value).unwrap())).collect()
}

#[test]
fn oauth_74_pr_06_the_scheme_may_be_written_in_any_case() {
    for value in ["Bearer abc", "bearer abc", "BEARER abc", "bEaReR   abc", "Bearer abc "] {
        assert_eq!(bearer(&headers(&[value.as_bytes()])).unwrap(), Some("abc"), "{value}");
    }
    assert_eq!(bearer(&headers(&[b"Bearer a-._~+/Z9=="])).unwrap(), Some("a-._~+/Z9=="));
}

#[test]
fn a_request_without_a_bearer_token_has_none() {
    for value in ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Bearerabc", "DPoP abc", "", "abc"] {
        assert_eq!(bearer(&headers(&[value.as_bytes()])).unwrap(), None, "{value}");
    }
    assert_eq!(bearer(&HeaderMap::new()).unwrap(), None);
}

#[test]
fn oauth_74_a_request_with_two_credentials_is_refused() {
    let both: &[&[&[u8]]] = &[
        &[b"Bearer a", b"Bearer a"],
        &[b"Bearer a", b"Basic b"],
        &[b"Basic b", b"Bearer a"],
        &[b"Bearer a, Bearer b"],
        &[b"Bearer a b"],
        &[b"Bearer a,b"],
        &[b"Bearer \"a\""],
        &[b"Bearer =="],
        &[b"Bearer a=b"],
        &[b"Bearer caf\xe9"],
        &[b"Bearer a\tb"],
    ];
    for values in both {
        let refusal = bearer(&headers(values)).unwrap_err();
        assert_eq!(refusal.reason(), Reason::AmbiguousCredentials, "{values:?}");
    }
}

#[test]
fn oauth_75_a_token_in_the_url_counts_for_nothing_and_beside_another_one_is_refused() {
    let (none, one) = (HeaderMap::new(), headers(&[b"Bearer a"]));
    let basic = headers(&[b"Basic b"]);
    for query in ["access_token=a", "x=1&access_token=", "%61ccess_token=a", "access_token"] {
        let uri: Uri = format!("/mcp?{query}").parse().unwrap();
        assert_eq!(bearer_only(&none, &uri).unwrap(), None, "{query}");
        assert_eq!(bearer_only(&one, &uri).unwrap_err().reason(), Reason::AmbiguousCredentials, "{query}");
        assert_eq!(bearer_only(&basic, &uri).unwrap_err().reason(), Reason::AmbiguousCredentials, "{query}");
    }
    assert_eq!(bearer_only(&one, &Uri::from_static("/mcp?token=a")).unwrap(), Some("a"));
}

#[tokio::test]
async fn a_token_that_cannot_be_judged_is_to_be_shown_again_later() {
    let answer = unavailable(Duration::from_secs(30)).answer(Addressee::default());
    assert_eq!((answer.status().as_u16(), &answer.headers()[RETRY_AFTER]), (503, &HeaderValue::from(30)));
}

#[derive(Deserialize)]
struct Vector {
    story: String,
    headers: Vec<String>,
    /// What the first challenge for bearer tokens says, if there is one.
    bearer: Option<BTreeMap<String, String>>,
    #[serde(default)]
    asks_for_scope: bool,
}

#[test]
fn cl_01_cl_08_challenges_are_read_however_they_are_written() {
    const NAMES: [&str; 5] = ["realm", "error", "error_description", "resource_metadata", "scope"];
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("challenges.json")).unwrap();
    for Vector { story, headers, bearer, asks_for_scope } in vectors {
        let challenges = headers.iter().map(|header| HeaderValue::from_bytes(header.as_bytes()).unwrap()).collect();
        let challenge = UpstreamChallenge { status: StatusCode::FORBIDDEN, challenges };
        let said = |challenge: &Received| {
            let attribute = |name| Some((String::from(name), challenge.attribute(name)?.to_owned()));
            NAMES.into_iter().filter_map(attribute).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(challenge.read().iter().find(|challenge| challenge.is_bearer()).map(said), bearer, "{story}");
        assert_eq!(challenge.asks_for_scope(), asks_for_scope, "{story}");
    }
}

proptest::proptest! {
    #[test]
    fn no_header_makes_the_reader_stumble(header in "[ -~\\x80-\\xff]{0,200}") {
        if let Ok(value) = HeaderValue::from_bytes(header.as_bytes()) {
            Received::all([&value]);
        }
    }
}
