//! What people write.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::expression::Expression;
use crate::kit::{approval::Approver, pattern::Pattern};

/// Named rules, in order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RulesOptions {
    /// From the first to the last: the first that fits and allows or denies decides. So an exception stands above the rule
    /// that it is an exception from.
    pub rules: Vec<Rule>,
    /// What happens to a call that no rule decides.
    #[serde(default)]
    pub default: Default,
}

/// What happens to a call that no rule decides.
#[derive(Clone, Copy, Debug, std::default::Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Default {
    /// It is made.
    Allow,
    /// It is refused.
    #[default]
    Deny,
}

/// One rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// What refusals, logs and metrics call it. Each rule has a name of its own.
    pub name: String,
    /// Which calls it is about: those that fit everything here. Without it, every call.
    #[serde(default, rename = "match")]
    pub fits: Match,
    /// What it does.
    pub action: Action,
    /// Whether it does it, or is only tried out: what it would have done is counted and logged.
    #[serde(default)]
    pub mode: Mode,
    /// For `redact_arguments` and `redact_result`: what is taken out, as JSON pointers (RFC 6901) into the arguments or the
    /// result; `*` stands for every member or item.
    #[serde(default)]
    pub redact: Vec<String>,
    /// For `deny`: what the caller can do instead.
    #[serde(default)]
    pub remedy: Option<String>,
    /// For `require_approval`: who may approve. One of the entries must fit.
    #[serde(default)]
    pub approvers: Vec<Approver>,
    /// For `require_approval`: how long a call may wait to be approved and then made, in seconds. Without it, an hour; at most
    /// a week.
    #[serde(default)]
    pub expires_after_seconds: Option<u32>,
    /// For `require_approval`: how long the answer is held open for a decision, in seconds, before the caller is told to repeat the
    /// call. Without it, 30; at most 300; with 0 the caller is told at once.
    #[serde(default)]
    pub wait_seconds: Option<u32>,
    /// For `require_approval`: may callers who are approvers approve their own calls?
    #[serde(default)]
    pub own_calls: bool,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The call is made.
    Allow,
    /// The call is refused.
    Deny,
    /// The call waits until somebody else approves it, and is made once.
    RequireApproval,
    /// Parts of the arguments do not reach the upstream. The next rules decide.
    RedactArguments,
    /// Parts of the result do not reach the client. The next rules decide.
    RedactResult,
    /// The call is logged with the rule's name. The next rules decide.
    Log,
}

/// Whether a rule acts.
#[derive(Clone, Copy, Debug, std::default::Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does what it says.
    #[default]
    Enforce,
    /// It only says what it would have done.
    Shadow,
}

/// Which calls a rule is about. Everything that is given must fit; of a list, one of its entries.
#[derive(Clone, Debug, std::default::Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// Paths of routes, or patterns.
    pub routes: Option<Vec<Pattern>>,
    /// Upstreams, by the host of their URL (`demo` for the built-in one), or patterns.
    pub upstreams: Option<Vec<Pattern>>,
    /// Names of tools, exact and case-sensitive, or patterns.
    pub tools: Option<Vec<Pattern>>,
    /// What the upstream says about the tool. What it does not say is as the MCP specification has it: a tool writes,
    /// destroys, and reaches the world outside.
    pub annotations: Option<BTreeMap<Annotation, bool>>,
    /// Subjects of callers, or patterns.
    pub users: Option<Vec<Pattern>>,
    /// Verified e-mail addresses of callers, or patterns. Case does not matter.
    pub emails: Option<Vec<Pattern>>,
    /// Groups of the caller.
    pub groups: Option<Vec<Pattern>>,
    /// Roles of the caller.
    pub roles: Option<Vec<Pattern>>,
    /// OAuth clients through which the call comes, or patterns.
    pub clients: Option<Vec<Pattern>>,
    /// JSON pointers (RFC 6901) into the arguments, and what must be there.
    pub arguments: Option<BTreeMap<String, Comparison>>,
    /// When the call is made.
    pub time: Option<Time>,
    /// A CEL expression over `tool`, `route`, `upstream`, `annotations`, `caller` and `arguments`, for what the others
    /// cannot say.
    pub when: Option<String>,
}

