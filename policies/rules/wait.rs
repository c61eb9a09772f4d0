//! Answers that are held open until somebody has decided.
//!
//! The stream says from time to time what it waits for. A client that goes away takes its call back where its revision of MCP says
//! that this is what going away means; one with `notifications/cancelled` does so in the others.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::value::RawValue;
use tokio::time::{Interval, interval, timeout};

use super::{
    Judge, McpRules, arguments,
    hold::Case,
    page::is_shown,
    says::Said,
    with_last,
    words::{pending, refusal},
};
use crate::kit::{
    approval::{Standing, Ticket},
    call::{called, tool},
    chain::{Answer, Request, Response, RouteService, refuse},
    decision::{Decided, Decisions, LateDecisions, Undecided},
    definitions::Asker,
    message::Message,
    pages::complete,
    policy::Policy,
    refusal::{Reason, Refusal},
    reply::{Event, EventSource, Reply},
};

/// How often the stream says that it waits.
const REMIND: Duration = Duration::from_secs(10);

/// Names a call that waits, among those of its caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallName {
    route: Arc<str>,
    subject: Arc<str>,
    client: Option<String>,
    session: Option<HeaderValue>,
    id: Box<str>,
}

impl CallName {
    fn of(asker: &Asker, headers: &HeaderMap, id: &str) -> Option<Self> {
        let caller = asker.caller.as_ref()?;
        Some(Self {
            route: Arc::clone(&asker.route),
            subject: Arc::clone(&caller.subject),
            client: caller.client.clone(),
            session: headers.get("mcp-session-id").cloned(),
            id: id.into(),
        })
    }
}

impl Judge {
    /// Holds the answer open until somebody has decided, or for so long.
    pub(super) fn wait(
        self: &Arc<Self>,
        request: Request,
        case: &Case<'_>,
        ticket: Ticket,
        patience: Duration,
        inner: &RouteService,
    ) -> Response {
        let late = Undecided::default();
        let reminder = Reminder::of(&request, &ticket);
        let absence = self.absence(&request, &ticket);
        let closing = page_is_done(&request, &ticket).filter(|_| is_shown(&request, case));
        let rule = Arc::clone(&case.held.rule);
        let (this, inner, later) = (Arc::clone(self), inner.clone(), late.clone());
        let answer: Answer = Box::pin(async move {
            let Ok(mut response) = this.when_decided(request, ticket, patience, &inner).await;
            tell(&mut response, &later);
            Ok(response)
        });
        let waiting = Waiting { state: State::Undecided(answer), reminder, absence, closing };
        let mut response = Response::new(Reply::Events(Box::new(waiting)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        Decisions::add(&mut response, vec![Decided { policy: McpRules::NAME, rule, outcome: "held" }]);
        LateDecisions::add(&mut response, late);
        response
    }

    async fn when_decided(
        self: &Arc<Self>,
        request: Request,
        ticket: Ticket,
        patience: Duration,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        let Some(approvals) = &self.approvals else {
            return Ok(refuse(&request, Reason::ApprovalUnavailable.into()));
        };
        let tool = tool(&request);
        let before = approvals.configuration();
        let settled = timeout(patience, approvals.settled(&ticket)).await;
        let is_settled = matches!(settled, Ok(Ok(_)));
        // These may not be the rules that are in force by now: those judge the call when it is repeated.
        let is_outdated = approvals.configuration() != before;
        let answer = match settled {
            Ok(Ok(settled)) if settled.standing != Standing::Approved => {
                let refusal = refusal(&settled, &tool).unwrap_or_else(|| Reason::ApprovalChanged.into());
                Ok(self.refused(&request, refusal))
            }
            _ if is_outdated => Ok(pending(&request, &ticket, &tool, self.clock.now())),
            Ok(Ok(settled)) => self.dispatch(request, &tool, &settled, inner).await,
            Ok(Err(refusal)) => Ok(refuse(&request, refusal)),
            Err(_) => self.answer_now(request, &tool, inner).await,
        };
        answer.map(|mut response| {
            if is_settled {
                response.extensions_mut().insert(Settled);
            }
            response
        })
    }

    /// Nobody approved it, as the rules' last word.
    fn refused(&self, request: &Request, refusal: Refusal) -> Response {
        let known = self.known.of(request, called(request)).unwrap_or_default();
        let arguments = arguments(request).unwrap_or_default();
        let judgement = self.rules.judge(&self.about_call(request, known.annotations, &arguments));
        let mut response = refuse(request, refusal);
        Decisions::add(&mut response, with_last(&judgement, "refused"));
        response
    }

    /// Sees to it that a call is taken back if its client gives it up.
    fn absence(self: &Arc<Self>, request: &Request, ticket: &Ticket) -> Option<Absence> {
        let message = request.body().message()?;
        let asker = Asker::of(request);
        let name = CallName::of(&asker, request.headers(), Message::id(message)?)?;
        let absence = Absence {
            judge: Arc::clone(self),
            name: name.clone(),
            ticket: ticket.clone(),
            is_given_up: message.is_modern(),
        };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(name, ticket.clone());
        Some(absence)
    }

    /// A client of before 2026-07-28 says that it gives up a call.
    pub(super) fn cancelled(&self, request: &Request) {
        let id = request.body().message().and_then(Message::params).and_then(|params| {
            let mut params: Said = serde_json::from_str(params).ok()?;
            params.remove("requestId")
        });
        let Some(name) = id.and_then(|id| CallName::of(&Asker::of(request), request.headers(), id.get())) else {
            return;
        };
        let ticket = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        if let (Some(ticket), Some(approvals)) = (ticket, &self.approvals) {
            approvals.withdraw(&ticket, &name.subject);
        }
    }
}

/// What was decided after the stream began.
fn tell(response: &mut Response, late: &Undecided) {
    let facts = response.extensions_mut();
    // That it waits was said when the stream began.
    let is_new = |decided: &Decided| decided.policy != McpRules::NAME || decided.outcome != "held";
    let decided = facts.remove::<Decisions>().unwrap_or_default().0.into_iter().filter(is_new);
    decided.for_each(|decided| late.note(decided));
    for later in facts.remove::<LateDecisions>().unwrap_or_default().0 {
        let late = late.clone();
        later.listen(move |decided| late.note(decided));
    }
}

/// On an answer: somebody has decided.
#[derive(Clone, Copy)]
struct Settled;

/// A stream whose answer is still to come.
struct Waiting {
    state: State,
    reminder: Reminder,
    absence: Option<Absence>,
    /// What is said once somebody has decided, before the answer.
    closing: Option<Event>,
}

enum State {
    Undecided(Answer),
    /// The upstream's own stream.
    Answering(Box<dyn EventSource>),
    /// The answer is one message, if that.
    Answered(Option<Event>),
}

impl EventSource for Waiting {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            match &mut self.state {
                State::Undecided(answer) => match answer.as_mut().poll(context) {
                    Poll::Pending => return self.reminder.poll(context).map(Some),
                    Poll::Ready(Ok(response)) => self.decided(response),
                },
                _ if self.closing.is_some() => return Poll::Ready(self.closing.take()),
                State::Answering(source) => return source.poll_event(context),
                State::Answered(event) => return Poll::Ready(event.take()),
            }
        }
    }
}

