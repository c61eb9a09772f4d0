//! A tool's schema, made ready when it is first used.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::{
    backtrack::{Backtracking, CACHE_BYTES, LAST_TRY, PROGRAM_BYTES},
    budget::Walk,
    look::{Looked, look_through},
    misfit::{Misfit, clipped, misfits},
    options::ValidationLimits,
};

/// What may be copied to say where a value does not fit: alternatives that fail keep a copy of the value each.
const EXPLAINABLE: u64 = 32 << 20;

/// One schema.
pub(super) struct Schema {
    source: Value,
    bytes: usize,
    ready: OnceLock<Result<Ready, Unusable>>,
}

struct Ready {
    validator: Validator,
    anchors: BTreeMap<String, String>,
    patterns: Backtracking,
}

/// Why a value cannot be compared with a schema, or does not fit.
#[derive(Debug)]
pub(super) enum Fault {
    /// It cannot be compared.
    Uncomparable(Unusable),
    /// It does not fit; a handful of places, none where there is too much to tell.
    Misfits(Vec<Misfit>),
}

/// Why nothing can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The upstream does not name the tool, or could not be asked.
    Unknown,
    /// It had to make room for others.
    NoRoom,
    /// It is not known which tool it is about.
    Forgotten,
    /// A tool without an `inputSchema`.
    Missing,
    /// It is too long, too deep, or has too many patterns.
    TooLarge(&'static str),
    /// It leads out of the schema. Nothing is ever fetched.
    External(String),
    /// It uses what is not followed here.
    Unsupported(&'static str),
    /// It is no schema.
    Broken(String),
    /// The value is longer than the limit, or no JSON that can be read.
    Value(&'static str),
    /// To compare this value with it is too much work.
    TooCostly,
    /// Whether this pattern fits a text of the value does not turn out.
    Undecided(String),
}

impl Schema {
    /// `bytes` is its length as text.
    pub(super) fn new(source: Value, bytes: usize) -> Self {
        Self { source, bytes, ready: OnceLock::new() }
    }

    /// Its length as text.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Can values be compared with it?
    pub(super) fn usable(&self, limits: &ValidationLimits) -> Result<(), Unusable> {
        self.ready(limits).map(drop)
    }

    /// Compares `value`, which is of this length as text.
    pub(super) fn compare(&self, value: &Value, bytes: usize, limits: &ValidationLimits) -> Result<(), Fault> {
        let Ready { validator, anchors, patterns } = self.ready(limits).map_err(Fault::Uncomparable)?;
        let budget = u64::from(limits.steps);
        let mut walk = Walk { root: &self.source, anchors, patterns, left: budget };
        walk.visit(&self.source, value, 0).map_err(Fault::Uncomparable)?;
        if validator.is_valid(value) {
            return Ok(());
        }
        let copied = (budget - walk.left).saturating_mul(bytes as u64);
        Err(Fault::Misfits(if copied > EXPLAINABLE { Vec::new() } else { misfits(validator, value) }))
    }

    fn ready(&self, limits: &ValidationLimits) -> Result<&Ready, Unusable> {
        self.ready.get_or_init(|| self.make_ready(limits)).as_ref().map_err(Clone::clone)
    }

    fn make_ready(&self, limits: &ValidationLimits) -> Result<Ready, Unusable> {
        if self.bytes > limits.schema_bytes {
            return Err(Unusable::TooLarge("longer than `limits.schemaBytes`"));
        }
        let Looked { anchors, patterns } = look_through(&self.source, limits.schema_depth)?;
        let patterns = Backtracking::of(patterns);
        let options = jsonschema::options().offline().should_validate_formats(false);
        let options = if patterns.is_needed() {
            let engine = PatternOptions::fancy_regex().backtrack_limit(LAST_TRY);
            options.with_pattern_options(engine.size_limit(PROGRAM_BYTES).dfa_size_limit(CACHE_BYTES))
        } else {
            let engine = PatternOptions::regex();
            options.with_pattern_options(engine.size_limit(PROGRAM_BYTES).dfa_size_limit(CACHE_BYTES))
        };
        let validator = options.build(&self.source).map_err(|error| Unusable::Broken(broken(&error)))?;
        Ok(Ready { validator, anchors, patterns })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({} bytes)", self.bytes)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the upstream says nothing of such a tool, or could not be asked"),
            Self::NoRoom => f.write_str("more schemas are in use than `limits.schemas` has room for"),
            Self::Forgotten => f.write_str("it is not known any more which tool the task began with"),
            Self::Missing => f.write_str("the tool has none"),
            Self::TooLarge(how) => write!(f, "it is {how}"),
            Self::External(reference) => write!(f, "it refers to {reference:?}, and nothing outside of it is fetched"),
            Self::Unsupported(what) => write!(f, "it uses {what}, which is not followed here"),
            Self::Broken(why) => write!(f, "it cannot be used {why}"),
            Self::Value(why) => f.write_str(why),
            Self::TooCostly => f.write_str("to compare this value with it takes more than `limits.steps`"),
            Self::Undecided(pattern) => {
                write!(f, "its pattern {pattern:?} is tried in too many ways on a text of this value")
            }
        }
    }
}

/// Why it is no schema, or none that can be used here.
fn broken(error: &ValidationError<'_>) -> String {
    let at = clipped(error.schema_path().as_str());
    match error.kind() {
        Kind::Format { format } if format == "regex" => {
            format!("at {at:?}: no engine here reads the pattern, or it becomes too large")
        }
        _ => clipped(&format!("at {at:?}: {}", error.masked())),
    }
}
