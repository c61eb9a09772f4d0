//! The calls that the scenarios make, and what a right answer to each of them says.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use crate::tools;

pub(crate) const BURST_EVENTS: u32 = 200;
pub(crate) const STREAM_PACE: Duration = Duration::from_millis(10);

const ECHO: &str = "What is the state of the release?";
static UP: LazyLock<String> = LazyLock::new(|| "u".repeat(64 * 1024));
pub(crate) static DOWN: LazyLock<String> = LazyLock::new(|| "d".repeat(64 * 1024));

#[derive(Clone, Copy)]
pub(crate) enum Call {
    Echo,
    List,
    Up,
    Down,
    Burst,
    First,
    Idle,
    Stream { events: u32 },
}

impl Call {
    /// The request's body.
    pub(crate) fn message(self, id: u64) -> String {
        let (method, params) = match self {
            Self::List => ("tools/list", json!({})),
            Self::Echo => tool("echo", &json!({ "text": ECHO })),
            Self::Up => tool("up64k", &json!({ "text": *UP })),
            Self::Down => tool("down64k", &json!({})),
            Self::Burst => tool("burst", &json!({})),
            Self::First => tool("first", &json!({})),
            Self::Idle => tool("idle", &json!({})),
            Self::Stream { events } => tool("stream", &json!({ "events": events })),
        };
        json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
    }

    /// Checks the whole body of an answer. `filtered`: it came through the gateway's capability filter.
    pub(crate) fn check(self, id: u64, filtered: bool, body: &str) -> Result<()> {
        match self {
            Self::Echo => check_text(id, body, ECHO),
            Self::Up => check_text(id, body, &format!("received {}", UP.len())),
            Self::Down => check_text(id, body, &DOWN),
            Self::List => check_list(id, body, filtered),
            Self::Burst => check_events(id, body, BURST_EVENTS),
            Self::First | Self::Idle => check_events(id, body, 1),
            Self::Stream { events } => check_events(id, body, events),
        }
    }
}

fn tool(name: &str, arguments: &Value) -> (&'static str, Value) {
    ("tools/call", json!({ "name": name, "arguments": arguments, "_meta": { "progressToken": "bench" } }))
}

/// Checks that an event is the `number`th progress notification.
pub(crate) fn check_progress(event: &str, number: u32) -> Result<()> {
    let message: Value = serde_json::from_str(data(event)?)?;
    ensure!(message["params"]["progress"] == number, "not event {number}: {event}");
    Ok(())
}

fn check_events(id: u64, body: &str, count: u32) -> Result<()> {
    let mut events = body.split_terminator("\n\n");
    for number in 1..=count {
        check_progress(events.next().context("an event is missing")?, number)?;
    }
    check_text(id, data(events.next().context("the response is missing")?)?, "done")?;
    ensure!(events.next().is_none(), "an event too many");
    Ok(())
}

fn data(event: &str) -> Result<&str> {
    event.lines().find_map(|line| line.strip_prefix("data:")).context("an event without data")
}

fn check_text(id: u64, body: &str, text: &str) -> Result<()> {
    let result = result(id, body)?;
    ensure!(result["content"][0]["text"] == text, "not the text that was asked for");
    Ok(())
}

fn check_list(id: u64, body: &str, filtered: bool) -> Result<()> {
    let result = result(id, body)?;
    let tools = result["tools"].as_array().context("no tools")?;
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    let expected = if filtered { tools::listed_and_allowed() } else { tools::listed() };
    ensure!(names.len() == expected.len(), "{} tools instead of {}", names.len(), expected.len());
    let seen: BTreeSet<&str> = names.into_iter().collect();
    ensure!(expected.iter().all(|name| seen.contains(name.as_str())), "not the tools that are allowed: {seen:?}");
    ensure!(tools.iter().all(|tool| tool["inputSchema"]["properties"].is_object()), "a tool lost its schema");
    Ok(())
}

fn result(id: u64, body: &str) -> Result<Value> {
    let mut message: Value = serde_json::from_str(body)?;
    ensure!(message["id"] == id, "not the answer to {id}");
    Ok(message["result"].take())
}