/// What MCP lets a server say about a tool (2025-11-25, "`ToolAnnotations`").
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub enum Annotation {
    /// It changes nothing. Not said: false.
    ReadOnlyHint,
    /// It may destroy something. Not said: true.
    DestructiveHint,
    /// To call it twice is as to call it once. Not said: false.
    IdempotentHint,
    /// It reaches the world outside. Not said: true.
    OpenWorldHint,
}

/// What must be at a place in the arguments.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Comparison {
    /// Several comparisons, all of which must hold.
    Tests(Tests),
    /// Exactly this value. Numbers are compared as numbers.
    Equals(Scalar),
}

/// A value that can be compared.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Scalar {
    /// `null`
    Null(()),
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text.
    Text(String),
}

/// Comparisons, all of which must hold.
#[derive(Clone, Debug, std::default::Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tests {
    /// Is there something at all?
    pub exists: Option<bool>,
    /// It is this value.
    #[serde(default, deserialize_with = "also_null")]
    pub equals: Option<Scalar>,
    /// It is not this value.
    #[serde(default, deserialize_with = "also_null")]
    pub not_equals: Option<Scalar>,
    /// It is one of these values.
    pub one_of: Option<Vec<Scalar>>,
    /// It is text that this pattern (`*`, `?`) fits.
    pub matches: Option<String>,
    /// It is a number less than this.
    pub less_than: Option<serde_json::Number>,
    /// It is a number not greater than this.
    pub at_most: Option<serde_json::Number>,
    /// It is a number greater than this.
    pub greater_than: Option<serde_json::Number>,
    /// It is a number not less than this.
    pub at_least: Option<serde_json::Number>,
}

/// `null` is a value to compare with, and not a comparison that was left out.
fn also_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scalar>, D::Error> {
    Scalar::deserialize(deserializer).map(Some)
}

/// When a call is made.
#[derive(Clone, Debug, std::default::Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Time {
    /// Days of the week: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    pub days: Option<Vec<Day>>,
    /// From this time of day on, such as `08:00`. Without it, from midnight.
    pub from: Option<String>,
    /// Before this time of day, such as `18:00`. If it is earlier than `from`, the next day's.
    pub to: Option<String>,
    /// Where this time is, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    pub zone: String,
    /// Not before this moment (RFC 3339).
    pub after: Option<String>,
    /// Before this moment (RFC 3339).
    pub before: Option<String>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

impl Rule {
    /// Do calls wait because of it?
    pub(super) fn holds_calls(&self) -> bool {
        self.action == Action::RequireApproval && self.mode == Mode::Enforce
    }
}

impl Match {
    /// Does it name callers?
    pub(super) fn names_callers(&self) -> bool {
        let lists = [&self.users, &self.emails, &self.groups, &self.roles, &self.clients];
        lists.iter().any(|list| list.is_some())
    }

    /// Does it ask who is calling?
    pub(super) fn needs_caller(&self) -> bool {
        let expression = self.when.as_deref().and_then(|source| Expression::new(source).ok());
        self.names_callers() || expression.is_some_and(|expression| expression.asks_caller())
    }

    /// The lists of names that are given.
    pub(super) fn lists(&self) -> impl Iterator<Item = (&'static str, &[Pattern])> {
        let lists = [
            ("routes", &self.routes),
            ("upstreams", &self.upstreams),
            ("tools", &self.tools),
            ("users", &self.users),
            ("emails", &self.emails),
            ("groups", &self.groups),
            ("roles", &self.roles),
            ("clients", &self.clients),
        ];
        lists.into_iter().filter_map(|(name, list)| Some((name, list.as_deref()?)))
    }
}

/// The value, as JSON.
impl From<&Scalar> for Value {
    fn from(scalar: &Scalar) -> Self {
        match scalar {
            Scalar::Null(()) => Self::Null,
            Scalar::Bool(value) => Self::Bool(*value),
            Scalar::Number(value) => Self::Number(value.clone()),
            Scalar::Text(value) => Self::String(value.clone()),
        }
    }
}
