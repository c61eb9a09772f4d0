#![doc = include_str!("README.md")]

mod allow;
mod memo;
mod options;
mod rewrite;
mod template;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

pub use self::options::{
    CapabilityFilterOptions, Entry, PromptProjection, ResourceProjection, TemplateProjection, ToolProjection,
};
use self::{
    allow::{AllowList, Allowed, ListKind},
    memo::Memo,
};
use crate::kit::{
    catalogue::Catalogue,
    chain::{Arrival, Request, RequestId, Response, RouteLayer, edit_answers},
    credential::{Connectable, OwnAnswer},
    host::Host,
    json::Flaw,
    json::lookalike,
    message::{Kind, Message, Method, TargetKind},
    policy::{Fact, Policy, Problem},
    refusal::{Addressee, Reason, Refusal},
    reply::{Answer, AnswerKind, Event, Reply},
};

/// Exposes some of an upstream's tools, prompts and resources, and hides the rest.
#[derive(Debug)]
pub struct CapabilityFilter;

impl Policy for CapabilityFilter {
    const NAME: &'static str = "mcp-capability-filter";
    const ALIASES: &'static [&'static str] = &["mcp-capability-filter-inbound"];
    const SUMMARY: &'static str = "exposes an allow-list of tools, prompts and resources; hides and refuses the rest";
    const BEFORE: &'static [Fact] = &[Fact::RENAMED_TARGET];
    type Options = CapabilityFilterOptions;

    fn layer(options: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let filter = Arc::new(Filter::new(Allowed::new(options)?));
        Ok(edit_answers(move |request| filter.prepare(request)))
    }

    fn review(options: &Self::Options, upstream: &Catalogue) -> Vec<Problem> {
        Allowed::new(options.clone()).map_or_else(|problems| problems, |allowed| allowed.unmatched(upstream))
    }
}

struct Filter {
    allowed: Allowed,
    memo: Memo,
    /// Names seen in lists, until they have been compared with the entries.
    seen: Mutex<BTreeSet<(ListKind, String)>>,
}

/// What to do with the answer to one request.
struct Edit {
    filter: Arc<Filter>,
    id: Box<str>,
    request_id: Option<RequestId>,
    concern: Option<Concern>,
}

/// What of an answer is the filter's to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concern {
    List(ListKind),
    /// What the server says that it has.
    Capabilities,
    /// Who may keep what was read.
    Read,
}

impl Concern {
    fn of(method: &Method, allowed: &Allowed) -> Option<Self> {
        match method {
            Method::Initialize | Method::Discover => (!allowed.withheld().is_empty()).then_some(Self::Capabilities),
            Method::ReadResource => allowed.list(ListKind::Resources).map(|_| Self::Read),
            _ => ListKind::of(method).filter(|kind| allowed.list(*kind).is_some()).map(Self::List),
        }
    }
}

impl Filter {
    fn new(allowed: Allowed) -> Self {
        Self { allowed, memo: Memo::default(), seen: Mutex::default() }
    }

    /// Refuses what is not exposed; says how to edit the answer.
    fn prepare(
        self: &Arc<Self>,
        request: &mut Request,
    ) -> Result<Option<impl FnOnce(Response) -> Response + Send + use<>>, Refusal> {
        let Some(message) = request.body().message() else { return Ok(None) };
        self.judge(message, request.extensions().get())?;
        let (Kind::Request(method), Some(id)) = (message.kind(), message.id()) else { return Ok(None) };
        let concern = Concern::of(method, &self.allowed);
        let request_id = request.extensions().get::<Arrival>().map(|arrival| arrival.request_id);
        let edit = Edit { filter: Arc::clone(self), id: id.into(), request_id, concern };
        Ok(Some(move |response: Response| edit.response(response)))
    }

