//! Parameters of tools that must also stand in headers (`x-mcp-header`; MCP 2026-07-28, "Custom Headers from Tool
//! Parameters").

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::outgoing::header_value;

const ANNOTATION: &str = "x-mcp-header";
/// More than any sensible tool has.
const MOST: usize = 32;
/// The integers that every reader of JSON keeps: those within 2⁵³.
const SAFE: i64 = 1 << 53;

/// One such parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirrored {
    header: HeaderName,
    /// The keys that lead to it in `arguments`.
    path: Vec<Box<str>>,
}

impl Mirrored {
    /// The bytes that it takes to remember it.
    pub(super) fn size(&self) -> usize {
        let keys = self.path.iter().map(|key| key.len() + size_of::<Box<str>>()).sum::<usize>();
        size_of::<Self>() + self.header.as_str().len() + keys
    }
}

/// Those of a tool; an error says why its definition must not be used.
pub(super) fn of_tool(tool: &Value) -> Result<Vec<Mirrored>, &'static str> {
    let mut found = Vec::new();
    walk(&tool["inputSchema"], &mut Vec::new(), &mut found)?;
    Ok(found)
}

/// Over a schema that is reached from the root by `properties` alone.
fn walk(schema: &Value, path: &mut Vec<Box<str>>, found: &mut Vec<Mirrored>) -> Result<(), &'static str> {
    let Some(members) = schema.as_object() else { return Ok(()) };
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            (ANNOTATION, name) => found.push(mirrored(name, schema, path, found)?),
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    path.push(name.as_str().into());
                    walk(property, path, found)?;
                    path.pop();
                }
            }
            // Values, in which the word means nothing.
            ("default" | "const" | "enum" | "examples", _) => {}
            (_, other) if is_annotated(other) => return Err("an annotation stands where no parameter is"),
            _ => {}
        }
    }
    Ok(())
}

fn mirrored(name: &Value, schema: &Value, path: &[Box<str>], found: &[Mirrored]) -> Result<Mirrored, &'static str> {
    let primitive = matches!(schema["type"].as_str(), Some("string" | "integer" | "boolean"));
    if path.is_empty() || !primitive {
        return Err("a parameter that is no string, integer or boolean is annotated");
    }
    let name = name.as_str().filter(|name| !name.is_empty()).ok_or("a header has no name")?;
    let header = HeaderName::try_from(format!("mcp-param-{name}")).map_err(|_| "a header's name is malformed")?;
    if found.iter().any(|other| other.header == header) {
        return Err("two parameters have the same header");
    }
    if found.len() == MOST {
        return Err("too many parameters are annotated");
    }
    Ok(Mirrored { header, path: path.into() })
}

fn is_annotated(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key(ANNOTATION) || members.values().any(is_annotated),
        Value::Array(items) => items.iter().any(is_annotated),
        _ => false,
    }
}

/// Adds the headers of a call with these arguments.
pub(super) fn add(mirrored: &[Mirrored], arguments: &Value, headers: &mut HeaderMap) {
    for Mirrored { header, path } in mirrored {
        let value = path.iter().try_fold(arguments, |value, key| value.get(&**key));
        if let Some(text) = value.and_then(as_text) {
            headers.insert(header, header_value(&text));
        }
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) => Some(value.to_string()),
        Value::Number(number) if number.as_i64().is_none_or(|number| number.abs() < SAFE) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(properties: &Value) -> Value {
        json!({ "name": "t", "inputSchema": { "type": "object", "properties": properties } })
    }

    fn annotated(kind: &str, header: &str) -> Value {
        json!({ "type": kind, "x-mcp-header": header })
    }

    #[test]
    fn tr_28_parameters_are_repeated_in_headers_by_their_exact_path() {
        let deep = json!({ "type": "object", "properties": { "dry": annotated("boolean", "Dry-Run") } });
        let tool = tool(&json!({
            "region": annotated("string", "Region"), "count": annotated("integer", "count"), "options": deep,
            "absent": annotated("string", "Absent"), "null": annotated("string", "Null"), "plain": { "type": "string" },
        }));
        let mut headers = HeaderMap::new();
        let arguments =
            json!({ "region": "köln", "count": -7, "options": { "dry": true }, "null": null, "plain": "x" });
        add(&of_tool(&tool).unwrap(), &arguments, &mut headers);
        let mut sent: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        sent.sort_unstable();
        let expected =
            [("mcp-param-count", "-7"), ("mcp-param-dry-run", "true"), ("mcp-param-region", "=?base64?a8O2bG4=?=")];
        assert_eq!(sent, expected);
    }

    #[test]
    fn tr_28_a_tool_whose_annotations_break_the_rules_is_not_used() {
        let wrong = [
            tool(&json!({ "a": annotated("string", "") })),
            tool(&json!({ "a": annotated("string", "two words") })),
            tool(&json!({ "a": annotated("string", "line\r\nbreak") })),
            tool(&json!({ "a": annotated("number", "N") })),
            tool(&json!({ "a": { "x-mcp-header": "Untyped" } })),
            tool(&json!({ "a": annotated("string", "Same"), "b": annotated("string", "same") })),
            tool(&json!({ "a": { "type": "array", "items": annotated("string", "Item") } })),
            tool(&json!({ "a": { "anyOf": [annotated("string", "Choice")] } })),
            json!({ "name": "t", "inputSchema": { "$defs": { "d": annotated("string", "Ref") } } }),
            json!({ "name": "t", "inputSchema": annotated("object", "Root") }),
        ];
        for tool in wrong {
            assert!(of_tool(&tool).is_err(), "{tool}");
        }
    }

    #[test]
    fn tr_28_the_word_may_stand_in_values_and_be_a_name() {
        let fine = tool(&json!({
            "x-mcp-header": { "type": "string" },
            "a": { "type": "object", "default": annotated("string", "Value"), "enum": [annotated("string", "Value")] },
        }));
        assert_eq!(of_tool(&fine), Ok(Vec::new()));
        assert_eq!(of_tool(&json!({ "name": "t" })), Ok(Vec::new()));
    }
}
