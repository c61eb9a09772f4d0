//! What the server has, as `fixture.json` says; its TypeScript sibling reads the same file.

use std::collections::BTreeMap;

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};

/// Requests to the client by name, asked together.
pub(crate) type Round = BTreeMap<String, Value>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fixture {
    pub(crate) capabilities: Value,
    pub(crate) tools: Vec<ToolSpec>,
    pub(crate) resources: Vec<Value>,
    pub(crate) resource_templates: Vec<Value>,
    pub(crate) prompts: Vec<PromptSpec>,
    png: String,
    wav: String,
}

#[derive(Clone, Deserialize)]
pub(crate) struct ToolSpec {
    #[serde(flatten)]
    pub(crate) shown: JsonObject,
    pub(crate) says: Value,
    /// The answer is an error of the tool.
    #[serde(default)]
    pub(crate) fails: bool,
    /// The task ends in an error of the protocol.
    #[serde(default)]
    pub(crate) crashes: bool,
    #[serde(default)]
    pub(crate) logs: Vec<String>,
    /// Of a hundred.
    #[serde(default)]
    pub(crate) progress: Vec<f64>,
    /// The server closes the stream of the call, and is to be asked for the rest.
    #[serde(default)]
    pub(crate) hangs_up: bool,
    pub(crate) changes: Option<Changed>,
    #[serde(flatten)]
    pub(crate) questions: Questions,
    pub(crate) task: Option<TaskUse>,
    #[serde(default)]
    pub(crate) seconds: f64,
    /// What the task asks while it runs, all at once.
    #[serde(default)]
    pub(crate) task_asks: Round,
}

/// What is to be asked of the client before there is an answer.
#[derive(Clone, Deserialize)]
pub(crate) struct Questions {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) asks: Vec<Round>,
    /// Give the client a state, and take no other one back.
    #[serde(default)]
    pub(crate) remembers: bool,
    /// Leave out what the client did not declare, rather than refuse.
    #[serde(default)]
    pub(crate) only_declared: bool,
}

#[derive(Deserialize)]
pub(crate) struct PromptSpec {
    #[serde(flatten)]
    pub(crate) shown: JsonObject,
    pub(crate) messages: Value,
    #[serde(flatten)]
    pub(crate) questions: Questions,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Changed {
    Tools,
    Prompts,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskUse {
    Optional,
    Required,
}

impl Fixture {
    pub(crate) fn read() -> serde_json::Result<Self> {
        serde_json::from_str(include_str!("../fixture.json"))
    }

    /// What the texts of the fixture may name, besides what the client said.
    pub(crate) fn known(&self, arguments: Option<JsonObject>) -> JsonObject {
        let known =
            json!({ "fixture": { "png": self.png, "wav": self.wav }, "arguments": arguments.unwrap_or_default() });
        known.as_object().cloned().unwrap_or_default()
    }
}

/// `template` with every `{/pointer}` in its texts replaced by what `known` has there: a text as it is, else its JSON.
pub(crate) fn fill(template: &Value, known: &JsonObject) -> Value {
    match template {
        Value::String(text) => Value::String(fill_text(text, known)),
        Value::Array(items) => items.iter().map(|item| fill(item, known)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), fill(value, known))).collect(),
        other => other.clone(),
    }
}

fn fill_text(text: &str, known: &JsonObject) -> String {
    let known = Value::Object(known.clone());
    let mut parts = text.split("{/");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (pointer, rest) = part.split_once('}').unwrap_or((part, ""));
        match known.pointer(&format!("/{pointer}")) {
            Some(Value::String(text)) => filled += text,
            Some(value) => filled += &value.to_string(),
            None => filled += "nothing",
        }
        filled += rest;
    }
    filled
}
