//! What people write.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

/// What is compared with the tool's own schemas, and what follows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ArgumentValidationOptions {
    /// A call's arguments, which `inputSchema` describes.
    pub arguments: OnMisfit,
    /// A call's result, which `outputSchema` describes if the tool has one.
    pub results: OnMisfit,
    /// Tools that are not looked at, by their exact names.
    pub except_tools: BTreeSet<String>,
    /// How much work one comparison may be.
    pub limits: ValidationLimits,
}

impl Default for ArgumentValidationOptions {
    fn default() -> Self {
        let (except_tools, limits) = (BTreeSet::new(), ValidationLimits::default());
        Self { arguments: OnMisfit::Block, results: OnMisfit::Warn, except_tools, limits }
    }
}

/// What follows where something does not fit its schema, or cannot be compared with it.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OnMisfit {
    /// It is not compared.
    Off,
    /// It passes; the log and the metrics say so.
    Warn,
    /// It does not pass.
    Block,
}

/// How much work one comparison may be. What exceeds a limit cannot be compared.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ValidationLimits {
    /// The longest schema, in bytes.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub schema_bytes: usize,
    /// How deep a schema may be nested.
    #[schemars(range(min = 1, max = 100))]
    pub schema_depth: usize,
    /// The longest arguments or structured result, in bytes.
    #[schemars(range(min = 2, max = 16_777_216))]
    pub value_bytes: usize,
    /// How many keywords of a schema may be applied, each counted as often as it is. A `pattern` counts as many times as its text
    /// has bytes, and more if it is long.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub steps: u32,
    /// How many schemas of up to 4 KiB are kept ready; a longer one takes the place of several.
    #[schemars(range(min = 1, max = 100_000))]
    pub schemas: u32,
}

impl Default for ValidationLimits {
    fn default() -> Self {
        Self { schema_bytes: 64 << 10, schema_depth: 64, value_bytes: 1 << 20, steps: 200_000, schemas: 1_000 }
    }
}
