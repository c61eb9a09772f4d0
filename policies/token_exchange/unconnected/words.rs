//! What is said to people, agents and programs.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::Ask;
use crate::kit::{
    chain::Response,
    credential::{ConnectRequired, UpstreamAuth},
    pages::Page,
    refusal::{Reason, Refusal, code},
    reply::{Event, EventSource, Reply},
};

/// The member of a result's `_meta` that programs read.
const META: &str = "portcullis/connectRequired";

/// The words of one upstream.
pub(super) struct Words {
    pub(super) auth: Arc<UpstreamAuth>,
    /// The name of the tool that gives the link.
    pub(super) tool: Box<str>,
}

impl Words {
    pub(super) fn new(auth: Arc<UpstreamAuth>) -> Self {
        Self { tool: auth.connect_tool().into(), auth }
    }

    fn name(&self) -> &str {
        &self.auth.display_name
    }

    /// For agents, at the beginning of a session.
    pub(super) fn instructions(&self) -> String {
        let (name, tool) = (self.name(), &self.tool);
        format!(
            "{name} is not connected yet. Call the tool `{tool}` to get the link with which the person connects it, \
             show them the link, and list the tools again when they are done."
        )
    }

    /// The tool that gives the link.
    pub(super) fn connect_tool(&self) -> Value {
        let name = self.name();
        let about = self.auth.summary.as_ref().map(|summary| format!(" {summary}")).unwrap_or_default();
        json!({
            "name": self.tool,
            "title": format!("Connect {name}"),
            "description": format!(
                "Gives the link with which the person connects their account at {name}.{about} \
                 Once they have, list the tools again: then those of {name} are there."
            ),
            "inputSchema": { "type": "object", "properties": {}, "additionalProperties": false },
            "annotations": {
                "title": format!("Connect {name}"),
                "readOnlyHint": true,
                "destructiveHint": false,
                "idempotentHint": true,
                "openWorldHint": false,
            },
        })
    }

    /// A tool result with the link, for clients that cannot open pages. A call of the tool that is for nothing else has
    /// not failed.
    pub(super) fn tool_result(&self, ask: &Ask, required: &ConnectRequired) -> Value {
        let asked_for = ask.message.tool() == Some(&self.tool);
        let then = if asked_for { "Then list the tools again." } else { "Then call the tool again." };
        let text =
            format!("{}\n\nOpen this link to connect {}:\n{}\n\n{then}", required.message, self.name(), required.url);
        let mut result = text_result(ask, &text, !asked_for);
        result["_meta"] = json!({ META: connect_required(required) });
        result
    }

    pub(super) fn already_connected(&self, ask: &Ask) -> Value {
        let name = self.name();
        text_result(ask, &format!("{name} is connected. List the tools again: those of {name} are there now."), false)
    }

    pub(super) fn declined(&self, ask: &Ask) -> Value {
        text_result(ask, &self.declined_text(), true)
    }

    pub(super) fn declined_refusal(&self) -> Refusal {
        Refusal::new(Reason::ConnectRequired, self.declined_text())
            .with_code(code::INTERNAL_ERROR)
            .with_remedy("Ask again when the person wants to connect.")
    }

    fn declined_text(&self) -> String {
        format!("{} is not connected, and the person did not want to connect it now. Nothing was done.", self.name())
    }
}

fn text_result(ask: &Ask, text: &str, is_error: bool) -> Value {
    let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": is_error });
    if ask.message.is_modern() {
        result["resultType"] = "complete".into();
    }
    result
}

/// `-32042`, which MCP has in 2025-11-25.
pub(super) fn elicitation_required(required: &ConnectRequired) -> Refusal {
    page(required).required(Reason::ConnectRequired).with_data("connectRequired", connect_required(required))
}

/// The page on which people connect.
pub(super) fn page(required: &ConnectRequired) -> Page<'_> {
    Page { id: &required.elicitation_id, url: &required.url, message: &required.message }
}

/// An error with the link in its words, for where there is nothing better.
pub(super) fn refusal(required: &ConnectRequired) -> Refusal {
    let message = format!("{} Open this link to connect: {}", required.message, required.url);
    Refusal::new(Reason::ConnectRequired, message)
        .with_code(code::INTERNAL_ERROR)
        .with_data("connectRequired", connect_required(required))
}

fn connect_required(required: &ConnectRequired) -> Value {
    json!({ "state": required.state.as_str(), "authUrl": required.url })
}

/// 202, for what is no request.
pub(super) fn accepted() -> Response {
    let mut response = Response::new(Reply::Empty);
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// An answer after which a client knows that its lists are old: those of revisions with sessions hear it on any stream,
/// and nowhere else, because the gateway has no stream of its own for them.
pub(super) fn changed_lists(result: String, modern: bool) -> Response {
    let (kind, reply) = if modern {
        ("application/json", Reply::Full(result.into()))
    } else {
        let lists = ["tools", "prompts", "resources"];
        let changed = lists.map(|list| format!(r#"{{"jsonrpc":"2.0","method":"notifications/{list}/list_changed"}}"#));
        let messages = changed.into_iter().chain([result]);
        let events = messages.map(|message| Event::message(message.as_bytes())).collect();
        ("text/event-stream", Reply::Events(Box::new(Ready(events))))
    };
    let mut response = Response::new(reply);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Events that are all there.
struct Ready(VecDeque<Event>);

impl EventSource for Ready {
    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(self.0.pop_front())
    }
}
