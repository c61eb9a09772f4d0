//! Editing the answer to one request, whether it comes as one message or in a stream of events.

use bytes::Bytes;

use crate::kit::{
    chain::{Answer as Answered, Arrival, Request, RequestId, Response, RouteService, then},
    credential::OwnAnswer,
    decision::{Decided, Decisions},
    json::Flaw,
    listing,
    message::{Kind, Message, Method},
    refusal::{Addressee, Reason, Refusal},
    reply::{Answer, AnswerKind, Event, Reply},
};

/// What becomes of the result of a request.
#[derive(Debug)]
pub enum Verdict {
    /// It passes as it came.
    Keep,
    /// The client gets this message instead.
    Replace(Bytes),
    /// It is not fit to be shown; for the log, why.
    Refuse(String),
}

impl Verdict {
    /// The same answer with this result, if it is another one.
    pub fn with_result(body: &[u8], answer: &Answer, result: Result<Vec<u8>, Flaw>) -> Self {
        match result {
            Ok(result) if answer.payload().is_some_and(|old| old.of(body) == result) => Self::Keep,
            Ok(result) => Self::Replace(listing::with_result(body, answer, &result)),
            Err(flaw) => Self::Refuse(flaw.to_string()),
        }
    }
}

/// What a policy makes of the result of one request.
pub trait EditResult: Send + 'static {
    /// The policy, for the log.
    const POLICY: &'static str;

    /// Judges the result of the request with this id. `body` is the whole message, as `answer` has read it.
    fn result(&self, body: &[u8], answer: &Answer, id: &str) -> Verdict;

    /// Does the policy only look? Then all passes, also what nobody can read.
    fn only_looks(&self) -> bool {
        false
    }

    /// Judges a message of the stream that is no result: an error, a notification, a request of the server.
    fn other(&self, _body: &[u8], _answer: &Answer) -> Verdict {
        Verdict::Keep
    }

    /// Is there nothing in this message, whatever it is, that the policy has to do with? Then it passes unread.
    fn passes(&self, _body: &[u8]) -> bool {
        false
    }

    /// The message to show instead of `body`, where that is known without reading it.
    fn known(&self, _body: &[u8], _id: &str) -> Option<Bytes> {
        None
    }

    /// What the client is told where the result is not shown.
    fn refusal(&self) -> Refusal {
        Refusal::new(Reason::UpstreamInvalid, "The upstream's answer cannot be judged.")
    }
}

/// The edit of the answer to one request.
///
/// Only the answer to *this* request is shown to the policy. One to any other has no business here and is dropped: it could
/// smuggle what a policy would have taken out to a request that waits elsewhere.
#[derive(Debug)]
pub struct Edit<E> {
    id: Box<str>,
    request_id: Option<RequestId>,
    editor: Option<E>,
}

impl<E: EditResult> Edit<E> {
    /// For the answer to `request`, of which `editor` may have something to say; none if it awaits no answer.
    pub fn of(request: &Request, editor: impl FnOnce(&Method) -> Option<E>) -> Option<Self> {
        let message = request.body().message()?;
        let (Kind::Request(method), Some(id)) = (message.kind(), Message::id(message)) else { return None };
        let request_id = request.extensions().get::<Arrival>().map(|arrival| arrival.request_id);
        Some(Self::new(id, request_id, editor(method)))
    }

    /// For the answer to the request with this id, JSON text as the client wrote it.
    pub fn new(id: &str, request_id: Option<RequestId>, editor: Option<E>) -> Self {
        Self { id: id.into(), request_id, editor }
    }

    /// The answer as the client may see it.
    pub fn response(self, response: Response) -> Response {
        let (head, reply) = response.into_parts();
        match reply {
            Reply::Full(_) if head.extensions.get::<OwnAnswer>().is_some() => Response::from_parts(head, reply),
            Reply::Full(body) => match self.message(&body, || Answer::read(&body), true) {
                Outcome::Judged(Verdict::Keep) => Response::from_parts(head, Reply::Full(body)),
                Outcome::Judged(Verdict::Replace(body)) => Response::from_parts(head, body.into()),
                Outcome::Judged(Verdict::Refuse(why)) | Outcome::Foreign(why) => {
                    tracing::warn!("{}: the upstream's answer is not passed on: {why}", E::POLICY);
                    self.refusal().answer(self.addressee())
                }
            },
            Reply::Events(_) => {
                let reply = reply.map_events(move |event| self.event(event));
                Response::from_parts(head, reply)
            }
            Reply::Empty => Response::from_parts(head, reply),
        }
    }

