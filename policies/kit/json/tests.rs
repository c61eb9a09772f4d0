use std::fmt::Write;

use proptest::{prelude::*, test_runner::RngSeed};
use serde_json::Value;

use super::*;

/// Reads a whole document.
fn read(text: &str) -> Result<Span, Flaw> {
    read_within(text, &Limits::MESSAGE)
}

fn read_within(text: &str, limits: &Limits) -> Result<Span, Flaw> {
    let mut reader = Reader::new(text, limits);
    let span = reader.value()?;
    reader.end()?;
    Ok(span)
}

fn kind(text: &str) -> FlawKind {
    read(text).expect_err(text).kind
}

fn text_of(json: &str) -> String {
    let mut reader = Reader::new(json, &Limits::MESSAGE);
    let text = reader.string().unwrap().text(json).into_owned();
    reader.end().unwrap();
    text
}

#[test]
fn a_value_is_found_without_the_blanks_around_it() {
    let text = " \t\r\n[1, {\"a\": null}]\n";
    assert_eq!(read(text).unwrap().of(text.as_bytes()), b"[1, {\"a\": null}]");
}

#[test]
fn every_form_of_value_is_read() {
    let values = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "10",
        "1.5",
        "-1.5e-3",
        "1E+9",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        "[[],{}]",
        "{\"\":{}}",
        "[ ]",
        "{ }",
        "[1 , 2]",
        "{\"a\" : 1 , \"b\" : 2}",
        "\"\u{7f}\u{2028}\"",
        "1e-400",
        "0e999",
    ];
    for value in values {
        assert!(read(value).is_ok(), "{value}");
        assert!(serde_json::from_str::<Value>(value).is_ok(), "{value}");
    }
}

#[test]
fn what_is_no_json_is_refused_where_it_goes_wrong() {
    let cases = [
        ("", 0),
        (" ", 1),
        ("nul", 0),
        ("nulll", 4),
        ("01", 2),
        ("-", 1),
        ("1.", 2),
        ("1e", 2),
        ("1e+", 3),
        ("+1", 0),
        (".5", 0),
        ("[1,]", 3),
        ("[,1]", 1),
        ("[1 2]", 3),
        ("[1", 2),
        ("{\"a\":1,}", 7),
        ("{a:1}", 1),
        ("{\"a\" 1}", 5),
        ("{\"a\":}", 5),
        ("{\"a\":1", 6),
        ("[1}", 2),
        ("{\"a\":1]", 6),
        ("1 2", 2),
        ("{}{}", 2),
        ("\"a", 2),
        ("\"\\x\"", 1),
        ("\"\\u12\"", 1),
        ("\"a\nb\"", 2),
        ("\u{feff}1", 0),
        ("\u{a0}1", 0),
        ("NaN", 0),
        ("'a'", 0),
        ("/**/1", 0),
    ];
    for (text, at) in cases {
        let flaw = read(text).expect_err(text);
        assert!(matches!(flaw.kind, FlawKind::Syntax(_)), "{text}: {flaw}");
        assert_eq!(flaw.at, at, "{text:?}: {flaw}");
    }
}