    fn judge(&self, message: &Message, connectable: Option<&Connectable>) -> Result<(), Refusal> {
        let hidden = |kind: &str, name: &str| {
            Err(Refusal::new(Reason::NotExposed, format!("This route exposes no {kind} {name:?}.")))
        };
        match message.target() {
            Some((TargetKind::Tool, name)) if !self.allowed.tool(name) => {
                if connectable.is_some_and(|connectable| connectable.is_tool(name)) {
                    Ok(())
                } else {
                    hidden("tool", name)
                }
            }
            Some((TargetKind::Prompt, name)) if !self.allowed.prompt(name) => hidden("prompt", name),
            Some((TargetKind::Resource, uri))
                if !self.allowed.uri(uri, message.method() == Some(&Method::Complete)) =>
            {
                hidden("resource", uri).map_err(|refusal| refusal.with_data("uri", uri))
            }
            _ if message.method() == Some(&Method::Listen) => {
                let subscribed = subscribed_uris(message)
                    .ok_or_else(|| Refusal::new(Reason::MessageTooComplex, "The subscription is nested too deeply."))?;
                match subscribed.iter().find(|uri| !self.allowed.uri(uri, false)) {
                    Some(uri) => hidden("resource", uri),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Says once which entries no list has ever shown: a typo must not look like an empty server.
    fn compare(&self, kind: ListKind, names: Vec<String>, complete: bool) {
        const MOST: usize = 50_000;
        let Some(list) = self.allowed.list(kind) else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST {
            seen.extend(names.into_iter().map(|name| (kind, name)));
        }
        if !complete || list.reported() {
            return;
        }
        let names: Vec<_> = seen.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str()).collect();
        for problem in list.unmatched(kind, &names) {
            tracing::warn!(
                at = problem.at,
                "mcp-capability-filter: {}; {}",
                problem.why,
                problem.hint.unwrap_or_default()
            );
        }
    }
}

/// The URIs in `subscriptions/listen`, wherever in the parameters the revision puts them and however a lenient upstream
/// lets their key be spelled; none if the parameters cannot be looked through.
fn subscribed_uris(message: &Message) -> Option<Vec<String>> {
    const KEY: &str = "resourceSubscriptions";
    let is_key = |key: &str| key == KEY || lookalike(key, &[KEY]).is_some();
    let params: Value = message.params().map_or(Ok(Value::Null), serde_json::from_str).ok()?;
    let (mut uris, mut open) = (Vec::new(), vec![(false, params)]);
    while let Some((inside, value)) = open.pop() {
        match value {
            Value::String(uri) if inside => uris.push(uri),
            Value::Array(items) => open.extend(items.into_iter().map(|item| (inside, item))),
            Value::Object(members) => {
                open.extend(members.into_iter().map(|(key, value)| (inside || is_key(&key), value)));
            }
            _ => {}
        }
    }
    Some(uris)
}

impl Edit {
    fn response(self, response: Response) -> Response {
        let (head, reply) = response.into_parts();
        match reply {
            Reply::Full(_) if head.extensions.get::<OwnAnswer>().is_some() => Response::from_parts(head, reply),
            Reply::Full(body) => match self.message(&body, || Answer::read(&body), true) {
                Verdict::Keep => Response::from_parts(head, Reply::Full(body)),
                Verdict::Replace(body) => Response::from_parts(head, body.into()),
                Verdict::Drop(why) | Verdict::Refuse(why) => {
                    tracing::warn!("mcp-capability-filter: the upstream's answer is not passed on: {why}");
                    unfilterable().answer(self.addressee())
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
            Verdict::Keep => Some(event),
            Verdict::Replace(body) => Some(Event::message(&body)),
            Verdict::Drop(why) => {
                tracing::warn!("mcp-capability-filter: an event of the upstream is not passed on: {why}");
                None
            }
            // It was the answer: nothing else will come for a caller to stop waiting.
            Verdict::Refuse(why) => {
                tracing::warn!("mcp-capability-filter: the upstream's answer is not passed on: {why}");
                Some(Event::message(&unfilterable().body(self.addressee())))
            }
        }
    }

    /// A list is filtered if it answers *this* request; an answer to any other has no business here and could smuggle an
    /// unfiltered list to a request that waits elsewhere.
    fn message(&self, body: &[u8], read: impl FnOnce() -> Result<Answer, Flaw>, whole: bool) -> Verdict {
        if let Some(Concern::List(kind)) = self.concern
            && let Some(known) = self.filter.memo.recall(kind, body, &self.id)
        {
            return Verdict::Replace(known);
        }
        let answer = match read() {
            Ok(answer) => answer,
            Err(flaw) => return Verdict::Drop(flaw.to_string()),
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
        if !ours {
            return Verdict::Drop("it answers another request".to_owned());
        }
        match (answer.kind(), self.concern) {
            (AnswerKind::Result, Some(Concern::List(kind))) => self.list(kind, body, &answer),
            (AnswerKind::Result, Some(Concern::Capabilities)) => {
                let withheld = self.filter.allowed.withheld();
                replaced(body, &answer, rewrite::capabilities(body, &answer, withheld))
            }
            (AnswerKind::Result, Some(Concern::Read)) => replaced(body, &answer, rewrite::private(body, &answer)),
            _ => Verdict::Keep,
        }
    }

    fn list(&self, kind: ListKind, body: &[u8], answer: &Answer) -> Verdict {
        let Some(allowed) = self.filter.allowed.list(kind) else { return Verdict::Keep };
        match rewrite::list(body, answer, kind, allowed) {
            Ok(rewritten) => {
                self.filter.compare(kind, rewritten.names, rewritten.complete);
                let parts = memo::Parts::new(body, answer, &rewritten.result);
                let replaced = parts.with_id(&self.id);
                self.filter.memo.remember(kind, parts);
                Verdict::Replace(replaced)
            }
            Err(flaw) => Verdict::Refuse(flaw.to_string()),
        }
    }

    fn addressee(&self) -> Addressee<'_> {
        Addressee { id: Some(&self.id), request_id: self.request_id.as_ref().map(RequestId::as_str) }
    }
}

/// The answer with this result, if it is another one.
fn replaced(body: &[u8], answer: &Answer, result: Result<Vec<u8>, Flaw>) -> Verdict {
    match result {
        Ok(result) if answer.payload().is_some_and(|old| old.of(body) == result) => Verdict::Keep,
        Ok(result) => Verdict::Replace(rewrite::with_result(body, answer, &result)),
        Err(flaw) => Verdict::Refuse(flaw.to_string()),
    }
}

fn unfilterable() -> Refusal {
    Refusal::new(Reason::UpstreamInvalid, "The upstream's answer cannot be filtered.")
}

enum Verdict {
    Keep,
    Replace(bytes::Bytes),
    /// Not an answer to this request.
    Drop(String),
    /// The answer to this request, and not fit to be shown.
    Refuse(String),
}

/// An allow-list of one kind, for the modules beside this one.
type List = AllowList;
