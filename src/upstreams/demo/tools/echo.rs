//! `echo`: the smallest tool there is, for looking at what policies do to a call.

use serde::Deserialize;
use serde_json::json;

use super::{
    super::notebook::{MAX_TEXT_BYTES, Notebook},
    Arguments, Effect, Mishap, Outcome, Run, Said, Tool,
};

pub(super) const ECHO: Tool = Tool {
    name: "echo",
    title: "Echo",
    description: "Says back what it was told.",
    effect: Effect::Reads,
    input: || {
        json!({
            "properties": { "text": { "type": "string", "maxLength": MAX_TEXT_BYTES } },
            "required": ["text"],
        })
    },
    output: None,
    run: Run::AtOnce(echo),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    text: String,
}

fn echo(_: &Notebook, arguments: Arguments) -> Outcome {
    let Echo { text } = arguments.parse()?;
    if text.len() > MAX_TEXT_BYTES {
        return Err(Mishap(format!("The text must be at most {MAX_TEXT_BYTES} bytes (64 KiB).")));
    }
    Ok(Said::text(text))
}
