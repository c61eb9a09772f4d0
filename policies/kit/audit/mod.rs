//! Writing down what was asked and what came of it.
//!
//! A policy that audits puts [`Audited`] into the request: layers further in note there what they find out, such as who
//! calls, so that whoever stands outside knows it when the answer comes back, and also when none comes. [`before_upstream`]
//! stands at the end of the chain: where the promise is [`Promise::FailClosed`], nothing passes it before the log has a row.

mod capture;
mod entry;

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderValue, header::RETRY_AFTER};
use tokio::time::Instant;

pub use self::{
    capture::{Capture, Captured, Detail, Kept},
    entry::{Decision, End, Entry, Fault, Origin, Subject},
};
use crate::kit::{
    chain::{Answer, Request, RouteLayer, RouteService, direct, refuse, then},
    clock::Clock,
    host::Caller,
    refusal::{Reason, Refusal},
};

/// Keeps rows of what happened.
pub trait AuditLog: fmt::Debug + Send + Sync {
    /// Takes a row, and does not wait. If it is lost, it is counted, and the log says so where it is missing.
    fn note(&self, entry: Entry);

    /// Keeps a row: it is there when this is done, or cannot be.
    fn keep(&self, entry: Entry) -> Keeping;
}

/// A row on its way to the disk.
pub type Keeping = Pin<Box<dyn Future<Output = Result<(), NotKept>> + Send>>;

/// The row is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKept;

/// What a route promises of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// No row, no call.
    FailClosed,
    /// Calls do not wait for rows, and each row that is lost is counted.
    Counted,
}

/// How one policy audits.
#[derive(Debug)]
pub struct Audit {
    /// Where rows go.
    pub log: Arc<dyn AuditLog>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What is promised of them.
    pub promise: Promise,
    /// What is kept of arguments.
    pub arguments: Capture,
    /// What is kept of results.
    pub results: Capture,
}

/// A fact: this request is audited.
#[derive(Clone, Debug)]
pub struct Audited(Arc<Case>);

#[derive(Debug)]
struct Case {
    audit: Arc<Audit>,
    subject: Subject,
    seen: Mutex<Seen>,
}

/// What became known on the way.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Who calls.
    pub caller: Option<Caller>,
    /// The arguments as the upstream got them.
    pub arguments: Option<Captured>,
    /// The number of the approval that the call waits for, or is made with.
    pub approval: Option<i64>,
    /// How often the request was sent to the upstream.
    pub sent: u8,
    /// How long the upstream took, up to the heads of its answers.
    pub upstream: Duration,
}

impl Audited {
    /// Begins to audit `request`.
    pub fn begin(audit: &Arc<Audit>, request: &Request) -> Self {
        let subject = Subject::of(request);
        Self(Arc::new(Case { audit: Arc::clone(audit), subject, seen: Mutex::default() }))
    }

    /// How it is audited.
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// What became known of it so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row about it; without an end, about what is going to happen.
    pub fn entry(&self, seen: Seen, end: Option<End>) -> Entry {
        let at = self.audit().clock.now();
        let Seen { caller, arguments, approval, .. } = seen;
        Entry { at, subject: self.subject().clone(), caller, arguments, approval, end }
    }

    /// The request is about to be sent. Where no call goes without a row, gives what must be waited for.
    fn sends(&self, request: &Request) -> Option<Keeping> {
        let arguments = self.audit().arguments.of_arguments(request);
        let mut seen = self.seen();
        seen.sent = seen.sent.saturating_add(1);
        seen.arguments = arguments;
        let waits = self.audit().promise == Promise::FailClosed;
        let proposed = waits.then(|| seen.clone());
        drop(seen);
        proposed.map(|seen| self.audit().log.keep(self.entry(seen, None)))
    }

    /// The request was not sent after all.
    fn takes_back(&self) {
        let mut seen = self.seen();
        seen.sent = seen.sent.saturating_sub(1);
    }
}

/// On an answer: what would have been sent was not, by a layer even closer to the upstream.
#[derive(Clone, Copy, Debug)]
pub struct NotSent;

/// Somebody was let in: later layers may rely on it, and the audit knows who it was.
pub fn enter(request: &mut Request, caller: Caller) {
    if let Some(audited) = request.extensions().get::<Audited>() {
        audited.seen().caller = Some(caller.clone());
    }
    request.extensions_mut().insert(caller);
}

/// A call waits for an approval, or is made with one: the audit knows which.
pub fn held(request: &Request, approval: i64) {
    if let Some(audited) = request.extensions().get::<Audited>() {
        audited.seen().approval = Some(approval);
    }
}

/// The layer at the end of a chain with an audit, next to the upstream.
pub fn before_upstream() -> RouteLayer {
    direct(|request, inner| match request.extensions().get::<Audited>() {
        Some(audited) if request.body().message().is_some() => send(audited.clone(), request, inner),
        _ => inner.run(request),
    })
}

fn send(audited: Audited, request: Request, inner: &RouteService) -> Answer {
    match audited.sends(&request) {
        None => {
            let started = Instant::now();
            timed(audited, started, inner.run(request))
        }
        Some(keeping) => {
            let inner = inner.clone();
            Box::pin(async move {
                if keeping.await.is_err() {
                    audited.takes_back();
                    return Ok(refuse(&request, unavailable()));
                }
                let started = Instant::now();
                timed(audited, started, inner.run(request)).await
            })
        }
    }
}

fn timed(audited: Audited, started: Instant, answer: Answer) -> Answer {
    then(answer, move |mut response| {
        match response.extensions_mut().remove() {
            None => audited.seen().upstream += started.elapsed(),
            Some(NotSent) => audited.takes_back(),
        }
        response
    })
}

fn unavailable() -> Refusal {
    Refusal::from(Reason::AuditUnavailable).with_header(RETRY_AFTER, HeaderValue::from_static("5"))
}
