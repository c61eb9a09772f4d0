//! What any client meets, whatever era it speaks: HTTP, JSON, ids.

use super::*;

#[tokio::test]
async fn only_post_is_taken() {
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::HEAD] {
        let request = Request::builder().method(&method).body(Bytes::new()).unwrap();
        let answer = Answer::read(DemoServer::new().handle(request).await).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn the_content_type_must_be_json_whatever_its_parameters() {
    for (content_type, status) in [
        ("application/json", StatusCode::OK),
        ("Application/JSON; charset=utf-8", StatusCode::OK),
        ("text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/jsonp", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let body = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        let request = Request::builder().method("POST").header("content-type", content_type).body(body).unwrap();
        assert_eq!(DemoServer::new().handle(request).await.status(), status, "{content_type}");
    }
    let untyped = Request::builder().method("POST").body(Bytes::from_static(b"{}")).unwrap();
    assert_eq!(DemoServer::new().handle(untyped).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_huge_body_is_refused_unread() {
    let answer = DemoServer::new().post(&[], &" ".repeat(2 * 1024 * 1024)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_is_not_json_is_a_parse_error_without_an_id() {
    for body in ["", "{", "[1,", "{\"jsonrpc\":\"2.0\"} trailing", "hello"] {
        let answer = DemoServer::new().post(&[], body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, -32700), "{body}");
        assert_eq!(answer.json().get("id"), None);
    }
}

#[tokio::test]
async fn what_is_not_one_message_is_an_invalid_request() {
    for body in [
        "[]",
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        r#"["2.0",1,"ping"]"#,
        "\"ping\"",
        "{}",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
    ] {
        let answer = DemoServer::new().post(&[], body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, -32600), "{body}");
    }
}

#[tokio::test]
async fn an_id_comes_back_exactly_as_it_was_sent() {
    for id in ["123456789012345678901234567890", "-7", "0", r#""a\u0062c""#, r#""""#, r#""日本""#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let answer = DemoServer::new().post(&[], &body).await;
        assert_eq!(answer.text, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
}

#[tokio::test]
async fn an_error_carries_the_id_too() {
    let body = r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"no/such"}"#;
    let answer = DemoServer::new().post(&[], body).await;
    assert!(answer.text.contains(r#""id":123456789012345678901234567890,"#), "{}", answer.text);
    assert_eq!(answer.code(), -32601);
}

#[tokio::test]
async fn params_that_are_no_object_are_refused_with_the_id() {
    for params in ["[]", "7", "\"x\"", r#"{"_meta":7}"#, r#"{"_meta":{"progressToken":1.5}}"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":3,"method":"ping","params":{params}}}"#);
        let answer = DemoServer::new().post(&[], &body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, -32602), "{params}");
        assert_eq!(answer.json()["id"], 3);
    }
}

#[tokio::test]
async fn params_nested_beyond_reason_are_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{deep}}}}}"#);
    assert_eq!(DemoServer::new().post(&[], &body).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_error_repeats_only_the_beginning_of_a_long_name() {
    let answer = DemoServer::new().legacy(&"x".repeat(10_000), json!({})).await;
    assert!(answer.text.len() < 300);
}
