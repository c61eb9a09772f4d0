//! Two prompts, one without and one with an argument.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    call::Call,
    fault::{Fault, clip},
    notebook::Notebook,
};

pub(super) const SUMMARIZE: &str = "summarize_notes";
pub(super) const WRITE: &str = "write_a_note";
/// A topic is a phrase.
const MAX_TOPIC_BYTES: usize = 1_000;
/// So many titles are named in the prompt; the model finds the others by `list_notes`.
const MAX_TITLES: usize = 50;

/// What there is.
pub(super) fn list() -> Value {
    json!({ "prompts": [
        {
            "name": SUMMARIZE,
            "title": "Summarize my notes",
            "description": "Asks for a short summary of everything in the notebook.",
        },
        {
            "name": WRITE,
            "title": "Write a note",
            "description": "Asks for a new note about a topic.",
            "arguments": [{ "name": "topic", "description": "What the note is about.", "required": true }],
        },
    ] })
}

#[derive(Deserialize)]
struct GetParams {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// A prompt filled in.
pub(super) fn get(call: &Call) -> Result<Value, Fault> {
    let params: GetParams = call.params.parse()?;
    match params.name.as_str() {
        SUMMARIZE => Ok(one_message("A summary of the notebook", &summarize(&call.notebook))),
        WRITE => Ok(one_message("A new note", &write(topic(&params.arguments)?))),
        unknown => Err(Fault::invalid_params(format_args!("unknown prompt: {}", clip(unknown)))),
    }
}

fn summarize(notebook: &Notebook) -> String {
    let notes = notebook.page(0, MAX_TITLES);
    let mut text = "Read my notes with read_note and summarize them in a few sentences.".to_owned();
    for note in notes {
        // Writing into a String cannot fail.
        let _ = write!(text, "\n- note {}: {}", note.id, note.title);
    }
    text
}

fn topic(arguments: &Map<String, Value>) -> Result<&str, Fault> {
    match arguments.get("topic").and_then(Value::as_str).map(str::trim) {
        None | Some("") => Err(Fault::invalid_params("the argument \"topic\" must be a text")),
        Some(topic) if topic.len() > MAX_TOPIC_BYTES => {
            Err(Fault::invalid_params(format_args!("\"topic\" must be at most {MAX_TOPIC_BYTES} bytes")))
        }
        Some(topic) => Ok(topic),
    }
}

fn write(topic: &str) -> String {
    format!("Write a short, friendly note about {topic} and save it with write_note.")
}

fn one_message(description: &str, text: &str) -> Value {
    json!({
        "description": description,
        "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
    })
}
