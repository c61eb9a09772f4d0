//! Multi round-trip requests (MCP 2026-07-28, "Multi Round-Trip Requests"): the gateway asks the client to open a page,
//! and knows its own question again when the client repeats the call.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::Ask;
use crate::kit::{
    credential::ConnectRequired,
    json::{Flaw, Limits, Reader},
    message::Message,
};

/// The key of the one question.
const QUESTION: &str = "connect";
const STATE: &str = "requestState";
const RESPONSES: &str = "inputResponses";
/// Bytes of the upstream's own state that are kept while the gateway asks; beyond that the upstream has to ask again.
const MOST: usize = 64 << 10;

/// How the gateway knows its own `requestState`.
///
/// Nothing in it is believed: whoever forges one gains that members of their own message are left out or put back, which
/// they could have done themselves. Who is connected, the store knows.
pub(super) struct Marker {
    prefix: Box<str>,
    finder: Finder<'static>,
}

/// The gateway's own `requestState`: which question it was, and what the upstream had asked before.
#[derive(Default, Serialize, Deserialize)]
struct Asked {
    elicitation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    responses: Option<Box<RawValue>>,
}

/// A call that answers the gateway's question.
pub(in super::super) struct Round {
    /// The call without the answer, as the upstream may see it.
    pub(in super::super) message: Message,
    action: String,
}

impl Round {
    pub(in super::super) fn was_accepted(&self) -> bool {
        self.action == "accept"
    }

    pub(in super::super) fn was_declined(&self) -> bool {
        matches!(&*self.action, "decline" | "cancel")
    }
}

impl Marker {
    pub(super) fn new(id: &str) -> Self {
        let prefix = format!("portcullis-connect.{id}.");
        Self { finder: Finder::new(prefix.as_bytes()).into_owned(), prefix: prefix.into() }
    }

    /// May there be an answer to the gateway's question in this message?
    pub(super) fn is_in(&self, message: &Message) -> bool {
        message.is_modern() && self.finder.find(message.bytes()).is_some()
    }

    /// The answer to the gateway's question, if that is what the message holds.
    pub(super) fn round(&self, message: &Message) -> Option<Round> {
        if !self.is_in(message) {
            return None;
        }
        let params: Value = serde_json::from_str(message.params()?).ok()?;
        let state = self.read(params.get(STATE)?.as_str()?)?;
        let action = params.pointer("/inputResponses/connect/action").and_then(Value::as_str).unwrap_or_default();
        Some(Round { message: replaced(message, &state)?, action: action.to_owned() })
    }

    fn read(&self, state: &str) -> Option<Asked> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(state.strip_prefix(&*self.prefix)?).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// The result that asks the client to open a page.
    pub(super) fn input_required(&self, ask: &Ask, required: &ConnectRequired) -> Value {
        json!({
            "resultType": "input_required",
            "inputRequests": {
                QUESTION: {
                    "method": "elicitation/create",
                    "params": { "mode": "url", "message": required.message, "url": required.url },
                },
            },
            "requestState": self.write(ask, required),
        })
    }

    fn write(&self, ask: &Ask, required: &ConnectRequired) -> String {
        let mut state = pending(&ask.message);
        state.elicitation.clone_from(&required.elicitation_id);
        let json = serde_json::to_vec(&state).unwrap_or_default();
        format!("{}{}", self.prefix, BASE64_URL_SAFE_NO_PAD.encode(json))
    }
}

/// What the message answers of the upstream's own questions.
fn pending(message: &Message) -> Asked {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        request_state: Option<Box<RawValue>>,
        input_responses: Option<Box<RawValue>>,
    }
    let params = message.params().and_then(|params| serde_json::from_str::<Params>(params).ok());
    let Some(Params { request_state, input_responses }) = params else { return Asked::default() };
    let length = |raw: &Option<Box<RawValue>>| raw.as_ref().map_or(0, |raw| raw.get().len());
    if length(&request_state) + length(&input_responses) > MOST {
        return Asked::default();
    }
    Asked { elicitation: String::new(), state: request_state, responses: input_responses }
}

/// The message with the upstream's own state in the place of the gateway's. All other bytes stay as they are.
fn replaced(message: &Message, state: &Asked) -> Option<Message> {
    let text = std::str::from_utf8(message.bytes()).ok()?;
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut reader = Reader::new(text, &Limits::ANSWER);
    reader
        .object(|reader, key| {
            if &*key.text(reader.document()) != "params" {
                return reader.value().map(drop);
            }
            reader.peek();
            out.push_str(text.get(..reader.offset()).unwrap_or_default());
            let members = members(reader, text, state)?;
            out.push('{');
            out.push_str(&members.join(","));
            out.push('}');
            copied = reader.offset();
            Ok(())
        })
        .ok()?;
    out.push_str(text.get(copied..)?);
    // What the state brings along has not been judged by the limits of any route.
    Message::read(out.into(), &Limits::MESSAGE).ok()
}

fn members(reader: &mut Reader<'_>, text: &str, state: &Asked) -> Result<Vec<String>, Flaw> {
    let mut members = Vec::new();
    reader.object(|reader, key| {
        let kept = match &*key.text(reader.document()) {
            STATE => Some(&state.state),
            RESPONSES => Some(&state.responses),
            _ => None,
        };
        let name = text.get(key.span.range()).unwrap_or_default();
        let value = reader.value()?;
        let value = match kept {
            None => text.get(value.range()),
            Some(kept) => kept.as_ref().map(|raw| raw.get()),
        };
        members.extend(value.map(|value| format!("\"{name}\":{value}")));
        Ok(())
    })?;
    Ok(members)
}
