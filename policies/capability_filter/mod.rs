#![doc = include_str!("README.md")]

mod allow;
mod memo;
mod options;
mod template;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;

pub use self::options::{
    CapabilityFilterOptions, Entry, PromptProjection, ResourceProjection, TemplateProjection, ToolProjection,
};
use self::{allow::Allowed, memo::Memo};
use crate::kit::{
    answers::{Edit, EditResult, Verdict},
    catalogue::Catalogue,
    chain::{Request, Response, RouteLayer, edit_answers},
    credential::Connectable,
    host::Host,
    json::lookalike,
    listing::{self, ListKind},
    message::{Message, Method, TargetKind},
    policy::{Fact, Policy, Problem},
    refusal::{Reason, Refusal},
    rehearsal::Rehearsal,
    reply::Answer,
};

/// Exposes some of an upstream's tools, prompts and resources, and hides the rest.
#[derive(Debug)]
pub struct CapabilityFilter;

impl Policy for CapabilityFilter {
    const NAME: &'static str = "mcp-capability-filter";
    const ALIASES: &'static [&'static str] = &["mcp-capability-filter-inbound"];
    const SUMMARY: &'static str = "exposes an allow-list of tools, prompts and resources; hides and refuses the rest";
    const BEFORE: &'static [Fact] = &[Fact::RENAMED_TARGET, Fact::VALIDATED_CALL];
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
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

/// What the filter makes of the answer to one request.
struct Editor {
    filter: Arc<Filter>,
    concern: Concern,
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
        let editor = |method: &Method| {
            let concern = Concern::of(method, &self.allowed)?;
            Some(Editor { filter: Arc::clone(self), concern })
        };
        Ok(Edit::of(request, editor).map(|edit| move |response: Response| edit.response(response)))
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

impl EditResult for Editor {
    const POLICY: &'static str = CapabilityFilter::NAME;

    fn known(&self, body: &[u8], id: &str) -> Option<Bytes> {
        match self.concern {
            Concern::List(kind) => self.filter.memo.recall(kind, body, id),
            Concern::Capabilities | Concern::Read => None,
        }
    }

    fn result(&self, body: &[u8], answer: &Answer, id: &str) -> Verdict {
        match self.concern {
            Concern::List(kind) => self.list(kind, body, answer, id),
            Concern::Capabilities => {
                let withheld = self.filter.allowed.withheld();
                Verdict::with_result(body, answer, listing::capabilities(body, answer, withheld))
            }
            Concern::Read => Verdict::with_result(body, answer, listing::private(body, answer)),
        }
    }

    fn refusal(&self) -> Refusal {
        Refusal::new(Reason::UpstreamInvalid, "The upstream's answer cannot be filtered.")
    }
}

impl Editor {
    fn list(&self, kind: ListKind, body: &[u8], answer: &Answer, id: &str) -> Verdict {
        let Some(allowed) = self.filter.allowed.list(kind) else { return Verdict::Keep };
        match listing::list(body, answer, kind, |name, _| allowed.shows(name)) {
            Ok(rewritten) => {
                self.filter.compare(kind, rewritten.names, rewritten.complete);
                let parts = memo::Parts::new(body, answer, &rewritten.result);
                let replaced = parts.with_id(id);
                self.filter.memo.remember(kind, parts);
                Verdict::Replace(replaced)
            }
            Err(flaw) => Verdict::Refuse(flaw.to_string()),
        }
    }
}
