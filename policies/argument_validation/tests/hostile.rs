//! Schemas and values that mean harm.

use std::{net::TcpListener, time::Duration};

use tokio::time::Instant;

use super::*;

/// The answer to a call of the only tool, which has this schema.
async fn judged(schema: Value, arguments: Value) -> Outcome {
    let tools = json!([{ "name": "it", "inputSchema": schema }]);
    call(&upstream(&json!({ "results": "off" }), tools, json!({ "content": [] })), "it", arguments).await
}

fn is_unusable(outcome: &Outcome, why: &str) -> bool {
    let message = outcome.message()["error"]["message"].as_str().unwrap_or_default();
    !was_called(outcome) && reason(outcome) == Some("schema_unusable") && message.contains(why)
}

#[tokio::test]
async fn tr_28_sb_14_what_a_schema_refers_to_outside_of_itself_is_never_fetched() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}/schema.json", listener.local_addr().unwrap());
    for reference in [elsewhere.as_str(), "file:///etc/passwd", "other.json#/x", "//x/y"] {
        let outcome = judged(json!({ "properties": { "a": { "$ref": reference } } }), json!({ "a": 1 })).await;
        assert!(is_unusable(&outcome, reference), "{reference}: {}", outcome.message());
    }
    let hidden = json!({ "default": { "$ref": elsewhere }, "properties": { "a": { "$ref": "#/default" } } });
    assert!(is_unusable(&judged(hidden, json!({ "a": 1 })).await, ""));
    for schema in [json!({ "$schema": elsewhere }), json!({ "$schema": "urn:none" })] {
        assert!(is_unusable(&judged(schema, json!({})).await, ""));
    }
    let based = json!({ "$id": elsewhere, "properties": { "a": { "$ref": "#/$defs/a" } }, "$defs": { "a": { "type": "null" } } });
    assert!(was_called(&judged(based, json!({ "a": null })).await), "a name leads nowhere by itself");
    assert!(listener.accept().is_err(), "somebody called");
}

#[tokio::test]
async fn references_within_a_schema_are_followed() {
    let schema = json!({
        "$defs": { "tree": { "properties": { "of": { "type": "array", "items": { "$ref": "#/$defs/tree" } }, "n": { "type": "integer" } } },
                   "a/b c": { "$anchor": "named", "type": "string" } },
        "x-note": { "id": "says nothing", "$ref": "nor does this" },
        "properties": { "tree": { "$ref": "#/$defs/tree" }, "s": { "$ref": "#/$defs/a~1b%20c" }, "t": { "$ref": "#named" } },
    });
    let fits = json!({ "tree": { "of": [{ "n": 1, "of": [{ "n": 2 }] }] }, "s": "x", "t": "y" });
    assert!(was_called(&judged(schema.clone(), fits).await));
    let outcome = judged(schema.clone(), json!({ "tree": { "of": [{ "of": [{ "n": "x" }] }] }, "t": 1 })).await;
    let misfits = &outcome.message()["result"]["_meta"]["portcullis/refusal"]["misfits"];
    assert_eq!(*misfits, json!(["/tree/of/0/of/0/n", "/t"]));
}

#[tokio::test]
async fn the_draft_that_a_schema_names_is_the_one_that_is_meant() {
    let tuple = |draft: &str| json!({ "$schema": draft, "properties": { "a": { "items": [{ "type": "integer" }] } } });
    let outcome = judged(tuple("http://json-schema.org/draft-07/schema#"), json!({ "a": ["x"] })).await;
    assert_eq!(reason(&outcome), Some("invalid_arguments"));
    let outcome = judged(tuple("https://json-schema.org/draft/2020-12/schema"), json!({ "a": ["x"] })).await;
    assert!(is_unusable(&outcome, "cannot be used"), "{}", outcome.message());
    let prefixed = json!({ "properties": { "a": { "prefixItems": [{ "type": "integer" }] } } });
    assert_eq!(reason(&judged(prefixed, json!({ "a": ["x"] })).await), Some("invalid_arguments"));
}

/// Each definition refers to the next twice, so that the last is reached in 2^40 ways.
fn doubling(keyword: &str) -> Value {
    let of = |n: usize| json!({ keyword: [{ "$ref": format!("#/$defs/d{n}") }, { "$ref": format!("#/$defs/d{n}") }] });
    let mut definitions: serde_json::Map<_, _> = (0..40).map(|n| (format!("d{n}"), of(n + 1))).collect();
    definitions.insert("d40".to_owned(), json!({ "type": "null" }));
    json!({ "$defs": definitions, "$ref": "#/$defs/d0" })
}