    fn event(&self, event: Event) -> Option<Event> {
        // Servers open a stream with an event without data, which only gives an id to resume from.
        let Some(data) = event.data().filter(|data| !data.is_empty()) else { return Some(event) };
        // The event has been read already, on its way here.
        let read = || event.answer().map_or_else(|| Answer::read(data), |read| read.copied().map_err(Clone::clone));
        match self.message(data, read, false) {
            Outcome::Judged(Verdict::Keep) => Some(event),
            Outcome::Judged(Verdict::Replace(body)) => Some(Event::message(&body)),
            Outcome::Foreign(why) => {
                tracing::warn!("{}: an event of the upstream is not passed on: {why}", E::POLICY);
                None
            }
            // It was the answer: nothing else will come for a caller to stop waiting.
            Outcome::Judged(Verdict::Refuse(why)) => {
                tracing::warn!("{}: the upstream's answer is not passed on: {why}", E::POLICY);
                Some(Event::message(&self.refusal().body(self.addressee())))
            }
        }
    }

    fn message(&self, body: &[u8], read: impl FnOnce() -> Result<Answer, Flaw>, whole: bool) -> Outcome {
        let outcome = self.judged(body, read, whole);
        let only_looks = self.editor.as_ref().is_some_and(E::only_looks);
        if only_looks { Outcome::Judged(Verdict::Keep) } else { outcome }
    }

    fn judged(&self, body: &[u8], read: impl FnOnce() -> Result<Answer, Flaw>, whole: bool) -> Outcome {
        if self.editor.as_ref().is_some_and(|editor| editor.passes(body)) {
            return Outcome::Judged(Verdict::Keep);
        }
        if let Some(known) = self.editor.as_ref().and_then(|editor| editor.known(body, &self.id)) {
            return Outcome::Judged(Verdict::Replace(known));
        }
        let answer = match read() {
            Ok(answer) => answer,
            Err(flaw) => return Outcome::Foreign(flaw.to_string()),
        };
        let ours = match answer.kind() {
            AnswerKind::Request | AnswerKind::Notification => !whole,
            // A server that could not make out the request says so without an id, or with one of its own making. Where
            // several messages come, one with another id may be about another request.
            AnswerKind::Error => {
                whole || answer.id().is_none_or(|id| id.of(body) == b"null") || answer.answers(body, &self.id)
            }
            AnswerKind::Result => answer.answers(body, &self.id),
        };
        match (&self.editor, answer.kind()) {
            _ if !ours => Outcome::Foreign("it answers another request".to_owned()),
            (Some(editor), AnswerKind::Result) => Outcome::Judged(editor.result(body, &answer, &self.id)),
            (Some(editor), _) => Outcome::Judged(editor.other(body, &answer)),
            (None, _) => Outcome::Judged(Verdict::Keep),
        }
    }

    fn refusal(&self) -> Refusal {
        self.editor.as_ref().map_or_else(|| Reason::UpstreamInvalid.into(), E::refusal)
    }

    fn addressee(&self) -> Addressee<'_> {
        Addressee { id: Some(&self.id), request_id: self.request_id.as_ref() }
    }
}

/// Passes a request on, edits what comes back, and notes there what was decided.
pub fn edited<E: EditResult>(
    request: Request,
    inner: &RouteService,
    edit: Option<Edit<E>>,
    decided: Vec<Decided>,
) -> Answered {
    let answer = inner.run(request);
    if edit.is_none() && decided.is_empty() {
        return answer;
    }
    then(answer, |mut response| {
        if let Some(edit) = edit {
            response = edit.response(response);
        }
        Decisions::add(&mut response, decided);
        response
    })
}

enum Outcome {
    Judged(Verdict),
    /// Not a message of this request's answer, or none at all.
    Foreign(String),
}
