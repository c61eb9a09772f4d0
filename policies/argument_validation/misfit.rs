//! Where a value does not fit its schema, in words. What is in the value is never repeated.

use std::fmt;

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind as Kind};
use serde_json::Value;

/// Places that are named, and characters of one text.
const PLACES: usize = 5;
const LONGEST: usize = 200;

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// A JSON pointer.
    pub(super) at: String,
    /// What was expected there.
    pub(super) expected: String,
}

/// The first few places where `value` does not fit.
pub(super) fn misfits(validator: &Validator, value: &Value) -> Vec<Misfit> {
    validator.iter_errors(value).take(PLACES).map(|error| Misfit::of(&error)).collect()
}

impl Misfit {
    fn of(error: &ValidationError<'_>) -> Self {
        let expected = match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => alternatives(context),
            Kind::PropertyNames { error } => format!("of the name of a member: {}", error.masked()),
            _ => error.masked().to_string(),
        };
        Self { at: clipped(error.instance_path().as_str()), expected: clipped(&expected) }
    }
}

/// What each alternative misses first.
fn alternatives(context: &[Vec<ValidationError<'static>>]) -> String {
    let first = |branch: &Vec<ValidationError<'static>>| branch.first().map(|error| error.masked().to_string());
    let mut missed: Vec<_> = context.iter().take(PLACES).filter_map(first).collect();
    missed.dedup();
    format!("value fits none of {} alternatives: {}", context.len(), missed.join("; "))
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "at the top" } else { &self.at };
        write!(f, "{at}: {}", self.expected)
    }
}

/// Text for people: no control characters, and not endless.
pub(super) fn clipped(text: &str) -> String {
    let mut clipped: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        clipped.push('…');
    }
    clipped
}
