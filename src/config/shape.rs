//! Mistakes of shape: every one of them, in words for people.

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind as Kind};
use portcullis_policies::kit::{
    catalogue::nearest,
    policy::{PolicyKind, Problem},
};
use schemars::JsonSchema;
use serde_json::Value;

use super::{
    Pointer,
    schema::{bound_integers, generator},
};

/// The shape that a part of the document must have.
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

    fn compile(mut schema: Value) -> Self {
        bound_integers(&mut schema);
        // A schema that we generated compiles; if it ever did not, everything would pass here and serde would refuse.
        let validator = jsonschema::validator_for(&schema).or_else(|_| jsonschema::validator_for(&Value::Bool(true)));
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
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                let known = self.known_keys(error);
                problems.extend(unexpected.iter().map(|key| unknown_key(&at, key, &known)));
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                match likeliest(context, error.instance_path().as_str()) {
                    Some(branch) => branch.iter().for_each(|error| self.explain(error, base, problems)),
                    None => problems.push(self.none_of(context, error, at)),
                }
            }
            Kind::Required { property } => problems.push(self.missing(error, property, at)),
            Kind::Type { .. } => problems.push(self.wrong_type(error, &self.expected_types(error), at)),
            Kind::Enum { options } => {
                let known: Vec<_> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                problems.push(not_one_of(error.instance(), &known, at));
            }
            Kind::Pattern { .. } => {
                let problem =
                    Problem::new(at, format!("{} has another form than it must have", found(error.instance())));
                problems.push(self.with_description(problem, error));
            }
            _ => problems.push(self.with_description(Problem::new(at, error.to_string()), error)),
        }
    }

    /// A value that fits none of several forms.
    fn none_of(&self, context: &[Vec<ValidationError<'_>>], error: &ValidationError<'_>, at: String) -> Problem {
        let mut forms = Forms::default();
        self.collect_forms(context, error.instance_path().as_str(), &mut forms);
        let literals: Vec<_> = forms.literals.iter().map(String::as_str).collect();
        if error.instance().is_string() && !literals.is_empty() {
            return not_one_of(error.instance(), &literals, at);
        }
        if !literals.is_empty() {
            forms.add_type("string");
        }
        self.wrong_type(error, &forms.types, at)
    }

    fn collect_forms(&self, context: &[Vec<ValidationError<'_>>], here: &str, forms: &mut Forms) {
        for error in context.iter().flatten().filter(|error| error.instance_path().as_str() == here) {
            match error.kind() {
                Kind::Constant { expected_value } => {
                    forms.literals.extend(expected_value.as_str().map(ToOwned::to_owned));
                }
                Kind::Enum { options } => {
                    let words = options.as_array().into_iter().flatten().filter_map(Value::as_str);
                    forms.literals.extend(words.map(ToOwned::to_owned));
                }
                Kind::Type { .. } => self.expected_types(error).iter().for_each(|name| forms.add_type(name)),
                Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.collect_forms(context, here, forms),
                _ => {}
            }
        }
    }

    fn missing(&self, error: &ValidationError<'_>, property: &Value, at: String) -> Problem {
        let key = property.as_str().unwrap_or_default();
        let description = self.beside(error, "properties").and_then(|keys| keys.get(key)?.get("description")?.as_str());
        let meaning = description.map(|text| format!(": {}", first_paragraph(text))).unwrap_or_default();
        Problem::new(at, format!("`{key}` is missing")).hint(format!("add {key:?}{meaning}"))
    }

    fn wrong_type(&self, error: &ValidationError<'_>, expected: &[String], at: String) -> Problem {
        let value = error.instance();
        let names: Vec<_> = expected.iter().map(|name| article(name)).collect();
        let problem = Problem::new(at, format!("expected {}, found {}", names.join(" or "), found(value)));
        match remedy(value, expected) {
            Some(remedy) => problem.hint(remedy),
            None => self.with_description(problem, error),
        }
    }

    /// What belongs here, in the words of the schema.
    fn with_description(&self, problem: Problem, error: &ValidationError<'_>) -> Problem {
        match self.beside(error, "description").and_then(Value::as_str) {
            Some(text) => problem.hint(first_paragraph(text)),
            None => problem,
        }
    }

    /// The keys that the schema at the error's place knows.
    fn known_keys(&self, error: &ValidationError<'_>) -> Vec<String> {
        let properties = self.beside(error, "properties").and_then(Value::as_object);
        properties.into_iter().flat_map(|keys| keys.keys().cloned()).filter(|key| !key.starts_with('$')).collect()
    }

    fn expected_types(&self, error: &ValidationError<'_>) -> Vec<String> {
        let types = match self.beside(error, "type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(name)) => vec![name.as_str()],
            _ => Vec::new(),
        };
        types.into_iter().filter(|name| *name != "null").map(ToOwned::to_owned).collect()
    }

    /// Another keyword of the schema that `error` is about.
    fn beside(&self, error: &ValidationError<'_>, keyword: &str) -> Option<&Value> {
        let (place, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(place)?.get(keyword)
    }
}

/// What would have been right, where there are several forms.
#[derive(Default)]
struct Forms {
    literals: Vec<String>,
    types: Vec<String>,
}

impl Forms {
    fn add_type(&mut self, name: &str) {
        if !self.types.iter().any(|known| known == name) {
            self.types.push(name.to_owned());
        }
    }
}

/// Of several forms, the one that was meant: not one of another JSON type, and with the fewest mistakes in it.
fn likeliest<'a>(context: &'a [Vec<ValidationError<'a>>], here: &str) -> Option<&'a Vec<ValidationError<'a>>> {
    let other_form = |error: &ValidationError<'_>| match error.kind() {
        Kind::Type { .. } | Kind::Enum { .. } | Kind::Constant { .. } => true,
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => likeliest(context, here).is_none(),
        _ => false,
    };
    let other = |branch: &&Vec<ValidationError<'_>>| {
        branch.iter().any(|error| error.instance_path().as_str() == here && other_form(error))
    };
    context.iter().filter(|branch| !other(branch)).min_by_key(|branch| branch.len())
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

fn not_one_of(value: &Value, known: &[&str], at: String) -> Problem {
    let problem = Problem::new(at, format!("{} is not one of {}", found(value), known.join(", ")));
    match value.as_str().and_then(|value| nearest(value, known.iter().copied())) {
        Some(near) => problem.hint(format!("did you mean {near:?}?")),
        None => problem.hint("use one of these"),
    }
}

/// What to write instead, where the right value only looks different.
fn remedy(value: &Value, expected: &[String]) -> Option<String> {
    let expects = |name: &str| expected.iter().any(|expected| expected == name);
    let bare = |text: &str| match serde_json::from_str(text).ok()? {
        Value::Number(number) => (expects("number") || (expects("integer") && number.is_u64())).then_some("number"),
        Value::Bool(_) => expects("boolean").then_some("value"),
        _ => None,
    };
    match value {
        Value::String(text) if let Some(noun) = bare(text) => Some(format!("write the {noun} without quotes")),
        Value::String(text) if expects("array") => Some(format!("write a list: [{text:?}]")),
        Value::Number(_) | Value::Bool(_) if expects("string") && expected.len() == 1 => {
            Some("write it in quotes".to_owned())
        }
        _ => None,
    }
}

fn first_paragraph(text: &str) -> String {
    text.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
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
