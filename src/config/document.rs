//! JSON with comments, and where everything stands in it.

use std::{ops::Range, sync::Arc};

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{self, ObjectPropName},
    common::Ranged,
    errors::ParseError,
};
use portcullis_policies::kit::policy::Problem;
use serde_json::{Map, Number, Value};

use super::{
    Pointer, Secrets, Surroundings,
    interpolate::interpolate,
    pointer::steps,
};

/// A configuration's text, with the value that it means.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file's name, for reports.
    pub name: Arc<str>,
    /// The file's text.
    pub text: Arc<str>,
    /// What it means, after interpolation.
    pub value: Value,
    /// What must not be shown.
    pub secrets: Secrets,
}

impl Document {
    /// Reads a text. The problems are those of the text itself and of its interpolations; where the text is not JSON at
    /// all, the value is null.
    pub fn parse(name: &str, text: &str, surroundings: &Surroundings<'_>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut secrets = Secrets::default();
        let mut value = match syntax_tree(text) {
            Ok(root) => to_value(&root, &Pointer::root(), &mut problems),
            Err(error) => {
                let at = error.range().start;
                problems.push(Problem::new(format!("#{at}"), error.kind().to_string()).hint(SYNTAX_HINT));
                Value::Null
            }
        };
        interpolate(&mut value, surroundings, &mut secrets, &mut problems);
        (Self { name: name.into(), text: text.into(), value, secrets }, problems)
    }

    /// Where a pointer's member stands: its key and value together. Places that are not there are as near as it gets.
    pub fn locate(&self, pointer: &str) -> Range<usize> {
        if let Some(offset) = pointer.strip_prefix('#').and_then(|offset| offset.parse().ok()) {
            return offset..(offset + 1).min(self.text.len());
        }
        let Ok(root) = syntax_tree(&self.text) else { return 0..0 };
        find(&root, steps(pointer))
    }
}

const SYNTAX_HINT: &str = "the file is JSON; comments and trailing commas are allowed";

fn syntax_tree(text: &str) -> Result<ast::Value<'_>, ParseError> {
    let collect = CollectOptions { comments: jsonc_parser::CommentCollectionStrategy::Off, tokens: false };
    let options = ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: true,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = jsonc_parser::parse_to_ast(text, &collect, &options)?;
    Ok(parsed.value.unwrap_or_else(|| {
        ast::Value::NullKeyword(ast::NullKeyword { range: jsonc_parser::common::Range { start: 0, end: 0 } })
    }))
}

/// Like `serde_json`, but a key that appears twice is a problem and not a silent choice.
fn to_value(node: &ast::Value<'_>, at: &Pointer, problems: &mut Vec<Problem>) -> Value {
    match node {
        ast::Value::StringLit(text) => Value::String(text.value.clone().into_owned()),
        ast::Value::NumberLit(number) => serde_json::from_str::<Number>(number.value).map_or(Value::Null, Value::Number),
        ast::Value::BooleanLit(flag) => Value::Bool(flag.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(array) => {
            let items = array.elements.iter().enumerate();
            Value::Array(items.map(|(index, item)| to_value(item, &at.join(index), problems)).collect())
        }
        ast::Value::Object(object) => {
            let mut members = Map::new();
            for property in &object.properties {
                let key = key_of(&property.name);
                let at = at.join(&key);
                if members.contains_key(&key) {
                    let here = format!("#{}", property.name.range().start);
                    problems.push(
                        Problem::new(here, format!("the key {key:?} is here twice")).hint("remove one of the two"),
                    );
                }
                let value = to_value(&property.value, &at, problems);
                members.insert(key, value);
            }
            Value::Object(members)
        }
    }
}

fn key_of(name: &ObjectPropName<'_>) -> String {
    match name {
        ObjectPropName::String(text) => text.value.clone().into_owned(),
        ObjectPropName::Word(word) => word.value.to_owned(),
    }
}

fn find(node: &ast::Value<'_>, mut steps: impl Iterator<Item = String>) -> Range<usize> {
    let here = node.range();
    let Some(step) = steps.next() else { return here.start..here.end };
    match node {
        ast::Value::Object(object) => match object.properties.iter().rfind(|property| key_of(&property.name) == step) {
            Some(property) => {
                let inner = find(&property.value, steps);
                let value = property.value.range();
                let whole = property.range();
                if inner == (value.start..value.end) { whole.start..whole.end } else { inner }
            }
            None => here.start..here.end,
        },
        ast::Value::Array(array) => match step.parse().ok().and_then(|index: usize| array.elements.get(index)) {
            Some(item) => find(item, steps),
            None => here.start..here.end,
        },
        _ => here.start..here.end,
    }
}
