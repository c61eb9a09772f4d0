//! What a check finds.

use std::time::Duration;

use portcullis_policies::kit::words;
use url::{Position, Url};

use crate::fault::{Fault, Severity};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Some clients will have trouble.
    Warning,
    /// Clients cannot work with it.
    Failed,
    /// Not looked at: it does not apply, or something that it needs is missing.
    Skipped,
}

impl State {
    /// As people and programs read it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl From<Severity> for State {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Failed => Self::Failed,
        }
    }
}

/// What a check found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// How it came out.
    pub(super) state: State,
    /// What is wrong, if something is.
    pub(super) fault: Option<Fault>,
    /// What was seen: status, header, address.
    pub(super) evidence: String,
    /// What to do in this very case, where more is known than the fault says.
    fix: Option<String>,
    /// The server that it is about, where the report is about more than one.
    pub(super) server: Option<Url>,
    /// The address that it is about, where that is not the server's own.
    pub(super) at: Option<Url>,
}

impl Finding {
    /// As it should be.
    pub(super) fn ok(evidence: &str) -> Self {
        Self::new(State::Ok, None, evidence)
    }

    /// Not looked at, and why.
    pub(super) fn skipped(why: &str) -> Self {
        Self::new(State::Skipped, None, why)
    }

    /// Something is wrong.
    pub(super) fn of(fault: Fault, evidence: &str) -> Self {
        Self::new(fault.severity().into(), Some(fault), evidence)
    }

    /// The same about another address than the server's own.
    pub(super) fn at(self, at: &Url) -> Self {
        Self { at: Some(at.clone()), ..self }
    }

    /// The same with more that was seen.
    pub(super) fn and(self, evidence: &str) -> Self {
        Self { evidence: format!("{}; {}", self.evidence, words::plain(evidence, usize::MAX)), ..self }
    }

    /// The same about one of several servers, which the evidence names then.
    pub(super) fn of_server(self, server: &Url) -> Self {
        let name = shown(server);
        let is_named = self.evidence.contains(&name);
        let evidence = if is_named { self.evidence } else { format!("{name}: {}", self.evidence) };
        Self { evidence, server: Some(server.clone()), ..self }
    }

    /// The same with what to do in this very case.
    pub(super) fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(words::plain(&fix.into(), usize::MAX)), ..self }
    }

    /// What to do.
    pub(super) fn fix(&self) -> &str {
        self.fix.as_deref().or(self.fault.map(Fault::fix)).unwrap_or_default()
    }

    fn new(state: State, fault: Option<Fault>, evidence: &str) -> Self {
        Self { state, fault, evidence: words::plain(evidence, usize::MAX), fix: None, server: None, at: None }
    }
}

/// How long something took, as evidence.
pub(super) fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

/// An address as it may be shown: its query may hold a key.
pub(super) fn shown(url: &Url) -> String {
    let bare = &url[..Position::AfterPath];
    if url.query().is_some() { format!("{bare}?…") } else { bare.to_owned() }
}
