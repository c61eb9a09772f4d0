use std::collections::HashSet;

use http_body_util::BodyExt;

use super::*;

async fn answered(refusal: Refusal, to: Addressee<'_>) -> (http::response::Parts, Value) {
    let (head, reply) = refusal.answer(to).into_parts();
    let body = reply.collect().await.unwrap().to_bytes();
    (head, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_refusal_says_what_why_and_what_to_do() {
    let refusal = Refusal::new(Reason::RateLimited, "Too many calls: 60 per minute.")
        .with_remedy("Wait 5 s.")
        .with_data("retryAfterSeconds", 5)
        .with_header(http::header::RETRY_AFTER, HeaderValue::from_static("5"));
    assert_eq!((refusal.reason(), refusal.message()), (Reason::RateLimited, "Too many calls: 60 per minute."));
    let (head, body) =
        answered(refusal, Addressee { id: Some("\"x\""), request_id: Some(&RequestId::new(0, 1)) }).await;
    assert_eq!(head.status, 429);
    assert_eq!(head.headers["content-type"], "application/json");
    assert_eq!(head.headers["retry-after"], "5");
    assert_eq!(head.extensions.get(), Some(&Reason::RateLimited));
    assert_eq!(
        body,
        json!({ "jsonrpc": "2.0", "id": "x", "error": {
            "code": -32600, "message": "Too many calls: 60 per minute.",
            "data": { "reason": "rate_limited", "remedy": "Wait 5 s.", "requestId": "00000000000000000001", "retryAfterSeconds": 5 } } })
    );
}

#[tokio::test]
async fn a_refusal_names_what_exactly_is_wrong_and_where_people_read_about_it() {
    const CAUSE: Cause = Cause { code: "certificate_expired", remedy: "Renew it." };
    let id = RequestId::new(0, 1).with_help("https://gateway.example/troubleshooting");
    let to = Addressee { id: Some("1"), request_id: Some(&id) };
    let (head, body) = answered(Refusal::from(Reason::UpstreamTls).because(CAUSE), to).await;
    assert_eq!(head.extensions.get(), Some(&CAUSE));
    let data = &body["error"]["data"];
    assert_eq!(data["help"], "https://gateway.example/troubleshooting#certificate_expired");
    assert_eq!((&data["reason"], &data["cause"]), (&json!("upstream_tls"), &json!("certificate_expired")));
    assert_eq!(data["remedy"], "Renew it.");
    let (_, body) = answered(Refusal::from(Reason::SignInUnavailable).because(CAUSE), to).await;
    let remedy = body["error"]["data"]["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("Try again after `Retry-After`.") && remedy.ends_with(" Renew it."), "{remedy}");
    let (_, body) = answered(Reason::UpstreamTls.into(), to).await;
    assert_eq!(body["error"]["data"]["help"], "https://gateway.example/troubleshooting#upstream_tls");
}

#[tokio::test]
async fn an_id_that_is_not_known_is_left_out() {
    let (_, body) = answered(Reason::MalformedJson.into(), Addressee::default()).await;
    assert_eq!(body.get("id"), None);
    assert_eq!(body["error"]["data"].get("requestId"), None);
    assert_eq!(body["error"]["message"], Reason::MalformedJson.meaning());
}

#[test]
fn programs_that_speak_plain_http_get_the_same_words_as_problem_details() {
    let id = RequestId::new(0, 1).with_help("https://gateway.example/troubleshooting");
    let refusal = Refusal::new(Reason::RateLimited, "Too many.")
        .with_data("retryAfterSeconds", 5)
        .with_header(http::header::RETRY_AFTER, HeaderValue::from_static("5"));
    let (head, body) = refusal.problem(Addressee { id: None, request_id: Some(&id) }).into_parts();
    assert_eq!((head.status.as_u16(), head.extensions.get()), (429, Some(&Reason::RateLimited)));
    assert_eq!(
        (&head.headers["content-type"], &head.headers["retry-after"]),
        (&"application/problem+json".parse().unwrap(), &"5".parse().unwrap())
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({ "type": "https://gateway.example/troubleshooting#rate_limited", "title": "Too Many Requests",
            "status": 429, "detail": "Too many.", "reason": "rate_limited", "remedy": Reason::RateLimited.remedy(),
            "requestId": "00000000000000000001", "retryAfterSeconds": 5 })
    );
}

#[tokio::test]
async fn a_message_cannot_break_out_of_its_string() {
    let (_, body) = answered(
        Refusal::new(Reason::NotExposed, "tool \"a\",\"id\":2,\n\u{0}\"}"),
        Addressee { id: Some("1"), request_id: None },
    )
    .await;
    assert_eq!((&body["id"], &body["error"]["message"]), (&json!(1), &json!("tool \"a\",\"id\":2,\n\u{0}\"}")));
}

#[test]
fn a_long_id_comes_back_digit_by_digit() {
    let id = "123456789012345678901234567890";
    let body = Refusal::from(Reason::UnknownMethod).body(Addressee { id: Some(id), request_id: None });
    assert!(body.starts_with(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":"#).as_bytes()));
}

#[tokio::test]
async fn the_same_reason_may_have_another_status_and_close_the_connection() {
    let refusal = Refusal::from(Reason::InvalidParams).with_status(StatusCode::OK).closing();
    let (head, _) = answered(refusal, Addressee::default()).await;
    assert_eq!((head.status, &head.headers["connection"]), (StatusCode::OK, &HeaderValue::from_static("close")));
}

#[test]
fn every_reason_has_a_code_of_its_own_and_words_for_people() {
    let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        let code = reason.code();
        assert!(!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        assert!(reason.meaning().ends_with('.') && reason.remedy().ends_with('.'), "{code}");
        // The HTTP request is sound where only the call within it gets nowhere.
        let of_the_call = matches!(
            reason,
            Reason::NotExposed
                | Reason::DeniedByRule
                | Reason::ApprovalRequired
                | Reason::ApprovalDenied
                | Reason::ApprovalExpired
                | Reason::ApprovalChanged
                | Reason::ApprovalUsed
                | Reason::ApprovalWithdrawn
                | Reason::SecretInRequest
                | Reason::SecretInAnswer
                | Reason::InvalidArguments
                | Reason::InvalidResult
                | Reason::SchemaUnusable
                | Reason::ToolChanged
                | Reason::ToolUnapproved
                | Reason::ConnectRequired
                | Reason::CallNotWaiting
                | Reason::ClientLacks
                | Reason::Unanswerable
                | Reason::NoInput
        );
        assert_eq!(reason.status().is_client_error() || reason.status().is_server_error(), !of_the_call, "{code}");
        assert!((-32700..=-32000).contains(&reason.json_rpc_code()), "{code}");
    }
}

#[tokio::test]
async fn a_policy_from_outside_brings_its_own_reason() {
    static REASON: CustomReason = CustomReason {
        code: "office_closed",
        status: 403,
        json_rpc_code: -32001,
        meaning: "The office is closed.",
        remedy: "Come back at nine.",
    };
    let (head, body) = answered(Reason::Custom(&REASON).into(), Addressee::default()).await;
    assert_eq!(head.status, 403);
    assert_eq!(body["error"]["code"], -32001);
    assert_eq!(body["error"]["data"], json!({ "reason": "office_closed", "remedy": "Come back at nine." }));
}