#[tokio::test]
async fn sec_sb_14_a_schema_that_multiplies_work_is_refused_before_the_work_is_done() {
    let started = Instant::now();
    for keyword in ["allOf", "anyOf", "oneOf"] {
        assert!(is_unusable(&judged(doubling(keyword), json!({})).await, "limits.steps"), "{keyword}");
        let mut evaluated = doubling(keyword);
        evaluated["unevaluatedProperties"] = false.into();
        assert!(is_unusable(&judged(evaluated, json!({ "a": 1 })).await, "more than 300"), "{keyword}");
    }
    let unevaluated = json!({ "allOf": [{ "properties": { "a": true } }], "unevaluatedProperties": false });
    assert!(was_called(&judged(unevaluated.clone(), json!({ "a": 1 })).await));
    assert_eq!(reason(&judged(unevaluated, json!({ "b": 1 })).await), Some("invalid_arguments"));
    let grows = json!({ "properties": { "a": { "allOf": [{ "$ref": "#" }, { "$ref": "#" }] } } });
    let deep = (0..50).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert!(is_unusable(&judged(grows.clone(), deep).await, "limits.steps"));
    assert!(was_called(&judged(grows, json!({ "a": { "a": {} } })).await));
    assert!(is_unusable(&judged(json!({ "$ref": "#" }), json!({})).await, "limits.steps"), "a circle");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn sec_sb_14_a_schema_that_is_too_long_too_deep_or_no_schema_is_refused() {
    let long = json!({ "description": "x".repeat(70_000) });
    assert!(is_unusable(&judged(long, json!({})).await, "limits.schemaBytes"));
    let deep = (0..70).fold(json!({}), |inner, _| json!({ "not": inner }));
    assert!(is_unusable(&judged(deep, json!({})).await, "limits.schemaDepth"));
    let chain: serde_json::Map<_, _> =
        (0..1500).map(|n| (n.to_string(), json!({ "$ref": format!("#/$defs/{}", n + 1) }))).collect();
    let mut schema = json!({ "$defs": chain, "$ref": "#/$defs/0" });
    schema["$defs"]["1500"] = json!(true);
    assert!(is_unusable(&judged(schema.clone(), json!({})).await, "limits.steps"));
    for keyword in ["unevaluatedProperties", "unevaluatedItems"] {
        let mut schema = schema.clone();
        schema[keyword] = false.into();
        assert!(is_unusable(&judged(schema, json!({})).await, "more than 300"), "{keyword}");
    }
    let nested = |n: usize| {
        let next = json!({ "$ref": format!("#/$defs/{}", n + 1) });
        (0..20).fold(next, |inner, _| json!({ "allOf": [inner] }))
    };
    let chain: serde_json::Map<_, _> = (0..60).map(|n| (n.to_string(), nested(n))).collect();
    let mut schema = json!({ "$defs": chain, "$ref": "#/$defs/0" });
    schema["$defs"]["60"] = json!(true);
    assert!(is_unusable(&judged(schema, json!({})).await, "limits.steps"));
    for schema in
        [json!({ "type": "nonsense" }), json!({ "$ref": "#/$defs/none" }), json!(5), json!({ "properties": 5 })]
    {
        assert!(is_unusable(&judged(schema.clone(), json!({ "a": 1 })).await, ""), "{schema}");
    }
    for reference in ["#/default", "#/examples/0", "#/enum/0", "#/none", "#none"] {
        let schema = json!({ "$ref": reference, "default": {}, "examples": [{}], "enum": [{}] });
        assert!(is_unusable(&judged(schema, json!({})).await, "there is no schema"), "{reference}");
    }
    let twice = json!({ "$defs": { "a": { "$anchor": "x" }, "b": { "$anchor": "x" } } });
    assert!(is_unusable(&judged(twice, json!({})).await, "stands there twice"));
    for unfollowed in [json!({ "$dynamicRef": "#x" }), json!({ "not": { "$id": "urn:x" } })] {
        assert!(is_unusable(&judged(unfollowed, json!({})).await, "not followed here"));
    }
}

#[tokio::test]
async fn sec_sb_14_a_pattern_takes_no_longer_than_its_text_is_long() {
    let of = |pattern: &str| json!({ "properties": { "a": { "pattern": pattern } } });
    let started = Instant::now();
    let text = json!({ "a": format!("{}!", "a".repeat(40_000)) });
    for pattern in ["^(a+)+$", "^(a|aa)+$", "(.*a){20}$"] {
        assert_eq!(reason(&judged(of(pattern), text.clone()).await), Some("invalid_arguments"), "{pattern}");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    for pattern in ["a{1000000}", "(?!a{1000000})", "("] {
        assert!(is_unusable(&judged(of(pattern), text.clone()).await, "pattern"), "{pattern}");
    }
    let many =
        json!({ "allOf": (0..50).map(|n| json!({ "pattern": format!("a{{{}}}", 500 + n) })).collect::<Vec<_>>() });
    assert!(is_unusable(&judged(many, json!({})).await, "too large patterns"));
    let slow = json!({ "a": "ab".repeat(10_000) });
    assert!(is_unusable(&judged(of("(a|b)*a(a|b){400}c"), slow).await, "limits.steps"));
    let much = json!({ "a": "a".repeat(200_000) });
    assert!(is_unusable(&judged(of("^a+$"), much).await, "limits.steps"));
}

#[tokio::test]
async fn look_around_and_back_references_are_followed() {
    let of = |pattern: &str| json!({ "properties": { "a": { "pattern": pattern } } });
    for (pattern, fits, misfits) in [
        ("^(?!a)[a-z]+$", "ba", "ab"),
        (r"^(a+)-\1$", "aa-aa", "aa-a"),
        ("(?<=x)y", "xy", "zy"),
        (r"^(?=.*[A-Z])(?=.*\d).{8,}$", "Passw0rds", "password1"),
    ] {
        assert!(was_called(&judged(of(pattern), json!({ "a": fits })).await), "{pattern}");
        assert_eq!(reason(&judged(of(pattern), json!({ "a": misfits })).await), Some("invalid_arguments"), "{pattern}");
    }
    let named = json!({ "patternProperties": { "^(?!x-)": false } });
    assert!(was_called(&judged(named.clone(), json!({ "x-a": 1 })).await));
    assert_eq!(reason(&judged(named, json!({ "a": 1 })).await), Some("invalid_arguments"));
}

#[tokio::test]
async fn sec_sb_14_a_pattern_that_could_be_tried_for_ever_is_given_up_and_nothing_passes_by_it() {
    let started = Instant::now();
    let undecided = "tried in too many ways";
    for pattern in [r"^(?:(?!b)(a|aa))+$", r"^(a|aa)+\1b$", "(?:(?!x).*)*y", "^(?:(?=a)a|a)+$"] {
        let it = json!({ "pattern": pattern });
        // What an undecided pattern would let pass, it must not.
        for schema in [it.clone(), json!({ "not": it }), json!({ "anyOf": [it, { "type": "string" }] })] {
            let of = json!({ "properties": { "a": schema } });
            let outcome = judged(of.clone(), json!({ "a": format!("{}!", "a".repeat(60)) })).await;
            assert!(is_unusable(&outcome, undecided), "{pattern}: {}", outcome.message());
            for length in [3_000, 100_000] {
                let outcome = judged(of.clone(), json!({ "a": format!("{}!", "a".repeat(length)) })).await;
                assert!(is_unusable(&outcome, "limits.steps"), "{pattern}: {}", outcome.message());
            }
        }
        let names = json!({ "patternProperties": { pattern: true } });
        let outcome = judged(names, json!({ format!("{}!", "a".repeat(60)): 1 })).await;
        assert!(is_unusable(&outcome, undecided), "{pattern}: {}", outcome.message());
    }
    // To go back seldom is no less work where each time all of the text is read again.
    let rereads = json!({ "properties": { "a": { "pattern": "(?=(.*a){20})c" } } });
    assert!(is_unusable(&judged(rereads, json!({ "a": "a".repeat(30_000) })).await, "limits.steps"));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_a_pattern_leaves_undecided_is_only_counted_where_nothing_is_blocked() {
    let schema = json!({ "properties": { "a": { "pattern": r"^(?:(?!b)(a|aa))+$" } } });
    let tools = json!([{ "name": "it", "inputSchema": schema }]);
    let options = json!({ "arguments": "warn", "results": "off" });
    let bench = upstream(&options, tools, json!({ "content": [] }));
    let outcome = call(&bench, "it", json!({ "a": format!("{}!", "a".repeat(60)) })).await;
    assert!(was_called(&outcome));
    assert_eq!(decisions(&outcome), [("arguments".to_owned(), "would_deny")]);
}

#[tokio::test]
async fn sec_a_value_that_is_too_long_or_no_object_is_refused() {
    let message = |arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"free","arguments":{arguments}}}}}"#
        )
    };
    let bench = bench(&json!({ "limits": { "valueBytes": 100 } }));
    assert!(is_unusable(&bench.post(message(&format!(r#"{{"s":"{}"}}"#, "x".repeat(100)))).send().await, "valueBytes"));
    let null = bench.post(message("null")).send().await;
    assert_eq!(reason(&null), Some("invalid_arguments"));
}

#[tokio::test]
async fn sec_where_there_is_too_much_to_tell_nothing_is_copied_to_tell_it() {
    let alternatives: Vec<_> = (0..800).map(|n| json!({ "properties": { "a": { "const": n } } })).collect();
    let outcome = judged(json!({ "anyOf": alternatives }), json!({ "a": "x".repeat(200_000) })).await;
    assert_eq!(reason(&outcome), Some("invalid_arguments"));
    assert_eq!(outcome.message()["result"]["_meta"]["portcullis/refusal"]["misfits"], json!([]));
}

#[tokio::test]
async fn sec_more_schemas_than_there_is_room_for_are_not_kept() {
    let tool =
        |n: usize| json!({ "name": format!("t{n}"), "inputSchema": { "type": "object", "title": n.to_string() } });
    let tools: Value = (0..400).map(tool).collect();
    let of =
        |schemas: u32| upstream(&json!({ "limits": { "schemas": schemas } }), tools.clone(), json!({ "content": [] }));
    assert!(is_unusable(&call(&of(4), "t0", json!({})).await, "limits.schemas"));
    assert!(was_called(&call(&of(400), "t0", json!({})).await));
}
