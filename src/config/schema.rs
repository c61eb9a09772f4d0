//! The JSON Schema of `routes.json`, for editors.

use portcullis_policies::kit::policy::PolicyKind;
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::file::{RouteOptions, RoutesFile};

/// The published schema: the file's shape, with each policy's options where its name stands.
pub fn json_schema(kinds: &[PolicyKind]) -> Value {
    let mut generator = generator();
    let route = generator.subschema_for::<RouteOptions>();
    let options: Vec<_> = kinds.iter().map(|kind| (kind, kind.schema(&mut generator))).collect();
    let mut schema = generator.into_root_schema_for::<RoutesFile>().to_value();
    schema["properties"]["routes"] = json!({
        "description": "The routes, by path.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": "^/" },
        "additionalProperties": route,
    });
    schema["$defs"]["PolicyUse"] = policy_use(&options);
    bound_integers(&mut schema);
    schema
}

/// `options` is described for each policy by itself, so that an editor completes just what fits.
fn policy_use(options: &[(&PolicyKind, Schema)]) -> Value {
    let all: Vec<_> = options.iter().flat_map(|(kind, _)| names(kind)).collect();
    let cases: Vec<_> = options
        .iter()
        .map(|(kind, schema)| {
            let names: Vec<_> = names(kind).collect();
            json!({
                "if": { "properties": { "policy": { "enum": names } } },
                "then": { "properties": { "options": schema } },
            })
        })
        .collect();
    json!({
        "description": "A policy with its options.",
        "type": "object",
        "properties": {
            "policy": { "description": "Which policy.", "type": "string", "enum": all },
            "options": { "description": "How it is set up.", "type": "object" },
        },
        "required": ["policy"],
        "additionalProperties": false,
        "allOf": cases,
    })
}

fn names(kind: &PolicyKind) -> impl Iterator<Item = &'static str> {
    std::iter::once(kind.name).chain(kind.aliases.iter().copied())
}

pub(super) fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// Says how large integers may be: `"format": "uint32"` is a word that validators do not know.
pub(super) fn bound_integers(schema: &mut Value) {
    if let Some(members) = schema.as_object_mut() {
        let largest = match members.get("format").and_then(Value::as_str) {
            Some("uint16") => Some(u64::from(u16::MAX)),
            Some("uint32") => Some(u64::from(u32::MAX)),
            _ => None,
        };
        if let Some(largest) = largest {
            members.entry("maximum").or_insert(largest.into());
        }
        members.values_mut().for_each(bound_integers);
    }
    if let Some(items) = schema.as_array_mut() {
        items.iter_mut().for_each(bound_integers);
    }
}
