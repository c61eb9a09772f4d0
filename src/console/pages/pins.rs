//! The pages of pinned tools.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use portcullis_policies::tool_pinning::visible;

use crate::{
    approvals::pretty,
    oauth::{SEAL, pages::show},
    pins::Difference,
    store::{Kept, PinRecord},
};

/// The tools of which something is kept.
#[derive(Template)]
#[template(path = "pins.html", config = "src/console/pages/askama.toml")]
pub(in crate::console) struct Pins {
    pub(in crate::console) host: String,
    pub(in crate::console) account: String,
    /// The route by whose sign-in they are signed in.
    pub(in crate::console) way: String,
    pub(in crate::console) sealed: String,
    pub(in crate::console) rows: Vec<PinEntry>,
    /// Only those of which something waits.
    pub(in crate::console) waiting: bool,
    /// Where there are more.
    pub(in crate::console) next: Option<String>,
}

impl Pins {
    pub(in crate::console) fn show(&self, target: Option<String>) -> Response {
        show(StatusCode::OK, self, target)
    }
}

/// One tool, in short.
pub(in crate::console) struct PinEntry {
    id: String,
    tool: String,
    upstream: String,
    state: String,
    waits: bool,
}

impl From<&PinRecord> for PinEntry {
    fn from(record: &PinRecord) -> Self {
        Self {
            id: record.id(),
            tool: visible(&record.tool),
            upstream: visible(&record.upstream),
            state: record.state(),
            waits: record.can_be_approved(),
        }
    }
}

/// One tool, with what has changed in it.
#[derive(Template)]
#[template(path = "pin.html", config = "src/console/pages/askama.toml")]
pub(in crate::console) struct Pin {
    host: String,
    account: String,
    way: String,
    sealed: String,
    row: PinEntry,
    flags: Vec<String>,
    differences: Vec<Difference>,
    /// What can be approved, and what is shown of it.
    digest: Option<(String, String)>,
    is_new: bool,
    is_blocked: bool,
    pinned: Option<String>,
    notice: Option<&'static str>,
}

impl Pin {
    pub(in crate::console) fn new(
        host: String,
        account: String,
        way: String,
        sealed: String,
        record: &PinRecord,
    ) -> Self {
        let row = PinEntry::from(record);
        // What was there first can be approved too.
        let first = record.good.as_ref().filter(|_| record.approved_by.is_none() && record.waiting.is_none());
        let digest = record.waiting.as_ref().filter(|_| row.waits).or(first);
        Self {
            flags: record.flags.iter().map(|flag| visible(flag)).collect(),
            differences: record.differences(),
            digest: digest.map(|kept| (format!("{:?}", kept.digest), kept.digest.short())),
            is_new: record.good.is_none(),
            is_blocked: record.waiting.is_some() && !row.waits,
            pinned: record.good.as_ref().map(|Kept { text, .. }| pretty(text)),
            notice: None,
            host,
            account,
            way,
            sealed,
            row,
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
