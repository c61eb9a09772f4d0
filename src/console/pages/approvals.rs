//! The pages of calls that wait.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::day;
use crate::{
    approvals::{ApprovalView, pretty},
    oauth::{
        SEAL,
        pages::{plain, show},
    },
    store::{ApprovalRecord, ApprovalState},
};

/// What waits for somebody, and what they asked for themselves.
#[derive(Template)]
#[template(path = "approvals.html", config = "src/console/pages/askama.toml")]
pub(in crate::console) struct Approvals {
    host: String,
    account: String,
    waiting: Vec<Call>,
    own: Vec<Call>,
    /// The route by whose sign-in they are signed in.
    way: String,
    sealed: String,
}

/// One call, in short.
struct Call {
    number: i64,
    tool: String,
    subject: String,
    route: String,
    since: String,
    until: String,
    state: String,
}

impl Approvals {
    pub(in crate::console) fn new(
        host: String,
        account: String,
        way: String,
        sealed: String,
        (waiting, own): (&[ApprovalRecord], &[ApprovalRecord]),
    ) -> Self {
        let rows = |calls: &[ApprovalRecord]| calls.iter().map(Call::from).collect();
        Self { host, account, waiting: rows(waiting), own: rows(own), way, sealed }
    }

    pub(in crate::console) fn show(&self, target: Option<String>) -> Response {
        show(StatusCode::OK, self, target)
    }
}

impl From<&ApprovalRecord> for Call {
    fn from(record: &ApprovalRecord) -> Self {
        Self {
            number: record.number,
            tool: plain(&record.tool),
            subject: plain(&record.subject),
            route: plain(&record.route),
            since: day(record.created_at),
            until: day(record.expires_at),
            state: state(record),
        }
    }
}

/// One call, with everything that it says.
#[derive(Template)]
#[template(path = "approval.html", config = "src/console/pages/askama.toml")]
pub(in crate::console) struct Approval {
    host: String,
    account: String,
    row: Call,
    asked_by: String,
    client: Option<String>,
    upstream: String,
    rule: String,
    arguments: String,
    may_decide: bool,
    may_withdraw: bool,
    notice: Option<&'static str>,
    /// The route by whose sign-in they are signed in.
    way: String,
    sealed: String,
}

impl Approval {
    pub(in crate::console) fn new(
        host: String,
        account: String,
        way: String,
        sealed: String,
        view: &ApprovalView,
    ) -> Self {
        let (record, asked) = (&view.record, &view.asked);
        let name = asked.email.as_ref().or(asked.name.as_ref()).map(|name| format!("{} · ", plain(name)));
        let waits = matches!(record.state, ApprovalState::Proposed | ApprovalState::Approved);
        Self {
            host,
            account,
            row: record.into(),
            asked_by: format!("{}{}", name.unwrap_or_default(), plain(&record.subject)),
            client: asked.client.as_deref().map(plain),
            upstream: plain(&record.upstream),
            rule: plain(&record.rule),
            arguments: pretty(&asked.arguments),
            may_decide: view.may_decide,
            may_withdraw: view.is_own && record.is_open && waits,
            notice: None,
            way,
            sealed,
        }
    }

    /// With what the reader must know first.
    pub(in crate::console) fn noting(self, notice: Option<&'static str>) -> Self {
        Self { notice, ..self }
    }

    pub(in crate::console) fn show(&self, status: StatusCode, target: Option<String>) -> Response {
        show(status, self, target)
    }
}

/// Where it stands, and who decided.
fn state(record: &ApprovalRecord) -> String {
    let state = match record.state {
        ApprovalState::Proposed => "waits for a decision",
        ApprovalState::Approved => "approved, and not made yet",
        ApprovalState::Denied => "denied",
        ApprovalState::Executed => "approved, and made",
        ApprovalState::Expired => "too late",
        ApprovalState::Withdrawn => "taken back by whoever made it",
        ApprovalState::Changed => "void, since something changed that it was for",
    };
    let decided = record.decided_by.as_deref().zip(record.decided_at);
    let by = decided.map(|(by, at)| format!("; decided by {} on {}", plain(by), day(at))).unwrap_or_default();
    let why = record.reason.as_deref().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
    format!("{state}{by}{why}")
}
