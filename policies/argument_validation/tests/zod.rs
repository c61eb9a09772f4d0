//! Schemas as servers of the TypeScript SDK have them: zod 4 writes each format as a pattern too, some with look-around.

use super::*;

/// What zod 4 writes for `z.email()`, `z.uuid()`, …: format, pattern, texts that fit, and texts that do not.
const FORMATS: [(&str, &str, &[&str], &[&str]); 10] = [
    (
        "email",
        r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
        &["ada@example.com", "ada.lovelace+notes@mail.example.co.uk"],
        &[".ada@example.com", "ada..lovelace@example.com", "ada@example", "ada"],
    ),
    (
        "duration",
        r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$",
        &["P3W", "P1Y2M3DT4H", "PT0.5S"],
        &["P", "PT", "P1YT", "P1Y3W"],
    ),
    (
        "uuid",
        r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$",
        &["9f0a4c52-1b7e-4d3a-8c1f-2b6f0e5d7a90", "00000000-0000-0000-0000-000000000000"],
        &["9f0a4c52-1b7e-0d3a-8c1f-2b6f0e5d7a90", "9f0a4c521b7e4d3a8c1f2b6f0e5d7a90"],
    ),
    (
        "date-time",
        r"^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))T(?:(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z))$",
        &["2026-11-20T08:00:00Z", "2024-02-29T23:59:59.123Z"],
        &["2026-02-29T08:00:00Z", "2026-11-20T08:00:00+01:00", "2026-11-20"],
    ),
    (
        "ipv4",
        r"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])$",
        &["192.0.2.1"],
        &["192.0.2.256", "192.0.2.01"],
    ),
    (
        "cidrv4",
        r"^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\/([0-9]|[1-2][0-9]|3[0-2])$",
        &["192.0.2.0/24"],
        &["192.0.2.0/33", "192.0.2.0"],
    ),
    (
        "base64",
        r"^$|^(?:[0-9a-zA-Z+/]{4})*(?:(?:[0-9a-zA-Z+/]{2}==)|(?:[0-9a-zA-Z+/]{3}=))?$",
        &["", "aGVsbG8="],
        &["aGVsbG8", "aGV-"],
    ),
    ("e164", r"^\+[1-9]\d{6,14}$", &["+491701234567"], &["491701234567", "+0"]),
    ("emoji", r"^(\p{Extended_Pictographic}|\p{Emoji_Component})+$", &["🦀", "👩‍🚀"], &["crab"]),
    ("nanoid", r"^[a-zA-Z0-9_-]{21}$", &["V1StGXR8_Z5jdHi6B-myT"], &["V1StGXR8"]),
];

/// An object with one member of each format, each of which may be left out.
fn schema() -> Value {
    let member = |(format, pattern, ..): &(&str, &str, &[&str], &[&str])| {
        ((*format).to_owned(), json!({ "type": "string", "format": format, "pattern": pattern }))
    };
    let members: serde_json::Map<_, _> = FORMATS.iter().map(member).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": members,
        "additionalProperties": false,
    })
}

#[tokio::test]
async fn the_schemas_of_typescript_servers_are_used_with_all_their_formats() {
    let tools = json!([{ "name": "invite", "inputSchema": schema() }]);
    let bench = upstream(&json!({}), tools, json!({ "content": [] }));
    for (format, _, good, bad) in FORMATS {
        for text in good {
            let outcome = call(&bench, "invite", json!({ format: text })).await;
            assert!(was_called(&outcome), "{format} {text:?}: {}", outcome.message());
        }
        for text in bad {
            let outcome = call(&bench, "invite", json!({ format: text })).await;
            assert_eq!((was_called(&outcome), reason(&outcome)), (false, Some("invalid_arguments")), "{format} {text}");
            let misfits = &outcome.message()["result"]["_meta"]["portcullis/refusal"]["misfits"];
            assert_eq!(*misfits, json!([format!("/{format}")]));
        }
    }
}

#[tokio::test]
async fn a_list_of_some_hundred_addresses_is_no_more_than_the_budget_reaches_for() {
    let (_, email, ..) = FORMATS[0];
    let people = json!({ "type": "array", "items": { "type": "string", "format": "email", "pattern": email } });
    let tools = json!([{ "name": "invite", "inputSchema": { "type": "object", "properties": { "to": people } } }]);
    let bench = upstream(&json!({}), tools, json!({ "content": [] }));
    let mut to: Vec<_> = (0..300).map(|number| format!("reader.{number}@example.com")).collect();
    assert!(was_called(&call(&bench, "invite", json!({ "to": to })).await));
    to.push("nobody".to_owned());
    assert_eq!(reason(&call(&bench, "invite", json!({ "to": to })).await), Some("invalid_arguments"));
}
