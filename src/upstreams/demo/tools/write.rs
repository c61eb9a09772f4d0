//! Tools that change the notebook: `write_note`, `delete_note`, `delete_all_notes`.

use serde::Deserialize;
use serde_json::json;

use super::{
    super::notebook::{MAX_TEXT_BYTES, MAX_TITLE_CHARS, Notebook, WriteError},
    Arguments, Effect, Mishap, NoArguments, Outcome, Run, Said, Tool,
    look::{ById, id_schema},
};

pub(super) const WRITE_NOTE: Tool = Tool {
    name: "write_note",
    title: "Write a note",
    description: "Adds a note, or replaces the note with the given id.",
    effect: Effect::Writes,
    input: || {
        json!({
            "properties": {
                "id": { "type": "integer", "minimum": 1, "description": "The note to replace; leave it out to add one." },
                "title": { "type": "string", "minLength": 1, "maxLength": MAX_TITLE_CHARS },
                "text": {
                    "type": "string",
                    "maxLength": MAX_TEXT_BYTES,
                    "description": "Markdown, at most 64 KiB of UTF-8.",
                },
            },
            "required": ["title", "text"],
        })
    },
    output: Some(|| {
        json!({
            "properties": { "id": { "type": "integer" }, "created": { "type": "boolean" } },
            "required": ["id", "created"],
        })
    }),
    run: Run::AtOnce(write_note),
};

pub(super) const DELETE_NOTE: Tool = Tool {
    name: "delete_note",
    title: "Delete a note",
    description: "Deletes one note for good.",
    effect: Effect::Deletes,
    input: || json!({ "properties": { "id": id_schema() }, "required": ["id"] }),
    output: None,
    run: Run::AtOnce(delete_note),
};

pub(super) const DELETE_ALL_NOTES: Tool = Tool {
    name: "delete_all_notes",
    title: "Delete all notes",
    description: "Empties the notebook for good.",
    effect: Effect::Deletes,
    input: || json!({ "properties": {} }),
    output: Some(|| json!({ "properties": { "deleted": { "type": "integer" } }, "required": ["deleted"] })),
    run: Run::AtOnce(delete_all_notes),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteNote {
    id: Option<u64>,
    title: String,
    text: String,
}

fn write_note(notebook: &Notebook, arguments: Arguments) -> Outcome {
    let WriteNote { id, title, text } = arguments.parse()?;
    let note = notebook.write(id, &title, &text)?;
    Ok(Said::structured(json!({ "id": note.id, "created": id.is_none() })))
}

fn delete_note(notebook: &Notebook, arguments: Arguments) -> Outcome {
    let ById { id } = arguments.parse()?;
    if notebook.delete(id) {
        Ok(Said::text(format!("Note {id} is deleted.")))
    } else {
        Err(WriteError::NoSuchNote(id).into())
    }
}

fn delete_all_notes(notebook: &Notebook, arguments: Arguments) -> Outcome {
    arguments.parse::<NoArguments>()?;
    Ok(Said::structured(json!({ "deleted": notebook.clear() })))
}

impl From<WriteError> for Mishap {
    fn from(error: WriteError) -> Self {
        Self(error.to_string())
    }
}
