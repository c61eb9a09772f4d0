//! What is looked at before a schema is made ready.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    budget::{expand, pointer},
    misfit::clipped,
    pattern::size,
    schema::Unusable,
};

/// How large all regular expressions of one schema may be together.
const PATTERNS: u64 = 20_000;

/// What was found on the way.
pub(super) struct Looked {
    /// Where the names stand that references may use.
    pub(super) anchors: BTreeMap<String, String>,
    /// Regular expressions.
    pub(super) patterns: BTreeSet<String>,
}

/// Looks through `schema`, which may be nested so deep.
pub(super) fn look_through(schema: &Value, depth: usize) -> Result<Looked, Unusable> {
    let mut look = Look { depth, ..Look::default() };
    look.schema(schema, "")?;
    look.references()?;
    if look.unevaluated {
        expand(schema, &look.anchors)?;
    }
    Ok(Looked { anchors: look.anchors, patterns: look.patterns })
}

#[derive(Default)]
struct Look {
    depth: usize,
    patterns: BTreeSet<String>,
    /// How large they are together.
    size: u64,
    unevaluated: bool,
    /// Where there are schemas, and what is referred to.
    places: BTreeSet<String>,
    references: Vec<String>,
    anchors: BTreeMap<String, String>,
}

impl Look {
    fn schema(&mut self, schema: &Value, at: &str) -> Result<(), Unusable> {
        self.places.insert(at.to_owned());
        let Value::Object(keywords) = schema else { return Ok(()) };
        if at.matches('/').count() >= self.depth {
            return Err(Unusable::TooLarge("deeper than `limits.schemaDepth`"));
        }
        for (keyword, operand) in keywords {
            self.keyword(keyword, operand, at)?;
        }
        Ok(())
    }

    fn keyword(&mut self, keyword: &str, operand: &Value, at: &str) -> Result<(), Unusable> {
        self.unevaluated |= keyword.starts_with("unevaluated");
        match (keyword, operand) {
            ("$ref", Value::String(reference)) if !reference.starts_with('#') => {
                Err(Unusable::External(clipped(reference)))
            }
            ("$ref", Value::String(reference)) => {
                self.references.push(reference.clone());
                Ok(())
            }
            ("$dynamicRef" | "$recursiveRef", _) => Err(Unusable::Unsupported("dynamic references")),
            ("$id" | "id", Value::String(_)) if !at.is_empty() => {
                Err(Unusable::Unsupported("parts with a name of their own (`$id`)"))
            }
            ("$anchor" | "$dynamicAnchor", Value::String(name)) => {
                match self.anchors.insert(name.clone(), at.to_owned()) {
                    Some(_) => Err(Unusable::Broken(format!("at {:?}: the name stands there twice", clipped(name)))),
                    None => Ok(()),
                }
            }
            ("enum" | "const" | "default" | "examples" | "required", _) => Ok(()),
            (extension, _) if extension.starts_with("x-") => Ok(()),
            ("pattern", Value::String(pattern)) => self.pattern(pattern),
            ("patternProperties", Value::Object(schemas)) => {
                schemas.keys().try_for_each(|pattern| self.pattern(pattern))?;
                self.named(operand, &below(at, keyword))
            }
            ("properties" | "$defs" | "definitions" | "dependentSchemas" | "dependencies", _) => {
                self.named(operand, &below(at, keyword))
            }
            (_, Value::Array(schemas)) => {
                let at = below(at, keyword);
                let mut schemas = schemas.iter().enumerate();
                schemas.try_for_each(|(index, schema)| self.schema(schema, &below(&at, &index.to_string())))
            }
            (_, schema) => self.schema(schema, &below(at, keyword)),
        }
    }

    /// Schemas by names that are no keywords.
    fn named(&mut self, schemas: &Value, at: &str) -> Result<(), Unusable> {
        let mut schemas = schemas.as_object().into_iter().flatten();
        schemas.try_for_each(|(name, schema)| self.schema(schema, &below(at, name)))
    }

    /// What has not been looked through must not be referred to, such as examples that are schemas.
    fn references(&self) -> Result<(), Unusable> {
        let leads = |reference: &String| pointer(&self.anchors, reference).is_some_and(|at| self.places.contains(&at));
        match self.references.iter().find(|reference| !leads(reference)) {
            Some(reference) => {
                Err(Unusable::Broken(format!("at {:?}, which it refers to: there is no schema", clipped(reference))))
            }
            None => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), Unusable> {
        self.patterns.insert(pattern.to_owned());
        self.size = self.size.saturating_add(size(pattern));
        if self.size > PATTERNS { Err(Unusable::TooLarge("one with too large patterns")) } else { Ok(()) }
    }
}

fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}
