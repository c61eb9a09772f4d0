//! How much work it is to compare a value with a schema.
//!
//! A schema of a few lines can ask for more comparisons than there is time: each `$ref` may lead to two more. Validators cannot
//! be stopped on their way, so the way is walked first, without comparing anything but what can be stopped, and only as far as the
//! budget reaches.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{backtrack::Backtracking, schema::Unusable};

/// How deep the way may lead, which bounds the stack of the validator.
const DEPTH: u32 = 128;

/// A walk through a schema and a value at once. It counts no less than a validator does that stops nowhere early.
pub(super) struct Walk<'a> {
    pub(super) root: &'a Value,
    pub(super) anchors: &'a BTreeMap<String, String>,
    pub(super) patterns: &'a Backtracking,
    pub(super) left: u64,
}

impl Walk<'_> {
    /// Pays for the comparison of `value` with `schema`.
    pub(super) fn visit(&mut self, schema: &Value, value: &Value, depth: u32) -> Result<(), Unusable> {
        let Value::Object(keywords) = schema else { return self.spend(1) };
        if depth == DEPTH {
            return Err(Unusable::TooCostly);
        }
        for (keyword, operand) in keywords {
            self.spend(1)?;
            self.keyword(keywords, keyword, operand, value, depth + 1)?;
        }
        // To know what has been evaluated, a validator asks all that stands beside once more.
        if keywords.keys().any(|keyword| keyword.starts_with("unevaluated")) {
            for (keyword, operand) in keywords {
                self.beside(keyword, operand, value, depth + 1)?;
            }
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        keywords: &Map<String, Value>,
        keyword: &str,
        operand: &Value,
        value: &Value,
        depth: u32,
    ) -> Result<(), Unusable> {
        match (keyword, value) {
            ("enum" | "const", _) => self.spend(weight(operand)),
            ("pattern", Value::String(text)) => self.pattern(operand.as_str().unwrap_or_default(), text),
            ("uniqueItems", Value::Array(_)) => self.spend(weight(value)),
            ("required", Value::Object(_)) => self.spend(operand.as_array().map_or(0, Vec::len) as u64),
            (_, Value::Object(members)) => self.members(keywords, keyword, operand, members, depth),
            (_, Value::Array(items)) => self.items(keyword, operand, items, depth),
            _ => Ok(()),
        }?;
        self.beside(keyword, operand, value, depth)
    }

    /// Keywords that apply other schemas to the same value.
    fn beside(&mut self, keyword: &str, operand: &Value, value: &Value, depth: u32) -> Result<(), Unusable> {
        match (keyword, operand) {
            ("$ref", Value::String(reference)) => {
                let target = target(self.root, self.anchors, reference).ok_or(Unusable::TooCostly)?;
                self.visit(target, value, depth)
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                schemas.iter().try_for_each(|schema| self.visit(schema, value, depth))
            }
            ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                schemas.values().try_for_each(|schema| self.visit(schema, value, depth))
            }
            ("not" | "if" | "then" | "else", schema) => self.visit(schema, value, depth),
            _ => Ok(()),
        }
    }

    fn members(
        &mut self,
        keywords: &Map<String, Value>,
        keyword: &str,
        operand: &Value,
        members: &Map<String, Value>,
        depth: u32,
    ) -> Result<(), Unusable> {
        match (keyword, operand) {
            ("properties", Value::Object(schemas)) => {
                self.spend(schemas.len().min(members.len()) as u64)?;
                let named = schemas.iter().filter_map(|(name, schema)| Some((schema, members.get(name)?)));
                named.into_iter().try_for_each(|(schema, member)| self.visit(schema, member, depth))
            }
            ("patternProperties", Value::Object(schemas)) => {
                for (pattern, schema) in schemas {
                    for (name, member) in members {
                        self.pattern(pattern, name)?;
                        self.visit(schema, member, depth)?;
                    }
                }
                Ok(())
            }
            ("additionalProperties" | "unevaluatedProperties", schema) => {
                let named = keywords.get("properties").and_then(Value::as_object);
                let others = members.iter().filter(|(name, _)| named.is_none_or(|named| !named.contains_key(*name)));
                others.into_iter().try_for_each(|(_, member)| self.visit(schema, member, depth))
            }
            ("propertyNames", schema) => {
                members.keys().try_for_each(|name| self.visit(schema, &Value::String(name.clone()), depth))
            }
            _ => Ok(()),
        }
    }

    fn items(&mut self, keyword: &str, operand: &Value, items: &[Value], depth: u32) -> Result<(), Unusable> {
        match (keyword, operand) {
            ("items" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter().zip(items).try_for_each(|(schema, item)| self.visit(schema, item, depth))
            }
            ("items" | "additionalItems" | "unevaluatedItems" | "contains", schema) => {
                items.iter().try_for_each(|item| self.visit(schema, item, depth))
            }
            _ => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &str, text: &str) -> Result<(), Unusable> {
        self.patterns.pay(pattern, text, |steps| self.spend(steps))
    }

    fn spend(&mut self, steps: u64) -> Result<(), Unusable> {
        self.left = self.left.checked_sub(steps).ok_or(Unusable::TooCostly)?;
        Ok(())
    }
}

/// What a reference within the schema leads to.
fn target<'a>(root: &'a Value, anchors: &BTreeMap<String, String>, reference: &str) -> Option<&'a Value> {
    root.pointer(&pointer(anchors, reference)?)
}

/// Where a reference within the schema leads to.
pub(super) fn pointer(anchors: &BTreeMap<String, String>, reference: &str) -> Option<String> {
    let fragment = percent_encoding::percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
    if fragment.is_empty() || fragment.starts_with('/') {
        return Some(fragment.into_owned());
    }
    anchors.get(&*fragment).cloned()
}

/// How much there is to compare in a value.
fn weight(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(weight).sum::<u64>(),
        Value::Object(members) => 1 + members.values().map(|member| 1 + weight(member)).sum::<u64>(),
        Value::String(text) => 1 + text.len() as u64 / 64,
        _ => 1,
    }
}

/// Schemas that `unevaluated…` may have to ask.
const EXPANDED: u32 = 300;

/// Bounds the work of making a schema with `unevaluated…` ready. For each of these keywords the validator copies all schemas whose
/// word counts, on the stack and as often as references lead to them.
pub(super) fn expand(root: &Value, anchors: &BTreeMap<String, String>) -> Result<(), Unusable> {
    let mut expansion = Expansion { root, anchors, way: Vec::new(), left: EXPANDED };
    expansion.follow(root).ok_or(Unusable::TooLarge("one in which `unevaluated…` concerns more than 300 others"))
}

struct Expansion<'a> {
    root: &'a Value,
    anchors: &'a BTreeMap<String, String>,
    /// The references that led here. One that leads back is not followed.
    way: Vec<&'a str>,
    left: u32,
}

impl<'a> Expansion<'a> {
    fn follow(&mut self, value: &'a Value) -> Option<()> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.follow(item)),
            Value::Object(members) => {
                self.left = self.left.checked_sub(1)?;
                members.iter().try_for_each(|(keyword, operand)| match operand {
                    Value::String(reference) if keyword == "$ref" => self.reference(reference),
                    _ => self.follow(operand),
                })
            }
            _ => Some(()),
        }
    }

    fn reference(&mut self, reference: &'a str) -> Option<()> {
        let Some(target) = target(self.root, self.anchors, reference) else { return Some(()) };
        if self.way.contains(&reference) {
            return Some(());
        }
        self.way.push(reference);
        self.follow(target)?;
        self.way.pop();
        Some(())
    }
}
