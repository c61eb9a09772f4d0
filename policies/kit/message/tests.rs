use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::kit::json::{FlawKind, Limits};

fn read(text: &str) -> Result<Message, Unreadable> {
    Message::read(Bytes::copy_from_slice(text.as_bytes()), &Limits::MESSAGE)
}

fn message(text: &str) -> Message {
    read(text).unwrap_or_else(|why| panic!("{why:?}: {text}"))
}

fn request(method: &str, params: &str) -> Result<Message, Unreadable> {
    read(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#))
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    pairs.iter().map(pair).fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(name, value);
        headers
    })
}

const MODERN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

#[test]
fn a_call_says_what_it_is_about() {
    let call =
        message(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"a":1}}}"#);
    assert_eq!(call.kind(), &Kind::Request(Method::CallTool));
    assert_eq!((call.id(), call.tool()), (Some("7"), Some("echo")));
    assert_eq!(call.target(), Some((TargetKind::Tool, "echo")));
    assert_eq!(call.params(), Some(r#"{"name":"echo","arguments":{"a":1}}"#));
    assert_eq!((call.version(), call.is_modern()), (None, false));
}

#[test]
fn each_method_names_its_target_in_its_own_place() {
    let cases = [
        ("tools/call", r#"{"name":"a","uri":"b","taskId":"c"}"#, TargetKind::Tool, "a"),
        ("prompts/get", r#"{"name":"a","uri":"b","taskId":"c"}"#, TargetKind::Prompt, "a"),
        ("resources/read", r#"{"name":"a","uri":"b","taskId":"c"}"#, TargetKind::Resource, "b"),
        ("resources/subscribe", r#"{"uri":"b"}"#, TargetKind::Resource, "b"),
        ("resources/unsubscribe", r#"{"uri":"b"}"#, TargetKind::Resource, "b"),
        ("tasks/get", r#"{"name":"a","uri":"b","taskId":"c"}"#, TargetKind::Task, "c"),
        ("tasks/result", r#"{"taskId":"c"}"#, TargetKind::Task, "c"),
        ("tasks/update", r#"{"taskId":"c"}"#, TargetKind::Task, "c"),
        ("tasks/cancel", r#"{"taskId":"c"}"#, TargetKind::Task, "c"),
        ("completion/complete", r#"{"ref":{"name":"d"},"name":"a"}"#, TargetKind::Prompt, "d"),
        ("completion/complete", r#"{"ref":{"uri":"e://{x}"},"uri":"b"}"#, TargetKind::Resource, "e://{x}"),
    ];
    for (method, params, kind, target) in cases {
        assert_eq!(request(method, params).unwrap().target(), Some((kind, target)), "{method} {params}");
    }
}

#[test]
fn a_call_whose_target_is_missing_fails_with_its_id() {
    for (method, params) in [
        ("tools/call", "{}"),
        ("tools/call", "null"),
        ("tools/call", r#"{"name":1}"#),
        ("prompts/get", r#"{"uri":"x"}"#),
        ("resources/read", r#"{"name":"x"}"#),
        ("tasks/get", r#"{"taskId":7}"#),
        ("completion/complete", "{}"),
        ("completion/complete", r#"{"ref":{"name":"a","uri":"b"}}"#),
        ("completion/complete", r#"{"ref":"a"}"#),
    ] {
        let Err(Unreadable::Params(why, id)) = request(method, params) else { panic!("{method} {params}") };
        assert!(why.starts_with("`params."), "{why}");
        assert_eq!(&*id, "1");
    }
}

#[test]
fn every_known_method_is_read_and_written_alike() {
    for name in Method::KNOWN {
        let method = Method::from_name(name);
        assert_eq!((method.name(), method.to_string().as_str()), (*name, *name));
        assert!(!matches!(method, Method::Unknown(_)), "{name}");
        assert_eq!(method.is_notification(), name.starts_with("notifications/"), "{name}");
    }
    for name in ["tools/Call", "tools/call ", "", "Tools/call"] {
        assert_eq!(Method::from_name(name), Method::Unknown(name.into()));
    }
    let lists = Method::KNOWN.iter().filter(|name| Method::from_name(name).is_list()).count();
    assert_eq!(lists, 4);
}

#[test]
fn tr_06_vec_07_an_id_is_a_string_or_an_integer_and_kept_as_it_was_written() {
    let with_id = |id: &str| read(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
    for id in ["0", "-1", "123456789012345678901234567890", r#""""#, r#""\u0061\"""#] {
        assert_eq!(with_id(id).unwrap().id(), Some(id));
    }
    for id in ["null", "1.5", "1.0", "1e2", "true", "[]", "{}"] {
        assert!(matches!(with_id(id), Err(Unreadable::NotAMessage(_))), "{id}");
    }
}

#[test]
fn sec_a_request_without_an_id_is_no_notification() {
    for method in ["tools/call", "resources/read", "tools/list", "x/y"] {
        let read = read(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"name":"a","uri":"b"}}}}"#));
        assert!(matches!(read, Err(Unreadable::NotAMessage(_))), "{method}");
    }
    let unknown = message(r#"{"jsonrpc":"2.0","method":"notifications/x/y"}"#);
    assert_eq!(unknown.kind(), &Kind::Notification(Method::Unknown("notifications/x/y".into())));
}

#[test]
fn a_response_has_no_method_and_no_target() {
    let response = message(r#"{"jsonrpc":"2.0","id":"s","result":{"name":"echo"}}"#);
    assert_eq!((response.kind(), response.id(), response.method()), (&Kind::Response, Some("\"s\""), None));
    assert_eq!(response.target(), None);
}

#[test]
fn tr_07_vec_06_a_batch_is_refused_before_anything_in_it_is_read() {
    for text in ["[]", " [", "[1", r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#] {
        assert_eq!(read(text).unwrap_err(), Unreadable::Batch, "{text}");
    }
}

#[test]
fn tr_06_vec_06_what_is_no_message_is_refused() {
    for text in ["1", "\"x\"", "null", "true", "{}", r#"{"jsonrpc":"2.0"}"#, r#"{"jsonrpc":"2.0","id":1}"#] {
        assert!(matches!(read(text), Err(Unreadable::NotAMessage(_))), "{text}");
    }
    for text in ["", " ", "x", "{", "{}x", "\u{feff}{}"] {
        let Err(Unreadable::Flaw(flaw)) = read(text) else { panic!("{text}") };
        assert!(matches!(flaw.kind, FlawKind::Syntax(_)), "{text}: {flaw}");
    }
    let not_utf8 = Message::read(Bytes::from_static(b"{\"a\":\"\xff\"}"), &Limits::MESSAGE);
    assert_eq!(not_utf8.unwrap_err(), Unreadable::Flaw(crate::kit::json::Flaw { kind: FlawKind::NotUtf8, at: 6 }));
}

#[test]
fn vec_02_reserved_keys_have_one_spelling_where_they_mean_something() {
    let reserved = |text: &str| matches!(read(text), Err(Unreadable::Flaw(flaw)) if matches!(flaw.kind, FlawKind::ReservedKey { .. }));
    assert!(reserved(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#));
    assert!(reserved(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#));
    assert!(reserved(
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"IO.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#
    ));
    assert!(
        read(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"NAME":1,"Name":2}}}"#)
            .is_ok()
    );
}

#[test]
fn a_clone_shows_the_same_text() {
    let call = message(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\u0065cho"}}"#);
    let copy = call.clone();
    drop(call);
    assert_eq!(copy.tool(), Some("echo"));
}

#[test]
fn the_revision_stands_in_meta() {
    assert_eq!((message(MODERN).version(), message(MODERN).is_modern()), (Some("2026-07-28"), true));
    for meta in [
        "{}",
        "null",
        "[]",
        r#"{"io.modelcontextprotocol/protocolVersion":20260728}"#,
        r#"{"protocolVersion":"2026-07-28"}"#,
    ] {
        assert!(!request("ping", &format!(r#"{{"_meta":{meta}}}"#)).unwrap().is_modern(), "{meta}");
    }
}

#[test]
fn tr_08_vec_08_headers_of_a_modern_request_repeat_its_body() {
    let check = |pairs: &[(&'static str, &str)]| check_headers(&message(MODERN), &headers(pairs));
    let good = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
    assert_eq!(check(&good), Ok(()));
    for left_out in 0..3 {
        let mut pairs = good.to_vec();
        let (name, _) = pairs.remove(left_out);
        let Err(Disagreement::Header(why)) = check(&pairs) else { panic!("{name}") };
        assert!(why.contains(name) && why.contains("missing"), "{why}");
    }
    for other in 0..3 {
        let mut pairs = good.to_vec();
        pairs[other].1 = "2025-11-25";
        assert!(matches!(check(&pairs), Err(Disagreement::Header(_))), "{pairs:?}");
    }
}

#[test]
fn tr_08_a_name_that_fits_no_header_travels_encoded() {
    let text = MODERN.replace("echo", "caf\\u00e9");
    let check = |name: &str| {
        let pairs = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", name)];
        check_headers(&message(&text), &headers(&pairs))
    };
    assert_eq!(check("=?base64?Y2Fmw6k=?="), Ok(()));
    for bad in
        ["café", "=?BASE64?Y2Fmw6k=?=", "=?base64?Y2Fmw6k?=", "=?base64?Y2Fm/w==?=", "=?base64?Y2FmZQ==?=", "=?base64?"]
    {
        assert!(check(bad).is_err(), "{bad}");
    }
}

#[test]
fn tr_09_a_header_that_is_there_twice_is_no_header_to_trust() {
    let call = message(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#);
    for name in ["mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id", "mcp-param-x"] {
        let value = match name {
            "mcp-method" => "tools/call",
            "mcp-name" => "echo",
            "mcp-protocol-version" => "2025-11-25",
            _ => "x",
        };
        assert_eq!(check_headers(&call, &headers(&[(name, value)])), Ok(()), "{name}");
        assert!(check_headers(&call, &headers(&[(name, value), (name, value)])).is_err(), "{name}");
    }
}

#[test]
fn tr_10_headers_are_repeated_in_no_message_to_the_caller() {
    let secret = "=?base64?c2VjcmV0LXZhbHVl?=";
    let call = message(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#);
    for name in ["mcp-method", "mcp-name", "mcp-protocol-version"] {
        let Err(Disagreement::Header(why)) = check_headers(&call, &headers(&[(name, secret)])) else {
            panic!("{name}")
        };
        assert!(!why.contains("secret") && !why.contains("c2Vj"), "{why}");
    }
}

#[test]
fn vec_11_a_modern_header_demands_a_modern_body() {
    let call = message(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#);
    let with = |version: &str| check_headers(&call, &headers(&[("mcp-protocol-version", version)]));
    assert_eq!(with("2026-07-28"), Err(Disagreement::MissingMeta));
    assert_eq!(with("2031-01-01"), Err(Disagreement::MissingMeta));
    assert_eq!(with("2025-11-25"), Ok(()));
    let notification = message(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!(check_headers(&notification, &headers(&[("mcp-protocol-version", "2026-07-28")])), Ok(()));
}
