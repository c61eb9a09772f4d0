//! What people write.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::audit;

/// What is kept of each request, and what is promised of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuditLogOptions {
    /// What happens where a row cannot be kept.
    pub promise: Promise,
    /// What is kept of the arguments of calls.
    pub arguments: Detail,
    /// What is kept of results.
    pub results: Detail,
    /// Bytes that are kept of one value at most.
    #[schemars(range(min = 64, max = 65_536))]
    pub max_bytes: usize,
}

impl Default for AuditLogOptions {
    fn default() -> Self {
        let (arguments, results) = (Detail::Off, Detail::Off);
        Self { promise: Promise::Counted, arguments, results, max_bytes: 16 << 10 }
    }
}

/// What happens where a row cannot be kept.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Promise {
    /// No row, no call: before the upstream gets a request, the store has a row of it.
    FailClosed,
    /// Calls do not wait. Each row that is lost is counted, and the log says how many are missing where.
    Counted,
}

/// What is kept of a value.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Detail {
    /// Nothing.
    Off,
    /// The SHA-256 of its text, and its length.
    Digest,
    /// The names of its members, and the kinds of its values.
    Redacted,
    /// All of it. Whoever reads the store reads it.
    Full,
}

impl From<Promise> for audit::Promise {
    fn from(promise: Promise) -> Self {
        match promise {
            Promise::FailClosed => Self::FailClosed,
            Promise::Counted => Self::Counted,
        }
    }
}

impl From<Detail> for audit::Detail {
    fn from(detail: Detail) -> Self {
        match detail {
            Detail::Off => Self::Off,
            Detail::Digest => Self::Digest,
            Detail::Redacted => Self::Redacted,
            Detail::Full => Self::Full,
        }
    }
}
