//! What people write.

use schemars::JsonSchema;
use serde::Deserialize;

/// What is looked for, and what happens where it is found.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SecretGuardOptions {
    /// What happens to a message of the client in which something is found. What has left cannot be called back, and with a
    /// part masked it would be another call than was meant, so it is refused unless another action is chosen.
    pub arguments: Action,
    /// What happens to an answer in which something is found, and to everything else that the upstream sends. The call has been
    /// made, and mostly its result is of use without the secret, so it is masked unless another action is chosen.
    pub results: Action,
    /// What is looked for.
    pub detect: Vec<Kind>,
    /// Patterns of your own, for both directions.
    #[schemars(length(max = 100))]
    pub patterns: Vec<OwnPattern>,
    /// What may pass: names of patterns, or what certain finds look like.
    #[schemars(length(max = 100))]
    pub allow: Vec<Allowed>,
}

impl Default for SecretGuardOptions {
    fn default() -> Self {
        Self {
            arguments: Action::Block,
            results: Action::Mask,
            detect: vec![Kind::Tokens, Kind::Keys],
            patterns: Vec::new(),
            allow: Vec::new(),
        }
    }
}

/// What happens where something is found.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nobody looks.
    Off,
    /// It passes, and is logged and counted.
    Log,
    /// The secret is replaced by the name of its pattern.
    Mask,
    /// The request is refused, or an error comes in the place of the answer.
    Block,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Tokens of people and programs, such as GitHub's and Slack's, and JSON Web Tokens.
    Tokens,
    /// API keys, client secrets, private keys, and passwords in addresses of databases.
    Keys,
    /// E-mail addresses, phone numbers, payment cards, bank accounts and social security numbers.
    PersonalData,
}

/// A pattern of your own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnPattern {
    /// What stands in the place of what it finds, in refusals, logs and metrics: lower-case letters, digits and hyphens.
    #[schemars(length(max = 64))]
    pub name: String,
    /// A regular expression (syntax of Rust's `regex`, without look-around). A group named `secret` marks the part that is
    /// secret.
    #[schemars(length(max = 1000))]
    pub pattern: String,
}

/// Something that may pass.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Allowed {
    /// All that the pattern of this name finds.
    Named(String),
    /// Finds that look like this.
    Like(Like),
}

/// What certain finds look like.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Like {
    /// A regular expression that fits the whole of what was found.
    #[schemars(length(max = 1000))]
    pub matches: String,
}
