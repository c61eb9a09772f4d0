//! The JSON Schema of `routes.json`: for editors, and to find every mistake of shape in one go.

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind as Kind};
use portcullis_policies::kit::{
    catalogue::nearest,
    policy::{PolicyKind, Problem},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{
    Pointer,
    file::{RouteOptions, RoutesFile},
};

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

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// Finds mistakes of shape.
pub(super) struct Shape {
    validator: Validator,
    schema: Value,
}

impl Shape {
    /// The shape of a type.
    pub(super) fn of<T: JsonSchema>() -> Self {
        Self::compile(generator().into_root_schema_for::<T>().to_value())
    }

    /// The shape of a policy's options.
    pub(super) fn of_options(kind: &PolicyKind) -> Self {
        let mut generator = generator();
        let schema = kind.schema(&mut generator);
        let mut schema = schema.to_value();
        if let Value::Object(members) = &mut schema {
            members.insert("$defs".into(), Value::Object(generator.take_definitions(true)));
        }
        Self::compile(schema)
    }

    fn compile(schema: Value) -> Self {
        // A schema that we generated compiles; if it ever did not, everything would pass here and serde would refuse.
        let validator = jsonschema::validator_for(&schema)
            .or_else(|_| jsonschema::validator_for(&Value::Bool(true)));
        match validator {
            Ok(validator) => Self { validator, schema },
            Err(error) => unreachable!("`true` is a schema: {error}"),
        }
    }

    /// Every mistake in `value`, which stands at `at`.
    pub(super) fn problems(&self, value: &Value, at: &Pointer) -> Vec<Problem> {
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let mut problems = Vec::new();
        for error in self.validator.iter_errors(value) {
            self.explain(&error, at, &mut problems);
        }
        problems.dedup();
        problems
    }

fn explain(&self, error: &ValidationError<'_>, base: &Pointer, problems: &mut Vec<Problem>) {
    let at = format!("{base}{}", error.instance_path().as_str());
    let found = found(error.instance());
    let problem = match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            let known = self.known_keys(error);
            for key in unexpected {
                problems.push(unknown_key(&at, key, &known));
            }
            return;
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            match likeliest(context, error.instance_path().as_str()) {
                Some(branch) => branch.iter().for_each(|error| self.explain(error, base, problems)),
                None => problems.push(Problem::new(at, format!("{found} does not belong here"))),
            }
            return;
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            Problem::new(at, format!("`{key}` is missing")).hint(format!("add \"{key}\""))
        }
        Kind::Type { .. } => Problem::new(at, format!("expected {}, found {found}", self.expected_type(error))),
        Kind::Enum { options } => {
            let known: Vec<_> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let meant = error.instance().as_str().and_then(|value| nearest(value, known.iter().copied()));
            Problem::new(at, format!("{found} is not one of {}", known.join(", ")))
                .hint(meant.map_or("use one of these".to_owned(), |meant| format!("did you mean {meant:?}?")))
        }
        Kind::Pattern { pattern } => Problem::new(at, format!("{found} does not match {pattern}")),
        _ => Problem::new(at, error.to_string()),
    };
    problems.push(problem);
}

    /// The keys that the schema at the error's place knows.
    fn known_keys(&self, error: &ValidationError<'_>) -> Vec<String> {
        let properties = self.beside(error, "properties").and_then(Value::as_object);
        properties.into_iter().flat_map(|keys| keys.keys().cloned()).filter(|key| !key.starts_with('$')).collect()
    }

    fn expected_type(&self, error: &ValidationError<'_>) -> String {
        let types = match self.beside(error, "type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(name)) => vec![name.as_str()],
            _ => Vec::new(),
        };
        let names: Vec<_> = types.into_iter().filter(|name| *name != "null").map(article).collect();
        names.join(" or ")
    }

    /// Another keyword of the schema that `error` is about.
    fn beside(&self, error: &ValidationError<'_>, keyword: &str) -> Option<&Value> {
        let (place, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(place)?.get(keyword)
    }
}

/// Of several forms, the one that was meant: not one of another JSON type, and with the fewest mistakes in it.
fn likeliest<'a>(context: &'a [Vec<ValidationError<'a>>], here: &str) -> Option<&'a Vec<ValidationError<'a>>> {
    let other_type = |branch: &&Vec<ValidationError<'_>>| {
        branch.iter().any(|error| {
            matches!(error.kind(), Kind::Type { .. } | Kind::Enum { .. } | Kind::Constant { .. })
                && error.instance_path().as_str() == here
        })
    };
    context.iter().filter(|branch| !other_type(branch)).min_by_key(|branch| branch.len())
}

fn unknown_key(at: &str, key: &str, known: &[String]) -> Problem {
    let place = Pointer::root().join(key);
    let problem = Problem::new(format!("{at}{place}"), format!("unknown key {key:?}"));
    match nearest(key, known.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean {near:?}?")),
        None if known.is_empty() => problem.hint("there are no keys here"),
        None => problem.hint(format!("the keys here are {}", known.join(", "))),
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