impl Waiting {
    fn decided(&mut self, response: Response) {
        if let Some(mut absence) = self.absence.take() {
            absence.is_given_up = false;
        }
        if response.extensions().get::<Settled>().is_none() {
            self.closing = None;
        }
        self.state = match response.into_body() {
            Reply::Events(source) => State::Answering(source),
            Reply::Full(body) => State::Answered(Some(Event::message(&body))),
            Reply::Empty => State::Answered(None),
        };
    }
}

/// Tells a client of 2025-11-25 that the page which it was asked to open is done with.
fn page_is_done(request: &Request, ticket: &Ticket) -> Option<Event> {
    let is_modern = request.body().message().is_none_or(Message::is_modern);
    (!is_modern).then(|| Event::message(complete(&ticket.id).as_bytes()))
}

/// What a stream says while it waits: progress to clients that asked for it, to others only that it is alive.
struct Reminder {
    clock: Interval,
    token: Option<Box<RawValue>>,
    said: u32,
    message: String,
}

impl Reminder {
    fn of(request: &Request, ticket: &Ticket) -> Self {
        let page = ticket.url.as_ref().map(|url| format!(": {url}")).unwrap_or_default();
        let message = format!("waiting for approval #{}{page}", ticket.number);
        Self { clock: interval(REMIND), token: progress_token(request), said: 0, message }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        ready!(self.clock.poll_tick(context));
        self.said += 1;
        let Some(token) = &self.token else { return Poll::Ready(Event::comment(": waiting for an approval\n\n")) };
        let (said, message) = (self.said, serde_json::Value::from(self.message.as_str()));
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{},"progress":{said},"message":{message}}}}}"#,
            token.get()
        );
        Poll::Ready(Event::message(text.as_bytes()))
    }
}

fn progress_token(request: &Request) -> Option<Box<RawValue>> {
    let mut params: Said = serde_json::from_str(request.body().message()?.params()?).ok()?;
    let mut meta: Said = serde_json::from_str(params.remove("_meta")?.get()).ok()?;
    meta.remove("progressToken")
}

/// Notices that nobody waits for the answer any more.
struct Absence {
    judge: Arc<Judge>,
    name: CallName,
    ticket: Ticket,
    /// Is the call given up if this is dropped?
    is_given_up: bool,
}

impl Drop for Absence {
    fn drop(&mut self) {
        self.judge.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        if let Some(approvals) = self.judge.approvals.as_ref().filter(|_| self.is_given_up) {
            approvals.withdraw(&self.ticket, &self.name.subject);
        }
    }
}
