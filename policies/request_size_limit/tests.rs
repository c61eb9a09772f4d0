use serde_json::json;

use super::*;
use crate::kit::{bench::Bench, policy::PolicyKind};

const CALL: &str = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"echo"}}"#;

#[tokio::test]
async fn a_message_may_be_as_long_as_the_limit_and_not_longer() {
    for (limit, passes) in [(CALL.len(), true), (CALL.len() - 1, false), (1, false), (usize::from(u16::MAX), true)] {
        let outcome = Bench::of::<RequestSizeLimit>(&json!({ "maxSizeInBytes": limit })).post(CALL).send().await;
        assert_eq!(outcome.got_through(), passes, "{limit}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_limit_and_the_call() {
    let outcome = Bench::of::<RequestSizeLimit>(&json!({ "maxSizeInBytes": 20 })).post(CALL).send().await;
    assert_eq!((outcome.status.as_u16(), outcome.reason()), (413, Some("body_too_large")));
    assert_eq!(outcome.message()["id"], "x");
    assert_eq!(
        outcome.message()["error"]["message"],
        "The message is longer than the 20 bytes that this route allows."
    );
}

#[tokio::test]
async fn what_could_not_be_read_has_no_length() {
    let bench = Bench::of::<RequestSizeLimit>(&json!({ "maxSizeInBytes": 1 }));
    assert_eq!(bench.refused(Reason::MalformedJson).send().await.reason(), Some("malformed_json"));
}

#[test]
fn a_limit_of_nothing_is_a_problem() {
    for wrong in
        [json!({ "maxSizeInBytes": 0 }), json!({}), json!({ "maxSizeInBytes": -1 }), json!({ "maxSizeInBytes": 1.5 })]
    {
        assert!(PolicyKind::of::<RequestSizeLimit>().layer(&wrong, &Host::default()).is_err(), "{wrong}");
    }
}