#[test]
fn vec_01_equal_keys_are_found_at_any_depth_and_distance() {
    let many = |n: usize, last: &str| {
        let keys: Vec<_> = (0..n).map(|n| format!("\"key-{n}\":{n}")).collect();
        format!("{{{},\"{last}\":0}}", keys.join(","))
    };
    assert_eq!(kind(r#"{"a":1,"a":2}"#), FlawKind::DuplicateKey("a".into()));
    assert_eq!(kind(r#"[{"b":[{"a":1,"\u0061":2}]}]"#), FlawKind::DuplicateKey("a".into()));
    for n in [1, 7, 8, 23, 24, 25, 100, 255] {
        assert_eq!(kind(&many(n, "key-0")), FlawKind::DuplicateKey("key-0".into()), "{n}");
        assert_eq!(
            kind(&many(n, &format!("key-{}", n - 1))),
            FlawKind::DuplicateKey(format!("key-{}", n - 1).into()),
            "{n}"
        );
        assert!(read(&many(n, "other")).is_ok(), "{n}");
    }
}

#[test]
fn vec_01_large_objects_in_large_objects_keep_their_keys_apart() {
    let large = |value: &str, last: &str| {
        let keys: Vec<_> = (0..40).map(|n| format!("\"k{n}\":{value}")).collect();
        format!("{{{}{last}}}", keys.join(","))
    };
    let nested = large(&large(&large("1", ""), ""), "");
    let limits = Limits { nodes: u32::MAX, ..Limits::MESSAGE };
    assert!(read_within(&nested, &limits).is_ok());
    let again = large(&large(&large("1", ""), ""), ",\"k7\":1");
    assert_eq!(read_within(&again, &limits).unwrap_err().kind, FlawKind::DuplicateKey("k7".into()));
    let inner = large(&large(&large("1", ",\"k30\":{}"), ""), "");
    assert_eq!(read_within(&inner, &limits).unwrap_err().kind, FlawKind::DuplicateKey("k30".into()));

    let mut reader = Reader::new(&again, &limits);
    let stepped = reader
        .object(|reader, _| reader.object(|reader, _| reader.value().map(drop)).or_else(|_| reader.value().map(drop)));
    assert_eq!(stepped.unwrap_err().kind, FlawKind::DuplicateKey("k7".into()), "read step by step");
}

#[test]
fn keys_that_are_only_alike_are_different() {
    let alike = [
        r#"{"a":1,"A":2,"aa":3,"":4,"a ":5}"#,
        r#"{"\u0000":1,"":2,"\u0000\u0000":3,"0":4}"#,
        r#"{"1234567":1,"12345678":2,"123456789":3,"1234567\u0000":4,"12345678\u0000":5}"#,
        r#"{"abcdefgh":1,"hgfedcba":2,"abcdefghabcdefgh":3,"abcdefghabcdefg":4}"#,
        r#"{"é":1,"e\u0301":2}"#,
        r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#,
    ];
    for text in alike {
        assert!(read(text).is_ok(), "{text}");
    }
}

#[test]
fn sec_limits_hold_at_their_last_value_and_not_one_further() {
    let limits = Limits { depth: 3, nodes: 6, keys: 2, string: 4 };
    let cases = [
        ("[[[]]]", None),
        ("[[[[]]]]", Some(FlawKind::TooDeep(3))),
        (r#"{"a":{"b":{}}}"#, None),
        (r#"{"a":{"b":{"c":{}}}}"#, Some(FlawKind::TooDeep(3))),
        ("[1,2,3,4,5]", None),
        ("[1,2,3,4,5,6]", Some(FlawKind::TooManyNodes(6))),
        (r#"[1,true,"",[],{}]"#, None),
        (r#"[1,true,"",[],{},""]"#, Some(FlawKind::TooManyNodes(6))),
        (r#"{"a":1,"b":2}"#, None),
        (r#"{"a":1,"b":2,"c":3}"#, Some(FlawKind::TooManyKeys(2))),
        (r#"[{"a":1,"b":2},{"c":3}]"#, None),
        (r#""1234""#, None),
        (r#""12345""#, Some(FlawKind::StringTooLong(4))),
        (r#"{"12345":1}"#, Some(FlawKind::StringTooLong(4))),
        ("\"éé\"", None),
        ("\"ééé\"", Some(FlawKind::StringTooLong(4))),
    ];
    for (text, flaw) in cases {
        assert_eq!(read_within(text, &limits).err().map(|flaw| flaw.kind), flaw, "{text}");
    }
}

#[test]
fn sec_nesting_does_not_use_up_the_stack() {
    let bottomless = "[".repeat(1 << 20);
    assert_eq!(read(&bottomless).unwrap_err().kind, FlawKind::TooDeep(64));
    assert_eq!(read_within(&bottomless, &Limits::ANSWER).unwrap_err().kind, FlawKind::TooDeep(128));
    assert_eq!(read(&"{\"a\":".repeat(1 << 18)).unwrap_err().kind, FlawKind::TooDeep(64));
}

#[test]
fn vec_03_half_a_surrogate_pair_is_refused() {
    for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800x""#, r#""\ud800\n""#, r#"{"\udfff":1}"#]
    {
        assert_eq!(kind(text), FlawKind::LoneSurrogate, "{text}");
    }
}

#[test]
fn vec_03_escapes_are_decoded() {
    assert_eq!(text_of(r#""\"\\\/\b\f\n\r\t""#), "\"\\/\u{8}\u{c}\n\r\t");
    assert_eq!(text_of(r#""\u0000\u00e9\u20AC\ud83d\ude00\uDBFF\uDFFF""#), "\0é€\u{1f600}\u{10ffff}");
    assert_eq!(text_of(r#""tools\u002fcall""#), "tools/call");
    assert_eq!(text_of("\"é\\u00e9é\""), "ééé");
    assert_eq!(text_of(r#""\\u0041""#), r"\u0041");
}

#[test]
fn a_string_is_borrowed_unless_it_has_escapes() {
    for (json, borrowed) in [("\"plain é\"", true), ("\"\\n\"", false)] {
        let string = Reader::new(json, &Limits::MESSAGE).string().unwrap();
        assert_eq!(matches!(string.text(json), std::borrow::Cow::Borrowed(_)), borrowed, "{json}");
    }
}

#[test]
fn numbers_that_no_double_holds_are_refused() {
    for text in ["1e309", "-1e400", "1e99999999999", "0.1e310", &"9".repeat(310), &"9".repeat(4000)] {
        assert_eq!(kind(text), FlawKind::NumberRange, "{text}");
    }
    let three_hundred_digits = format!("1{}", "0".repeat(307));
    for text in ["1e308", "-1e308", "1e-999", &three_hundred_digits, "0.00000000000000000000000000000001"] {
        assert!(read(text).is_ok(), "{text}");
    }
}

/// Strings are searched in words and blocks: whatever ends one must be found at every offset of them.
#[test]
fn the_end_of_a_string_is_found_at_every_offset() {
    for length in 0..300 {
        let filler = "a".repeat(length);
        for (special, good) in
            [("", true), ("\\n", true), ("\u{1}", false), ("\n", false), ("\u{1f}", false), ("\\q", false)]
        {
            for after in ["", "b", "bcdefghi\u{e9}"] {
                let text = format!("\"{filler}{special}{after}\"");
                assert_eq!(read(&text).is_ok(), good, "{length} {special:?} {after:?}");
                let open = format!("\"{filler}{special}{after}");
                assert!(read(&open).is_err(), "{length} {special:?} {after:?} unclosed");
            }
        }
        let high = "\u{e9}".repeat(length);
        assert!(read(&format!("\"{high}\u{7f}\u{80}\u{ff}\"")).is_ok(), "{length}");
        assert!(read(&format!("\"{high}\u{1f}{high}\"")).is_err(), "{length}");
    }
}

#[test]
fn a_caller_steps_through_what_it_wants_to_see() {
    let text = r#"{"skip":[1,{"a":2}],"want":{"x":"y"},"list":[1,2,3]}"#;
    let mut reader = Reader::new(text, &Limits::MESSAGE);
    let (mut found, mut count) = (None, 0);
    reader
        .object(|reader, key| match &*key.text(text) {
            "want" => reader.object(|reader, _| {
                found = Some(reader.string()?.text(text).into_owned());
                Ok(())
            }),
            "list" => reader.array(|reader| {
                count += 1;
                reader.value().map(drop)
            }),
            _ => reader.value().map(drop),
        })
        .unwrap();
    reader.end().unwrap();
    assert_eq!((found.as_deref(), count), (Some("y"), 3));
}

#[test]
fn a_caller_that_expects_something_else_gets_a_flaw() {
    let reader = |text| Reader::new(text, &Limits::MESSAGE);
    assert!(reader("[]").object(|_, _| Ok(())).is_err());
    assert!(reader("{}").array(|_| Ok(())).is_err());
    assert!(reader("1").string().is_err());
    assert!(reader("").string().is_err());
}

#[test]
fn vec_02_keys_that_a_folding_parser_could_take_for_another_are_lookalikes() {
    const KEYS: &[&str] = &["name", "params", "taskId", "_meta", "progressToken", "id"];
    let lookalikes = [
        ("Name", "name"),
        ("NAME", "name"),
        ("nAmE", "name"),
        ("PARAMS", "params"),
        ("taskid", "taskId"),
        ("_Meta", "_meta"),
        ("param\u{17f}", "params"),
        ("tas\u{212a}Id", "taskId"),
        ("\u{ff4e}ame", "name"),
        ("na\u{200b}me", "name"),
        ("name\u{ad}", "name"),
        ("\u{feff}name", "name"),
        ("\u{1d427}ame", "name"),
        ("progre\u{df}Token", "progressToken"),
        ("progre\u{1e9e}Token", "progressToken"),
        ("\u{131}d", "id"),
        ("\u{130}d", "id"),
        ("i\u{307}d", "id"),
        ("name\u{fe0f}", "name"),
        ("\u{24dd}ame", "name"),
        ("\u{2170}d", "id"),
    ];
    for (key, reserved) in lookalikes {
        assert_eq!(lookalike(key, KEYS), Some(reserved), "{key:?}");
    }
    for key in ["name", "params", "names", "nam", "", "nаme", "名前", "n\u{e4}me", "na me", "x-name"] {
        assert_eq!(lookalike(key, KEYS), None, "{key:?}");
    }
}

#[test]
fn a_flaw_says_what_and_where() {
    assert_eq!(read("[1,]").unwrap_err().to_string(), "expected a value after the comma (byte 3)");
    assert_eq!(read(r#"{"a":1,"a":2}"#).unwrap_err().to_string(), "key \"a\" appears twice in one object (byte 10)");
    let deep = read(&"[".repeat(65)).unwrap_err();
    assert!(deep.kind.is_limit() && !deep.kind.is_ambiguous());
    assert!(
        kind(r#"{"a":1,"a":2}"#).is_ambiguous() && kind("1e999").is_ambiguous() && kind(r#""\ud800""#).is_ambiguous()
    );
    assert!(!kind("x").is_limit() && !kind("x").is_ambiguous());
}

#[test]
fn a_span_of_another_text_is_empty() {
    let span = read("[1,2,3]").unwrap();
    assert_eq!((span.of(b"[1"), span.range()), (&b""[..], 0..7));
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x7265_6164),
        ..ProptestConfig::default()
    }
}

/// Any JSON value, with keys that are often alike.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-c]{0,2}|.{0,10}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn whatever_serde_json_writes_is_read(value in json_value()) {
        let (line, pretty) = (value.to_string(), serde_json::to_string_pretty(&value).unwrap());
        prop_assert!(read(&line).is_ok(), "{line}");
        prop_assert!(read(&pretty).is_ok(), "{pretty}");
    }

    #[test]
    fn strings_mean_what_serde_json_says(text in ".{0,80}") {
        let json = Value::from(text.as_str()).to_string();
        prop_assert_eq!(text_of(&json), text);
    }

    #[test]
    fn escaped_strings_mean_what_serde_json_says(units in prop::collection::vec(any::<char>(), 0..20)) {
        let mut json = String::from("\"");
        for unit in units.iter().collect::<String>().encode_utf16() {
            write!(json, "\\u{unit:04X}").unwrap();
        }
        json.push('"');
        prop_assert_eq!(text_of(&json), serde_json::from_str::<String>(&json).unwrap());
    }
}

proptest! {
    #![proptest_config(config(600))]

    /// The reader may refuse more than others, never less. (Numbers next to the largest double are left out: serde_json
    /// rounds some of them up to infinity.)
    #[test]
    fn sec_whatever_is_accepted_serde_json_accepts_too(text in r#"([\[\]{}",:\\ \n0-9a-fu.eE+-]|true|null|"a":|\\u[dD][89abc]00){0,30}"#) {
        if read(&text).is_ok() {
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn sec_whatever_is_accepted_of_a_bent_document_serde_json_accepts_too(value in json_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(text) = std::str::from_utf8(&bytes) && read(text).is_ok() {
            prop_assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
        }
    }
}
