//! What people write.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

/// Which definitions of tools are good, and what follows where one is not.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ToolPinningOptions {
    /// Where the good definitions come from.
    pub baseline: Baseline,
    /// What follows where a tool is not what it was.
    pub on_change: OnDifference,
    /// What follows where a tool has no pin.
    pub on_new: OnDifference,
    /// What follows where something in a definition is suspicious: characters that nobody sees, and texts that are too long.
    pub on_flag: OnDifference,
    /// Tools that are not looked at, by their exact names.
    pub except_tools: BTreeSet<String>,
    /// Members of a definition's `_meta` that do not count, by their exact names: those that the upstream writes anew each time.
    pub ignore_meta: BTreeSet<String>,
    /// How large a definition may be.
    pub limits: PinningLimits,
}

impl Default for ToolPinningOptions {
    fn default() -> Self {
        Self {
            baseline: Baseline::FirstSeen,
            on_change: OnDifference::Hold,
            on_new: OnDifference::Hold,
            on_flag: OnDifference::Hold,
            except_tools: BTreeSet::new(),
            ignore_meta: BTreeSet::new(),
            limits: PinningLimits::default(),
        }
    }
}

/// Where the good definitions come from.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Baseline {
    /// The first list of the upstream holds them. Tools that come later are new.
    FirstSeen,
    /// Somebody has approved each of them.
    Approved,
}

/// What follows where a definition is not a good one.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OnDifference {
    /// It passes; the log and the metrics say so.
    Log,
    /// The tool is neither listed nor called until somebody has approved it.
    Hold,
    /// The tool is neither listed nor called, and nobody can approve it.
    Block,
}

/// How large a definition may be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PinningLimits {
    /// The longest text in a definition, such as its description, in characters.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub text_length: usize,
    /// The longest definition that can be pinned, in bytes. A longer one is never listed nor called.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub definition_bytes: usize,
}

impl Default for PinningLimits {
    fn default() -> Self {
        Self { text_length: 8_192, definition_bytes: 64 << 10 }
    }
}
