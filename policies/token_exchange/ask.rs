//! A request, as far as it is needed after it was sent on.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};
use serde_json::Value;

use crate::kit::{
    chain::{Arrival, Request, Response, ServedEras},
    credential::{OwnAnswer, UpstreamAuth, UpstreamTarget, Wanted},
    host::Caller,
    message::{Message, Method},
    refusal::{Addressee, Refusal},
    reply::Reply,
};

/// Who asks for what.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) caller: Option<Caller>,
    pub(super) target: UpstreamTarget,
    pub(super) arrival: Option<Arrival>,
    /// Which clients the route serves, if that is not for the upstream to say.
    pub(super) served: Option<ServedEras>,
    pub(super) message: Message,
}

impl Ask {
    /// None for what is no message, and where nobody has said where it goes.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let facts = request.extensions();
        Some(Self {
            caller: facts.get().cloned(),
            target: facts.get().cloned()?,
            arrival: facts.get().cloned(),
            served: facts.get().copied(),
            message: request.body().message()?.clone(),
        })
    }

    pub(super) fn wanted<'a>(&'a self, auth: &'a Arc<UpstreamAuth>) -> Wanted<'a> {
        let arrival = self.arrival.as_ref();
        Wanted {
            auth,
            target: &self.target,
            caller: self.caller.as_ref(),
            route: self.route(),
            request_id: arrival.map(|arrival| arrival.request_id),
        }
    }

    pub(super) fn route(&self) -> &str {
        self.arrival.as_ref().map_or("", |arrival| &arrival.route)
    }

    /// Who a session or a round trip belongs to.
    pub(super) fn subject(&self) -> &str {
        self.caller.as_ref().map_or("", |caller| &caller.subject)
    }

    /// Does the route serve clients like this one?
    pub(super) fn is_served(&self) -> bool {
        self.served.is_none_or(|eras| if self.message.is_modern() { eras.modern } else { eras.legacy })
    }

    /// Is this client served in 2026-07-28, whatever the upstream speaks?
    pub(super) fn is_surely_modern(&self) -> bool {
        self.message.is_modern() && self.served.is_some_and(|eras| eras.modern)
    }

    pub(super) fn is(&self, method: &Method) -> bool {
        self.message.method() == Some(method)
    }

    /// `params`, where they must be looked into.
    pub(super) fn params(&self) -> Value {
        self.message.params().and_then(|params| serde_json::from_str(params).ok()).unwrap_or_default()
    }

    /// The JSON-RPC result.
    pub(super) fn result_text(&self, result: &Value) -> String {
        let id = self.message.id().unwrap_or("null");
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
    }

    /// The answer with this result.
    pub(super) fn result(&self, result: &Value) -> Response {
        json_answer(self.result_text(result).into())
    }

    pub(super) fn refuse(&self, refusal: Refusal) -> Response {
        let request_id = self.arrival.as_ref().map(|arrival| &arrival.request_id);
        refusal.answer(Addressee { id: self.message.id(), request_id })
    }
}

fn json_answer(body: Bytes) -> Response {
    let mut response = Response::new(Reply::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(OwnAnswer);
    response
}
