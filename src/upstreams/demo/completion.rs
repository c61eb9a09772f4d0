//! `completion/complete`: note ids for the resource template, titles as topics for the prompt.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{call::Call, fault::Fault, prompts, resources};

/// The protocol allows at most so many values in one answer (`schema.ts`, `CompleteResult`).
const MAX_VALUES: usize = 100;

#[derive(Deserialize)]
struct CompleteParams {
    #[serde(rename = "ref")]
    target: Target,
    argument: Argument,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Target {
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
}

#[derive(Deserialize)]
struct Argument {
    name: String,
    value: String,
}

/// The values that begin with what was typed.
pub(super) fn complete(call: &Call) -> Result<Value, Fault> {
    let CompleteParams { target, argument } = call.params.parse()?;
    let notes = call.notebook.all().into_iter();
    let candidates: Vec<String> = match (&target, argument.name.as_str()) {
        (Target::Resource { uri }, "id") if uri == resources::TEMPLATE => {
            notes.map(|note| note.id.to_string()).collect()
        }
        (Target::Prompt { name }, "topic") if name == prompts::WRITE => {
            notes.map(|note| note.title.to_string()).collect()
        }
        _ => {
            return Err(Fault::invalid_params("there is no such argument to complete"));
        }
    };
    Ok(beginning_with(&argument.value, candidates))
}

fn beginning_with(typed: &str, mut candidates: Vec<String>) -> Value {
    let typed = typed.to_lowercase();
    candidates.retain(|candidate| candidate.to_lowercase().starts_with(&typed));
    let total = candidates.len();
    candidates.truncate(MAX_VALUES);
    json!({ "completion": { "values": candidates, "total": total, "hasMore": total > MAX_VALUES } })
}
