//! Asking the client: by requests of the server's own, or by an answer that says what is missing.

use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientCapabilities, InputRequest, InputRequests, InputRequiredResult, InputResponses, JsonObject,
        ProtocolVersion, ServerRequest,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    fixture::{Questions, Round, fill},
    state,
};

/// How far the asking is.
pub(crate) enum Asked {
    /// All that is known in the end.
    All(JsonObject),
    /// What the client is to bring with its next try.
    Missing(InputRequiredResult),
}

/// What a client of 2026-07-28 brings with a next try.
#[derive(Default)]
pub(crate) struct Brought {
    pub(crate) responses: Option<InputResponses>,
    pub(crate) state: Option<String>,
}

pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

impl Questions {
    /// Asks round by round, until all is `known`.
    pub(crate) async fn ask(
        &self,
        known: JsonObject,
        brought: Brought,
        context: &RequestContext<RoleServer>,
    ) -> Result<Asked, ErrorData> {
        if is_modern(context) {
            self.ask_by_answer(known, brought, context)
        } else {
            self.ask_by_requests(known, context).await
        }
    }

    fn ask_by_answer(
        &self,
        mut known: JsonObject,
        brought: Brought,
        context: &RequestContext<RoleServer>,
    ) -> Result<Asked, ErrorData> {
        let mut answers = self.remembered(brought.state)?;
        let mut responses = brought.responses.unwrap_or_default();
        for round in &self.asks {
            let mut missing = InputRequests::new();
            for (key, request) in self.askable(round, context)? {
                if let Some(response) = responses.remove(key).filter(|response| answers_to(request, response)) {
                    answers.insert(key.clone(), response);
                } else if !answers.contains_key(key) {
                    missing.insert(key.clone(), typed(request, &known)?);
                }
            }
            if !missing.is_empty() {
                let state = self.remembers.then(|| state::seal(&self.name, &answers)).flatten();
                return Ok(Asked::Missing(InputRequiredResult::new(Some(missing), state)));
            }
        }
        known.extend(answers);
        Ok(Asked::All(known))
    }

    fn remembered(&self, state: Option<String>) -> Result<JsonObject, ErrorData> {
        let Some(state) = state.filter(|_| self.remembers) else { return Ok(JsonObject::new()) };
        state::open(&self.name, &state)
            .ok_or_else(|| ErrorData::invalid_params("requestState is none of this server's", None))
    }

    async fn ask_by_requests(
        &self,
        mut known: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<Asked, ErrorData> {
        for round in &self.asks {
            for (key, request) in self.askable(round, context)? {
                let answer = context.peer.send_request(of_server(typed(request, &known)?)?).await;
                let answer = answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
                known.insert(key.clone(), serde_json::to_value(answer).map_err(internal)?);
            }
        }
        Ok(Asked::All(known))
    }

    /// The requests of a round that may be asked of this client; an error when one is needed that may not.
    fn askable<'a>(
        &self,
        round: &'a Round,
        context: &RequestContext<RoleServer>,
    ) -> Result<Vec<(&'a String, &'a Value)>, ErrorData> {
        let declared = serde_json::to_value(context.client_capabilities()).map_err(internal)?;
        let (askable, others): (Vec<_>, Vec<_>) =
            round.iter().partition(|(_, request)| declared.get(capability(request)).is_some());
        match others.first() {
            Some((_, request)) if !self.only_declared => Err(undeclared(capability(request), context)),
            _ => Ok(askable),
        }
    }
}

fn capability(request: &Value) -> &str {
    let method = request["method"].as_str().unwrap_or_default();
    method.split_once('/').map_or(method, |(capability, _)| capability)
}

fn undeclared(name: &str, context: &RequestContext<RoleServer>) -> ErrorData {
    let required = serde_json::from_value::<ClientCapabilities>(json!({ name: {} })).unwrap_or_default();
    missing_capability(required, context)
}

/// The code of 2026-07-28 says nothing to clients of other revisions.
pub(crate) fn missing_capability(required: ClientCapabilities, context: &RequestContext<RoleServer>) -> ErrorData {
    if is_modern(context) {
        ErrorData::missing_required_client_capability(required)
    } else {
        ErrorData::invalid_request("the client lacks a capability that this needs", None)
    }
}

/// Is it what a client may answer to `request`?
fn answers_to(request: &Value, response: &Value) -> bool {
    match capability(request) {
        "elicitation" => match response["action"].as_str() {
            Some("accept") => response["content"].is_object(),
            action => matches!(action, Some("decline" | "cancel")),
        },
        "sampling" => !response["content"].is_null(),
        _ => response["roots"].is_array(),
    }
}

pub(crate) fn typed(request: &Value, known: &JsonObject) -> Result<InputRequest, ErrorData> {
    serde_json::from_value(fill(request, known)).map_err(internal)
}

fn of_server(request: InputRequest) -> Result<ServerRequest, ErrorData> {
    match request {
        InputRequest::CreateMessage(request) => Ok(request.into()),
        InputRequest::Elicitation(request) => Ok(request.into()),
        InputRequest::ListRoots(request) => Ok(request.into()),
        _ => Err(ErrorData::internal_error("not a request that a server may send", None)),
    }
}

pub(crate) fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
