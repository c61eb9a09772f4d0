//! What token endpoints answer.

use std::time::Duration;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    story: String,
    body: Value,
    token: Option<String>,
    refresh: Option<String>,
    seconds: Option<u64>,
    scope: Option<String>,
    refused: Option<String>,
}

async fn refresh(vendor: &Vendor) -> Result<TokenSet, GrantError> {
    let server = vendor.discover().await.unwrap();
    let registration = vendor.register(&server).await.unwrap();
    vendor.oauth.refresh(&server, &registration, &"a-canary-refresh-token".into(), &[]).await
}

#[tokio::test]
async fn oauth_91_oauth_93_answers_are_read_with_care_for_what_vendors_really_send() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("answers.json")).unwrap();
    let vendor = Vendor::start().await;
    for Vector { story, body, token, refresh: kept, seconds, scope, refused } in vectors {
        vendor.server.json("/token", 200, &body);
        match (refresh(&vendor).await, refused) {
            (Ok(tokens), None) => {
                assert_eq!(Some(text(&tokens.access_token)), token.as_deref(), "{story}");
                assert_eq!(tokens.refresh_token.as_ref().map(text), kept.as_deref(), "{story}");
                assert_eq!(tokens.expires_in, seconds.map(Duration::from_secs), "{story}");
                assert_eq!(tokens.scope, scope, "{story}");
            }
            (Err(error), Some(words)) => assert!(error.to_string().contains(&words), "{story}: {error}"),
            (outcome, expected) => panic!("{story}: {outcome:?}, and not {expected:?}"),
        }
    }
}

#[tokio::test]
async fn oauth_91_answers_are_json_and_no_longer_than_a_mebibyte() {
    let vendor = Vendor::start().await;
    vendor.server.says("/token", 200, &[("content-type", "text/html")], br#"{"access_token":"at"}"#);
    assert!(matches!(refresh(&vendor).await, Err(GrantError::Nonsense(_))));
    vendor.server.says(
        "/token",
        200,
        &[("content-type", "Application/JSON; charset=utf-8")],
        br#"{"access_token":"at"}"#,
    );
    assert!(refresh(&vendor).await.is_ok());
    let padding = " ".repeat(1 << 20);
    vendor.server.json("/token", 200, &json!({ "access_token": "at", "padding": padding }));
    assert!(matches!(refresh(&vendor).await, Err(GrantError::Nonsense(_))));
    vendor.server.json("/token", 200, &json!({ "access_token": "a".repeat(17 << 10) }));
    assert!(matches!(refresh(&vendor).await, Err(GrantError::Nonsense(_))), "it fits into no header");
}

#[tokio::test]
async fn a_refusal_says_what_becomes_of_the_grant() {
    let vendor = Vendor::start().await;
    let invalid = json!({ "error": "invalid_grant", "error_description": "revoked" });
    for (status, body, is_end, is_unknown) in [
        (400, invalid.clone(), true, false),
        (401, json!({ "error": "invalid_client" }), false, true),
        (200, json!({ "error": "bad_refresh_token" }), true, false),
        (400, json!({ "error": "invalid_scope" }), false, false),
        (400, json!({ "message": "no" }), false, false),
    ] {
        vendor.server.json("/token", status, &body);
        let error = refresh(&vendor).await.unwrap_err();
        assert_eq!((error.is_end_of_grant(), error.is_unknown_client()), (is_end, is_unknown), "{body}");
    }
    for status in [429, 500, 502, 503] {
        vendor.server.json("/token", status, &invalid);
        let error = refresh(&vendor).await.unwrap_err();
        assert!(matches!(error, GrantError::Unreachable(_)), "{status} ends nothing: {error}");
    }
}

#[tokio::test]
async fn a_refusal_that_quotes_what_it_was_sent_is_not_passed_on_so() {
    let vendor = Vendor::start().await;
    let quoting = json!({ "error": "invalid_grant", "error_description": "a-canary-refresh-token is unknown" });
    vendor.server.json("/token", 400, &quoting);
    assert_eq!(refresh(&vendor).await.unwrap_err(), GrantError::refused("invalid_grant", Some("… is unknown")));
}

#[tokio::test]
async fn tokens_survive_the_store_and_are_not_printed() {
    let vendor = Vendor::start().await;
    let given = json!({ "access_token": "canary-1", "refresh_token": "canary-2", "expires_in": 60, "scope": "a" });
    vendor.server.json("/token", 200, &given);
    let tokens = refresh(&vendor).await.unwrap();
    assert!(!format!("{tokens:?}").contains("canary"));
    let again: TokenSet = serde_json::from_slice(&serde_json::to_vec(&tokens).unwrap()).unwrap();
    assert_eq!((text(&again.access_token), again.refresh_token.as_ref().map(text)), ("canary-1", Some("canary-2")));
    assert_eq!((again.expires_in, again.scope.as_deref()), (Some(Duration::from_mins(1)), Some("a")));
}
