//! JSON with comments, and where everything stands in it.

use std::{ops::Range, sync::Arc};

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{self, ObjectPropName},
    common::Ranged,
    errors::{ParseError, ParseErrorKind},
};
use portcullis_policies::kit::policy::Problem;
use serde_json::{Map, Number, Value};

use super::{Pointer, Secrets, Surroundings, interpolate::interpolate, pointer::steps};

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
            Err(problem) => {
                problems.push(problem);
                Value::Null
            }
        };
        interpolate(&mut value, surroundings, &mut secrets, &mut problems);
        (Self { name: name.into(), text: text.into(), value, secrets }, problems)
    }

    /// Where a pointer's member stands: its key and value together. Places that are not there are as near as it gets.
    pub fn locate(&self, pointer: &str) -> Range<usize> {
        if let Some((start, end)) = pointer.strip_prefix('#').and_then(|range| range.split_once("..")) {
            return start.parse().unwrap_or_default()..end.parse().unwrap_or_default();
        }
        let Ok(root) = syntax_tree(&self.text) else { return 0..0 };
        find(&root, steps(pointer))
    }
}

/// Where the text is not JSON, and what to write instead.
fn syntax_problem(error: &ParseError) -> Problem {
    let hint = match error.kind() {
        ParseErrorKind::ExpectedComma => "add a comma",
        ParseErrorKind::SingleQuotedStringsNotAllowed => "write it in double quotes",
        ParseErrorKind::ExpectedStringObjectProperty => "write the key in double quotes",
        ParseErrorKind::HexadecimalNumbersNotAllowed => "write the number in decimal digits",
        ParseErrorKind::UnexpectedWord => {
            "write text in double quotes; other than text there are numbers, true, false and null"
        }
        ParseErrorKind::UnterminatedObject => "add the closing }",
        ParseErrorKind::UnterminatedArray => "add the closing ]",
        ParseErrorKind::UnterminatedCommentBlock => "add the closing */",
        _ => "the file is JSON; comments and trailing commas are allowed",
    };
    let Range { start, end } = error.range().start..error.range().end;
    let why = error.kind().to_string();
    let why: String = why.chars().take(1).flat_map(char::to_lowercase).chain(why.chars().skip(1)).collect();
    Problem::new(format!("#{start}..{end}"), why).hint(hint)
}

/// A string that runs on over the end of its line: JSON has none, and what follows it is not what its author meant.
fn unclosed_string(text: &str) -> Option<Range<usize>> {
    let mut rest = text;
    while let Some(found) = rest.find(['"', '/']) {
        let start = text.len() - rest.len() + found;
        let after = &text[start + 1..];
        let length = match text.as_bytes()[start] {
            b'"' => match end_of_string(after) {
                Some(length) => length,
                None => return Some(start..start + 1 + after.lines().next().map_or(0, str::len)),
            },
            _ if after.starts_with('/') => after.find('\n').unwrap_or(after.len()),
            _ if after.starts_with('*') => after.find("*/").map_or(after.len(), |end| end + 2),
            _ => 0,
        };
        rest = &after[length..];
    }
    None
}

/// The length of a string without its opening quotes, if it ends on its line.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\n' => return None,
            b'"' if !escaped => return Some(at + 1),
            _ => escaped = byte == b'\\' && !escaped,
        }
    }
    None
}

fn syntax_tree(text: &str) -> Result<ast::Value<'_>, Problem> {
    if let Some(Range { start, end }) = unclosed_string(text) {
        let problem = Problem::new(format!("#{start}..{end}"), "the quotes are not closed on this line");
        return Err(problem.hint("add the closing quotes; a line break inside text is written \\n"));
    }
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
    let parsed = jsonc_parser::parse_to_ast(text, &collect, &options).map_err(|error| syntax_problem(&error))?;
    parsed.value.filter(|root| !matches!(root, ast::Value::NullKeyword(_))).ok_or_else(|| {
        let problem = Problem::new("#0..0", "there is nothing in this file");
        problem.hint("begin with { \"compatibilityDate\": …, \"routes\": { … } }")
    })
}

/// Like `serde_json`, but a key that appears twice is a problem and not a silent choice.
fn to_value(node: &ast::Value<'_>, at: &Pointer, problems: &mut Vec<Problem>) -> Value {
    match node {
        ast::Value::StringLit(text) => Value::String(text.value.clone().into_owned()),
        ast::Value::NumberLit(number) => match serde_json::from_str::<Number>(number.value) {
            Ok(number) => Value::Number(number),
            Err(_) => {
                problems.push(Problem::new(at.clone(), format!("{} is a larger number than there are", number.value)));
                Value::Null
            }
        },
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
                    let name = property.name.range();
                    let here = format!("#{}..{}", name.start, name.end);
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
