//! The tools of the played MCP server, and which of them the gateway's filter lets through.

use serde_json::{Value, json};
use std::sync::LazyLock;

/// What most scenarios call.
const ECHO: &str = "echo";
/// What the others call; not part of the listing.
const CALLED: [&str; 6] = ["up64k", "down64k", "stream", "burst", "first", "idle"];
const VERBS: [&str; 5] = ["list", "get", "create", "update", "archive"];
const THINGS: [&str; 6] = ["issue", "project", "comment", "document", "customer", "milestone"];

/// The names in the listing: thirty-one.
pub(crate) fn listed() -> Vec<String> {
    let names = VERBS.iter().flat_map(|verb| THINGS.iter().map(move |thing| format!("{verb}_{thing}")));
    names.chain([ECHO.to_owned()]).collect()
}

/// Every second one of them: sixteen.
pub(crate) fn listed_and_allowed() -> Vec<String> {
    listed().into_iter().step_by(2).collect()
}

/// What stands in the gateway's filter.
pub(crate) fn allowed() -> Vec<String> {
    CALLED.into_iter().map(str::to_owned).chain(listed_and_allowed()).collect()
}

/// The result of `tools/list`: about 39 KB, as real servers have it.
pub(crate) fn list() -> &'static str {
    static LIST: LazyLock<String> = LazyLock::new(|| {
        let tools: Vec<Value> = listed().iter().map(|name| tool(name)).collect();
        json!({ "tools": tools }).to_string()
    });
    &LIST
}

fn tool(name: &str) -> Value {
    let (verb, thing) = name.split_once('_').unwrap_or((name, "item"));
    json!({
        "name": name,
        "title": format!("{verb} {thing}"),
        "description": format!(
            "Use this tool to {verb} {thing}s in the workspace that the signed-in user has selected. Only what this \
             user may see is returned. Times are in UTC; text is Markdown, and a mention is written as @name. Ask the \
             user before you {verb} more than ten at a time."
        ),
        "inputSchema": {
            "type": "object",
            "properties": properties(thing),
            "required": ["workspace", format!("{thing}_id")],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": verb == "list" || verb == "get", "destructiveHint": verb == "archive" },
    })
}

fn properties(thing: &str) -> Value {
    json!({
        "workspace": {
            "type": "string", "pattern": "^[a-z0-9-]{2,40}$",
            "description": "The workspace's short name, the first part of every address in it",
        },
        format!("{thing}_id"): {
            "type": "string", "format": "uuid", "description": format!("The id of the {thing}, not its number"),
        },
        "labels": {
            "type": "array", "maxItems": 20, "items": { "type": "string", "minLength": 1 },
            "description": format!("Only a {thing} that has all of these labels; names, not ids"),
        },
        "state": { "type": "string", "enum": ["open", "in_progress", "blocked", "done", "cancelled"] },
        "limit": { "type": "integer", "minimum": 1, "maximum": 250, "default": 50 },
        "order_by": {
            "type": "string", "enum": ["created_at", "updated_at", "priority"], "default": "updated_at",
            "description": "What the page is sorted by, newest or most urgent first",
        },
        "cursor": { "type": ["string", "null"], "description": "Where the page before this one ended" },
    })
}
