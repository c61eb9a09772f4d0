//! What the upstream sees, and when it sees it twice.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::StatusCode;
use serde_json::json;

use super::desk::{Asked, Desk, bench, challenge, of, of_alice, retrying, tokens};
use crate::kit::{
    bench::{Bench, result},
    credential::{CredentialRefused, UpstreamAttempts},
    host::Host,
    message::Message,
    refusal::{Addressee, Reason, Refusal},
};

const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"send", "arguments":{"a" : 1}}}"#;

/// An upstream that answers the first calls with something else than a result.
fn refusing(bench: Bench, times: usize, status: u16, header: &'static str) -> Bench {
    let calls = AtomicUsize::new(0);
    bench.upstream(move |message: &Message| {
        if calls.fetch_add(1, Ordering::SeqCst) < times {
            challenge(status, header)
        } else {
            result(message, &json!({}))
        }
    })
}

#[tokio::test]
async fn tr_32_sb_02_sec_a8_the_upstream_sees_the_callers_own_credential_and_nothing_that_the_client_showed() {
    for desk in [Desk::where_alice_is_connected(), Desk::slow()] {
        let bench = bench(&desk);
        for subject in ["alice", "bob"] {
            let call = of(subject, bench.post(CALL)).header("authorization", "Bearer the-gateways-own");
            let outcome = call.send().await;
            assert_eq!(tokens(&outcome), [format!("Bearer token-of-{subject}-1")]);
            assert!(outcome.reached[0].own_headers.is_empty());
            assert_eq!(outcome.reached[0].message.bytes(), CALL);
            let back = format!("{:?} {}", outcome.headers, outcome.body.escape_ascii());
            assert!(!back.contains("token-of") && !back.contains("the-gateways-own"), "{back}");
        }
    }
}

#[tokio::test]
async fn what_is_no_message_needs_no_credential() {
    let desk = Desk::where_nobody_is_connected();
    let outcome = of_alice(bench(&desk).refused(Reason::MalformedJson)).send().await;
    assert_eq!(outcome.reason(), Some("malformed_json"));
    assert_eq!(desk.asked(), []);
}

#[tokio::test]
async fn without_a_word_on_where_it_goes_nothing_is_sent() {
    let desk = Desk::where_alice_is_connected();
    let outcome = bench(&desk).post(CALL).send().await;
    assert_eq!((outcome.reason(), outcome.got_through()), (Some("internal"), false));
}

#[tokio::test]
async fn oauth_92_a_call_whose_token_was_refused_is_sent_once_more_with_a_newer_one() {
    for (status, header) in [
        (401, "Bearer"),
        (401, "Bearer error=\"invalid_token\""),
        (403, "Bearer error=\"insufficient_scope\", scope=\"a b\""),
        (403, "DPoP algs=\"ES256\", Bearer scope=a, Error = insufficient_scope"),
    ] {
        let desk = Desk::where_alice_is_connected();
        let outcome = of_alice(refusing(retrying(&desk), 1, status, header).post(CALL)).send().await;
        assert_eq!(tokens(&outcome), ["Bearer token-of-alice-1", "Bearer token-of-alice-2"], "{status} {header}");
        assert!(outcome.reached.iter().all(|reached| reached.message.bytes() == CALL));
        assert_eq!((outcome.status, outcome.message()["id"].as_u64()), (StatusCode::OK, Some(7)));
        assert_eq!(desk.asked(), [Asked::Obtain("alice".into()), Asked::Renew(1)]);
    }
}

#[tokio::test]
async fn oauth_92_no_call_is_sent_a_third_time_and_the_person_is_asked_to_connect_once_more() {
    let desk = Desk::where_alice_is_connected();
    let outcome = of_alice(refusing(retrying(&desk), 9, 401, "Bearer").post(CALL)).send().await;
    assert_eq!(outcome.reached.len(), 2);
    assert_eq!(desk.asked(), [Asked::Obtain("alice".into()), Asked::Renew(1), Asked::GiveUp(2)]);
    let connect = &outcome.message()["result"]["_meta"]["portcullis/connectRequired"];
    assert_eq!(connect["state"], "reconsent_required");
}

#[tokio::test]
async fn nothing_is_sent_again_when_nothing_newer_is_to_be_had() {
    let desk = Desk::where_alice_is_connected();
    desk.cannot_renew.store(true, Ordering::SeqCst);
    let outcome = of_alice(refusing(retrying(&desk), 9, 401, "Bearer").post(CALL)).send().await;
    assert_eq!((outcome.reached.len(), outcome.reason()), (1, Some("credential_unavailable")));
}

#[tokio::test]
async fn tr_21_after_any_other_answer_no_call_is_sent_again() {
    let other: [fn() -> crate::kit::chain::Response; 6] = [
        || Refusal::from(Reason::UpstreamClosed).answer(Addressee::default()),
        || Refusal::from(Reason::UpstreamTimeout).answer(Addressee::default()),
        || {
            Refusal::from(Reason::UpstreamStatus)
                .with_status(StatusCode::INTERNAL_SERVER_ERROR)
                .answer(Addressee::default())
        },
        || Refusal::from(Reason::UpstreamStatus).with_status(StatusCode::UNAUTHORIZED).answer(Addressee::default()),
        || challenge(403, "Bearer error=\"access_denied\""),
        || challenge(403, "Bearer error_description=\"not error=insufficient_scope\""),
    ];
    for (index, answer) in other.into_iter().enumerate() {
        let desk = Desk::where_alice_is_connected();
        let outcome = of_alice(retrying(&desk).upstream(move |_| answer()).post(CALL)).send().await;
        assert_eq!(outcome.reached.len(), 1, "{index}");
        assert_eq!(desk.asked(), [Asked::Obtain("alice".into())], "{index}");
    }
}

#[tokio::test]
async fn where_nobody_sends_again_the_next_call_gets_a_newer_credential() {
    let desk = Desk::where_alice_is_connected();
    let outcome = of_alice(refusing(bench(&desk), 9, 401, "Bearer").post(CALL)).send().await;
    assert_eq!((outcome.reached.len(), outcome.reason()), (1, Some("credential_unavailable")));
    assert_eq!((outcome.message()["id"].as_u64(), outcome.header("retry-after")), (Some(7), Some("1")));
    assert_eq!(desk.asked(), [Asked::Obtain("alice".into()), Asked::Suspect(1)]);
}

#[tokio::test]
async fn an_answer_says_how_often_the_upstream_got_the_call_and_keeps_the_refusal_to_itself() {
    use crate::kit::chain::around;
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let watch = around(move |request, inner| {
        let noted = Arc::clone(&noted);
        async move {
            let Ok(response) = inner.run(request).await;
            let attempts = response.extensions().get::<UpstreamAttempts>().copied();
            noted.lock().unwrap().push((attempts, response.extensions().get::<CredentialRefused>().is_some()));
            response
        }
    });
    let desk = Desk::where_alice_is_connected();
    let retry = crate::layer::<crate::upstream_auth_retry::UpstreamAuthRetry>(&json!({}), &Host::default()).unwrap();
    let chain = crate::kit::chain::stack(vec![watch, retry.clone(), retry, super::desk::layer(&desk)]);
    let bench = refusing(Bench::with(chain), 1, 401, "Bearer");
    for _ in 0..2 {
        of_alice(bench.post(CALL)).send().await;
    }
    assert_eq!(*seen.lock().unwrap(), [(Some(UpstreamAttempts(2)), false), (None, false)]);
}
