//! Tools that only look: `list_notes`, `read_note`, `search_notes`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::notebook::{MAX_TITLE_CHARS, Note, Notebook, WriteError},
    Arguments, Effect, Mishap, NoArguments, Outcome, Run, Said, Tool,
};

/// A search names at most so many notes.
const MAX_HITS: usize = 50;
/// A search shows so much of each note.
const EXCERPT_CHARS: usize = 160;

pub(super) const LIST_NOTES: Tool = Tool {
    name: "list_notes",
    title: "List notes",
    description: "Lists all notes with their ids and titles.",
    effect: Effect::Reads,
    input: || json!({ "properties": {} }),
    output: Some(|| notes_schema(&json!({ "id": { "type": "integer" }, "title": { "type": "string" } }))),
    run: Run::AtOnce(list_notes),
};

pub(super) const READ_NOTE: Tool = Tool {
    name: "read_note",
    title: "Read a note",
    description: "Returns the title and the text of one note.",
    effect: Effect::Reads,
    input: || json!({ "properties": { "id": id_schema() }, "required": ["id"] }),
    output: Some(|| {
        json!({
            "properties": {
                "id": { "type": "integer" },
                "title": { "type": "string" },
                "text": { "type": "string" },
            },
            "required": ["id", "title", "text"],
        })
    }),
    run: Run::AtOnce(read_note),
};

pub(super) const SEARCH_NOTES: Tool = Tool {
    name: "search_notes",
    title: "Search notes",
    description: "Finds notes whose title or text contains the query; upper and lower case are the same.",
    effect: Effect::Reads,
    input: || {
        json!({
            "properties": { "query": { "type": "string", "minLength": 1, "maxLength": MAX_TITLE_CHARS } },
            "required": ["query"],
        })
    },
    output: Some(|| {
        notes_schema(&json!({
            "id": { "type": "integer" },
            "title": { "type": "string" },
            "excerpt": { "type": "string" },
        }))
    }),
    run: Run::AtOnce(search_notes),
};

/// The schema of a note's id in the arguments.
pub(super) fn id_schema() -> Value {
    json!({ "type": "integer", "minimum": 1, "description": "The id of the note, from list_notes." })
}

/// The schema of `{ "notes": [ … ] }` with the given properties, all of them required.
fn notes_schema(properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|map| map.keys()).collect();
    let note = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    json!({ "properties": { "notes": { "type": "array", "items": note } }, "required": ["notes"] })
}

/// The arguments of a tool that takes the id of a note.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ById {
    pub(super) id: u64,
}

fn list_notes(notebook: &Notebook, arguments: Arguments) -> Outcome {
    arguments.parse::<NoArguments>()?;
    let line = |note: Note| json!({ "id": note.id, "title": &*note.title });
    let notes: Vec<Value> = notebook.all().into_iter().map(line).collect();
    Ok(Said::structured(json!({ "notes": notes })))
}

fn read_note(notebook: &Notebook, arguments: Arguments) -> Outcome {
    let ById { id } = arguments.parse()?;
    let note = notebook.get(id).ok_or(WriteError::NoSuchNote(id))?;
    Ok(Said::structured(json!({ "id": note.id, "title": &*note.title, "text": &*note.text })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
}

fn search_notes(notebook: &Notebook, arguments: Arguments) -> Outcome {
    let Search { query } = arguments.parse()?;
    if query.is_empty() || query.chars().count() > MAX_TITLE_CHARS {
        return Err(Mishap(format!("The query must have 1 to {MAX_TITLE_CHARS} characters.")));
    }
    let query = query.to_lowercase();
    let notes: Vec<Value> = notebook.all().iter().filter_map(|note| hit(note, &query)).take(MAX_HITS).collect();
    Ok(Said::structured(json!({ "notes": notes })))
}

fn hit(note: &Note, query: &str) -> Option<Value> {
    let found = note.title.to_lowercase().contains(query) || note.text.to_lowercase().contains(query);
    let excerpt = || note.text.chars().take(EXCERPT_CHARS).collect::<String>();
    found.then(|| json!({ "id": note.id, "title": &*note.title, "excerpt": excerpt() }))
}
