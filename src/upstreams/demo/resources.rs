//! Notes as resources: `note://{id}`, each a Markdown document.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{call::Call, fault::Fault, methods::Page, notebook::Note};

pub(super) const TEMPLATE: &str = "note://{id}";
const MARKDOWN: &str = "text/markdown";
const PAGE_SIZE: usize = 50;

/// The id in a note's URI. One note has one URI, so `note://01` is none.
pub(super) fn note_id(uri: &str) -> Option<u64> {
    let digits = uri.strip_prefix("note://")?;
    let id: u64 = digits.parse().ok()?;
    (id.to_string() == digits).then_some(id)
}

/// One page of the notes. The cursor is the id of the last note seen, so deletions in between skip nothing.
pub(super) fn list(call: &Call) -> Result<Value, Fault> {
    let after = match call.params.parse::<Page>()?.cursor {
        None => 0,
        Some(cursor) => read_cursor(&cursor).ok_or_else(|| Fault::invalid_params("unknown cursor"))?,
    };
    let mut notes = call.notebook.page(after, PAGE_SIZE + 1);
    let more = notes.len() > PAGE_SIZE;
    notes.truncate(PAGE_SIZE);
    let mut result = json!({ "resources": notes.iter().map(describe).collect::<Vec<_>>() });
    if let (true, Some(last), Value::Object(members)) = (more, notes.last(), &mut result) {
        members.insert("nextCursor".to_owned(), json!(format!("after-{}", last.id)));
    }
    Ok(result)
}

fn read_cursor(cursor: &str) -> Option<u64> {
    cursor.strip_prefix("after-")?.parse().ok()
}

fn describe(note: &Note) -> Value {
    json!({
        "uri": format!("note://{}", note.id),
        "name": format!("note-{}", note.id),
        "title": &*note.title,
        "mimeType": MARKDOWN,
        "size": note.markdown().len(),
    })
}

/// The one template.
pub(super) fn templates() -> Value {
    json!({ "resourceTemplates": [{
        "uriTemplate": TEMPLATE,
        "name": "note",
        "title": "Note",
        "description": "A note by its id.",
        "mimeType": MARKDOWN,
    }] })
}

#[derive(Deserialize)]
struct ReadParams {
    uri: String,
}

/// The document behind a URI.
pub(super) fn read(call: &Call) -> Result<Value, Fault> {
    let ReadParams { uri } = call.params.parse()?;
    let note =
        note_id(&uri).and_then(|id| call.notebook.get(id)).ok_or_else(|| Fault::no_such_resource(call.era, &uri))?;
    Ok(json!({ "contents": [{ "uri": uri, "mimeType": MARKDOWN, "text": note.markdown() }] }))
}
