//! The beginning of a session with an upstream that has them: what was agreed on is waited for, to be sealed into the id that
//! the client gets.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};

use http::HeaderValue;
use portcullis_policies::kit::{
    chain::{Request, Response},
    message::{FIRST_MODERN, Message},
    reply::{AnswerKind, Event, EventSource, Reply},
    session::knows_pages,
};
use serde_json::{Value, json};

use super::{
    Forward,
    answer::EVENTS,
    aside::speaks_aside,
    bridge,
    contact::Refused,
    ended,
    eras::Era,
    headers::{self, SESSION},
    session::revision_with_sessions,
    straight::Opens,
    upstream::{Behalf, Failure, Received, Sending},
};

impl Forward {
    /// Forwards `initialize`. If the upstream has no sessions, the gateway answers it from what it is otherwise told.
    pub(super) async fn begin(&self, request: &Request, message: &Message) -> Result<Response, Failure> {
        let mut outcome = self.upstream().post(self.sending(request, message, None)).await;
        let mut refused = Refused::by(&outcome);
        let mut agreed = Agreed::default();
        if let Ok(received) = &mut outcome
            && received.status.is_success()
        {
            let answer = self.peek(request, received, message.id().unwrap_or_default()).await;
            agreed = Agreed::by(message, &answer);
            let error = answer.get("error").map(|error| Refused::with(received.status, error));
            refused = refused.or(error);
        }
        if agreed.version.is_some() {
            self.eras().learn(Era::Legacy, true);
        } else if refused.is_some_and(Refused::is_about_the_message) && self.lacks_sessions(request).await {
            return bridge::legacy_client::initialize(self, request, message).await;
        }
        let outcome = ended::judge(self, request, None, refused, outcome).await;
        outcome.map(|received| self.respond(request, message, received, &Opens::Begun(agreed)))
    }

    /// The answer to request `id`, which stays in its place in the reply; null if it does not come before [`EVENTS`] others.
    async fn peek(&self, request: &Request, received: &mut Received, id: &str) -> Value {
        let mut source = match std::mem::take(&mut received.reply) {
            Reply::Events(source) => source,
            whole => {
                let answer = if let Reply::Full(body) = &whole { serde_json::from_slice(body).ok() } else { None };
                received.reply = whole;
                return answer.unwrap_or_default();
            }
        };
        let session = received.headers.get(SESSION);
        let mut held = VecDeque::new();
        let mut answer = Value::Null;
        for _ in 0..EVENTS {
            let Some(event) = poll_fn(|context| source.poll_event(context)).await else { break };
            if let Some(id) = ping_in(&event) {
                self.pong(request, session, id).await;
                continue;
            }
            let is_answer = event.answers(id);
            if is_answer {
                answer = event.data().and_then(|data| serde_json::from_slice(data).ok()).unwrap_or_default();
            }
            held.push_back(event);
            if is_answer {
                break;
            }
        }
        received.reply = Reply::Events(Box::new(Seen { held, rest: source }));
        answer
    }

    /// Answers an upstream that asks whether anybody is there. The client hears nothing before the answer to `initialize`.
    async fn pong(&self, request: &Request, session: Option<&HeaderValue>, id: Value) {
        let mcp: Vec<_> = session.map(|id| (SESSION, id.clone())).into_iter().collect();
        let pong = json!({ "jsonrpc": "2.0", "id": id, "result": {} });
        let sending = Sending {
            headers: headers::own(self.upstream().endpoint.template(), request, &mcp),
            message: pong.to_string().into(),
            awaiting: None,
            behalf: Behalf::of(request),
        };
        if let Err(failure) = self.upstream().post(sending).await {
            tracing::debug!(reason = failure.refusal.reason().code(), "the upstream did not take an answer");
        }
    }

    /// Asked of an upstream that has refused `initialize`: does it speak only revisions without it?
    async fn lacks_sessions(&self, request: &Request) -> bool {
        if !self.0.serves.translates() {
            return false;
        }
        // Others may have asked in the meantime.
        let is_known = self.eras().speaks(Era::Legacy) == Some(false);
        if is_known || !self.eras().is_in_doubt(Era::Legacy) {
            return is_known;
        }
        let was_known = self.eras().speaks(Era::Modern).is_some();
        let Ok(Some(discovered)) = self.probe(request).await else {
            if !was_known {
                // It takes neither: that says something about this caller, and nothing about the upstream.
                self.eras().forget(Era::Modern);
            }
            return false;
        };
        let mut versions = discovered["supportedVersions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let lacks = versions.all(|version| version >= FIRST_MODERN);
        if lacks {
            self.eras().learn(Era::Legacy, false);
        }
        lacks
    }
}

/// What both sides said when a session began, as far as it matters later.
#[derive(Clone, Debug, Default)]
pub(super) struct Agreed {
    /// The revision.
    pub(super) version: Option<String>,
    /// May the upstream have something to say beside its answers?
    pub(super) has_asides: bool,
    /// Can the client send people to a page?
    pub(super) opens_pages: bool,
}

impl Agreed {
    fn by(message: &Message, answer: &Value) -> Self {
        let said = answer.pointer("/result/protocolVersion").and_then(Value::as_str);
        let version = said.and_then(revision_with_sessions).map(ToOwned::to_owned);
        let has_asides = answer.get("result").is_some_and(|result| speaks_aside(message.params(), result));
        let opens_pages = version.as_deref().is_some_and(|version| knows_pages(version, &capabilities(message)));
        Self { version, has_asides, opens_pages }
    }
}

/// What the client declares in `initialize`.
fn capabilities(message: &Message) -> Value {
    let params = message.params().and_then(|params| serde_json::from_str::<Value>(params).ok());
    params.unwrap_or_default()["capabilities"].take()
}

/// The id of the `ping` that an event is.
fn ping_in(event: &Event) -> Option<Value> {
    event.answer()?.ok().filter(|message| message.kind() == AnswerKind::Request)?;
    let mut message: Value = serde_json::from_slice(event.data()?).ok()?;
    (message["method"] == "ping").then(|| message["id"].take())
}

/// A stream whose first events have been looked at.
struct Seen {
    held: VecDeque<Event>,
    rest: Box<dyn EventSource>,
}

impl EventSource for Seen {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        match self.held.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None => self.rest.poll_event(context),
        }
    }
}
