//! The tools: one list, each tool declared once beside its code.

mod count;
mod echo;
mod look;
mod whoami;
mod write;

use axum::body::Body;
use http::Response;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    call::Call,
    fault::{Fault, clip},
    notebook::Notebook,
    visitor::Visitor,
};

/// Everything this server can do, in the order in which it is listed.
const TOOLS: [&Tool; 8] = [
    &look::LIST_NOTES,
    &look::READ_NOTE,
    &look::SEARCH_NOTES,
    &write::WRITE_NOTE,
    &write::DELETE_NOTE,
    &write::DELETE_ALL_NOTES,
    &count::COUNT_SLOWLY,
    &echo::ECHO,
];

/// The declaration of a tool: what is listed, and what runs.
struct Tool {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    effect: Effect,
    /// The `properties` and `required` members of the input schema.
    input: fn() -> Value,
    /// The same of the output schema, if the tool has one.
    output: Option<fn() -> Value>,
    run: Run,
}

/// What a tool does to the notebook, from which its annotations follow. No tool reaches beyond it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    /// May replace what was there; doing it twice may do more than doing it once.
    Writes,
    /// Destroys; the second time there is nothing left to destroy.
    Deletes,
}

/// How a tool runs.
enum Run {
    AtOnce(fn(&Notebook, Arguments) -> Outcome),
    /// Takes its time and reports progress.
    CountSlowly,
    WhoAmI,
}

/// What a tool says, or what the model should mend.
type Outcome = Result<Said, Mishap>;

/// What a tool says.
struct Said {
    text: String,
    structured: Option<Value>,
}

/// A fault that the model can mend: it becomes a result with `isError`, not a JSON-RPC error
/// (2025-11-25 `server/tools.mdx`, "Error Handling").
struct Mishap(String);

/// The `arguments` of a call.
struct Arguments(Map<String, Value>);

impl Arguments {
    fn parse<T: DeserializeOwned>(self) -> Result<T, Mishap> {
        T::deserialize(self.0).map_err(|error| Mishap(format!("The arguments do not fit: {error}.")))
    }
}

/// The arguments of a tool that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

impl Said {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), structured: None }
    }

    /// Structured content, and the same as text for clients that know no structure.
    fn structured(value: Value) -> Self {
        Self { text: value.to_string(), structured: Some(value) }
    }
}

/// The tools as `tools/list` shows them.
pub(super) fn list(visitor: Option<&Visitor>) -> Vec<Value> {
    all(visitor).map(Tool::describe).collect()
}

/// The tools there are for this visitor: one who is known may ask who that is.
fn all(visitor: Option<&Visitor>) -> impl Iterator<Item = &'static Tool> + use<> {
    TOOLS.into_iter().chain(visitor.map(|_| &whoami::WHOAMI))
}

#[derive(Deserialize)]
struct CallParams {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// Calls a tool.
pub(super) async fn call(call: Call) -> Result<Response<Body>, Fault> {
    let CallParams { name, arguments } = call.params.parse()?;
    let visitor = call.visitor.as_deref();
    let tool = all(visitor)
        .find(|tool| tool.name == name)
        .ok_or_else(|| Fault::invalid_params(format_args!("unknown tool: {}", clip(&name))))?;
    if tool.effect != Effect::Reads && visitor.is_some_and(|visitor| !visitor.may_write) {
        return Err(Fault::insufficient_scope());
    }
    let arguments = Arguments(arguments);
    match (&tool.run, visitor) {
        (Run::AtOnce(run), _) => Ok(call.respond(result(run(&call.notebook, arguments)))),
        (Run::CountSlowly, _) => Ok(count::run(call, arguments).await),
        (Run::WhoAmI, Some(visitor)) => Ok(call.respond(result(whoami::whoami(visitor, arguments)))),
        (Run::WhoAmI, None) => Err(Fault::invalid_params("unknown tool: whoami")),
    }
}

/// A `CallToolResult`.
fn result(outcome: Outcome) -> Value {
    let content = |text: String| json!([{ "type": "text", "text": text }]);
    match outcome {
        Ok(Said { text, structured: None }) => json!({ "content": content(text) }),
        Ok(Said { text, structured }) => {
            json!({ "content": content(text), "structuredContent": structured })
        }
        Err(Mishap(why)) => json!({ "content": content(why), "isError": true }),
    }
}

impl Tool {
    fn describe(&self) -> Value {
        let mut tool = json!({
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": schema((self.input)()),
            "annotations": self.effect.annotations(),
        });
        if let (Some(output), Value::Object(members)) = (self.output, &mut tool) {
            members.insert("outputSchema".to_owned(), schema(output()));
        }
        tool
    }
}

/// Completes a schema: all of ours are closed objects. JSON Schema 2020-12 is MCP's default dialect, named
/// here for clients that came before the default.
fn schema(own: Value) -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
    });
    if let (Value::Object(members), Value::Object(own)) = (&mut schema, own) {
        members.extend(own);
    }
    schema
}

impl Effect {
    fn annotations(self) -> Value {
        json!({
            "readOnlyHint": self == Self::Reads,
            "destructiveHint": self != Self::Reads,
            "idempotentHint": self != Self::Writes,
            "openWorldHint": false,
        })
    }
}
