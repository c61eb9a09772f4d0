//! What an upstream asks of the client in the middle of a call.

use portcullis_policies::kit::{json::Flaw, refusal::code};

use super::{
    super::object::{Object, quoted},
    call::{Call, Declared},
};

/// One request of the upstream to the client, which waits for the answer.
#[derive(Debug)]
pub(super) struct Ask {
    /// Its name in `inputRequests`.
    pub(super) key: String,
    /// Its id, as JSON text.
    pub(super) id: Box<str>,
    /// Method and parameters, as JSON text.
    request: String,
}

impl Ask {
    /// Bytes of what is asked.
    pub(super) fn len(&self) -> usize {
        self.request.len()
    }
}

/// What is to be done about a request of the upstream.
pub(super) enum Asked {
    /// The client answers it.
    ByClient(Ask),
    /// This is the answer.
    Answered(String),
}

impl Asked {
    /// Reads a request that came on the stream of `call`.
    pub(super) fn read(call: &Call, number: usize, text: &str) -> Result<Self, Flaw> {
        let message = Object::read(text)?;
        let id = message.get("id").unwrap_or("null");
        let method: String = message.parse("method").unwrap_or_default();
        let params = message.get("params");
        Ok(match input_request(&call.declared, &method, params)?.filter(|_| call.may_wait()) {
            Some(request) => Self::ByClient(Ask { key: number.to_string(), id: id.into(), request }),
            None => Self::Answered(own_answer(id, &method)),
        })
    }
}

/// What the gateway itself has to say to a request of the upstream: it is there, and knows nothing.
fn own_answer(id: &str, method: &str) -> String {
    if method == "ping" {
        return format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
    }
    let why = format!("This client cannot be asked for `{method}` here.");
    super::answer::refuse(id, code::METHOD_NOT_FOUND, &why)
}

/// The request as it stands in `inputRequests`; none if the client did not declare that it can answer it.
fn input_request(declared: &Declared, method: &str, params: Option<&str>) -> Result<Option<String>, Flaw> {
    let said = Object::read(params.unwrap_or("{}"))?;
    let mode: Option<String> = said.parse("mode");
    let params = params.map(|params| format!(r#","params":{params}"#)).unwrap_or_default();
    let request = format!(r#"{{"method":{}{params}}}"#, quoted(method));
    Ok(declared.allows(method, mode.as_deref()).then_some(request))
}

/// A result that asks for input (MCP 2026-07-28, "Multi Round-Trip Requests"), as JSON text.
pub(super) fn input_required<'a>(asks: impl IntoIterator<Item = &'a Ask>, state: Option<&str>) -> String {
    let mut requests = Object::default();
    for Ask { key, request, .. } in asks {
        requests.set(key, request.as_str());
    }
    let state = state.map(|state| format!(r#","requestState":{}"#, quoted(state))).unwrap_or_default();
    format!(r#"{{"resultType":"input_required","inputRequests":{}{state}}}"#, requests.to_json())
}

/// The result that takes the place of an error by which a person must open a page first (-32042, MCP 2025-11-25). The call
/// has ended with it, so its retry is a new call.
pub(super) fn required(call: &Call, error: &str) -> Result<Option<String>, Flaw> {
    let error = Object::read(error)?;
    if error.parse("code") != Some(code::URL_ELICITATION_REQUIRED) || !call.may_wait() {
        return Ok(None);
    }
    let data = Object::read(error.get("data").unwrap_or("{}"))?;
    let pages: Vec<Box<serde_json::value::RawValue>> = data.parse("elicitations").unwrap_or_default();
    let mut asks = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        let mut params = Object::read(page.get())?;
        params.set("mode", r#""url""#);
        let request = input_request(&call.declared, "elicitation/create", Some(&params.to_json()))?;
        asks.extend(request.map(|request| Ask { key: number.to_string(), id: "null".into(), request }));
    }
    Ok((!asks.is_empty()).then(|| input_required(&asks, None)))
}
