//! Multi round-trip requests (MCP 2026-07-28, "Multi Round-Trip Requests"): a policy asks the client to open a page, and knows
//! its own question again when the client repeats the call.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use crate::kit::{
    json::{Flaw, Limits, Reader},
    message::Message,
    pages::Page,
};

const STATE: &str = "requestState";
const RESPONSES: &str = "inputResponses";
/// Bytes of the upstream's own state that are kept while a policy asks; beyond that the upstream has to ask again.
const MOST: usize = 64 << 10;

/// How a policy knows its own `requestState`.
///
/// Nothing in it is believed: whoever forges one gains that members of their own message are left out or put back, which
/// they could have done themselves. What the question was about, the store knows.
#[derive(Debug)]
pub struct Marker {
    /// The key of the one question.
    question: &'static str,
    prefix: Box<str>,
    finder: Finder<'static>,
}

/// The question of whoever shows people where to connect to an upstream.
pub fn to_connect(upstream: &str) -> Marker {
    Marker::new("connect", upstream)
}

/// The own `requestState`: which question it was, and what the upstream had asked before.
#[derive(Default, Serialize, Deserialize)]
struct Asked {
    elicitation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    responses: Option<Box<RawValue>>,
}

/// A call that answers a policy's question.
#[derive(Debug)]
pub struct Round {
    /// The call without the answer, as the upstream may see it.
    pub message: Message,
    /// Names the question, as the client says.
    pub id: String,
    action: String,
}

impl Round {
    /// Does the person open the page?
    pub fn was_accepted(&self) -> bool {
        self.action == "accept"
    }

    /// Do they not want to?
    pub fn was_declined(&self) -> bool {
        matches!(&*self.action, "decline" | "cancel")
    }
}

impl Marker {
    /// For the question of this name, which `about` tells from those of the same name.
    pub fn new(question: &'static str, about: &str) -> Self {
        let prefix = format!("portcullis-{question}.{about}.");
        Self { question, finder: Finder::new(prefix.as_bytes()).into_owned(), prefix: prefix.into() }
    }

    /// May there be an answer to the question in this message?
    pub fn is_in(&self, message: &Message) -> bool {
        message.is_modern() && self.finder.find(message.bytes()).is_some()
    }

    /// The answer to the question, if that is what the message holds.
    pub fn round(&self, message: &Message) -> Option<Round> {
        if !self.is_in(message) {
            return None;
        }
        let params: Value = serde_json::from_str(message.params()?).ok()?;
        let state = self.read(params.get(STATE)?.as_str()?)?;
        let action = params[RESPONSES][self.question]["action"].as_str().unwrap_or_default().to_owned();
        Some(Round { message: replaced(message, &state)?, id: state.elicitation, action })
    }

    fn read(&self, state: &str) -> Option<Asked> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(state.strip_prefix(&*self.prefix)?).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// The result that asks the client to open a page.
    pub fn input_required(&self, call: &Message, page: Page<'_>) -> Value {
        json!({
            "resultType": "input_required",
            "inputRequests": {
                self.question: {
                    "method": "elicitation/create",
                    "params": { "mode": "url", "message": page.message, "url": page.url },
                },
            },
            "requestState": self.write(call, page.id),
        })
    }

    fn write(&self, call: &Message, id: &str) -> String {
        let mut state = pending(call);
        id.clone_into(&mut state.elicitation);
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

/// The message with the upstream's own state in the place of the policy's. All other bytes stay as they are.
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
