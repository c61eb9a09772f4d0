//! Looking for rows, the newest first.

use std::collections::HashSet;

use portcullis_policies::kit::clock::Timestamp;
use serde_json::Value;

use crate::store::{AuditRow, Store, StoreError, Tenant};

/// Rows that are read at once, and ends of requests that are remembered.
const PAGE: u32 = 500;
const REMEMBERED: usize = 100_000;

/// Which rows are wanted. What is not said fits every row.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Not older.
    pub since: Option<Timestamp>,
    /// Not newer.
    pub until: Option<Timestamp>,
    /// The subject or the e-mail address of the caller.
    pub user: Option<String>,
    /// The route's path.
    pub route: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The reason code, or the class of the error.
    pub reason: Option<String>,
    /// `allowed`, `denied`, `held` or `undecided`; of what became of held calls, `approved` and so on.
    pub decision: Option<String>,
    /// `call`, or `decision`: what became of a held call.
    pub kind: Option<String>,
    /// The number of the approval that a call waited for.
    pub approval: Option<i64>,
    /// The request's id.
    pub request_id: Option<String>,
    /// Rows at most.
    pub limit: usize,
}

/// A row that was wanted.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it says.
    pub row: Value,
    /// The call was about to be made, and nothing says how it ended.
    pub end_unknown: bool,
}

/// The rows that are wanted, the newest first. Of a request of which the end is known, the row of the end.
pub async fn query(store: &Store, tenant: &Tenant, wanted: &Wanted) -> Result<Vec<Found>, StoreError> {
    let (mut found, mut ended) = (Vec::new(), HashSet::new());
    let since = wanted.since.unwrap_or_default();
    let mut before = (Timestamp::from_millis(i64::MAX), String::new(), i64::MAX);
    loop {
        let place = (before.0, before.1.as_str(), before.2);
        let page = store.audit_rows_back(tenant, place, since, PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        before = (last.at, last.chain.clone(), last.number);
        for row in &page {
            found.extend(look(row, wanted, &mut ended));
            if found.len() >= wanted.limit {
                return Ok(found);
            }
        }
    }
}

fn look(row: &AuditRow, wanted: &Wanted, ended: &mut HashSet<String>) -> Option<Found> {
    let value: Value = serde_json::from_str(&row.line).ok()?;
    let request = value["requestId"].as_str().unwrap_or_default();
    let is_proposed = value["stage"] == "proposed";
    let is_ended = is_proposed && ended.contains(request);
    if value["stage"] == "ended" && ended.len() < REMEMBERED {
        ended.insert(request.to_owned());
    }
    let fits = !is_ended && wanted.until.is_none_or(|until| row.at <= until) && wanted.fits(&value);
    fits.then_some(Found { row: value, end_unknown: is_proposed })
}

impl Wanted {
    fn fits(&self, row: &Value) -> bool {
        let is = |wanted: &Option<String>, places: &[&str]| {
            let said = |wanted: &String| places.iter().any(|place| row.pointer(place) == Some(&Value::from(&**wanted)));
            wanted.as_ref().is_none_or(said)
        };
        (row["kind"] == "call" || row["kind"] == "decision")
            && is(&self.kind, &["/kind"])
            && self.approval.is_none_or(|number| row["approval"] == number)
            && is(&self.user, &["/caller/subject", "/caller/email"])
            && is(&self.route, &["/route"])
            && is(&self.tool, &["/target/name"])
            && is(&self.reason, &["/error/reason", "/error/class"])
            && is(&self.decision, &["/decision"])
            && is(&self.request_id, &["/requestId"])
            || (row["kind"] == "gap" && self.is_any())
    }

    /// Gaps are of no request in particular.
    fn is_any(&self) -> bool {
        let words = [&self.user, &self.route, &self.tool, &self.reason, &self.decision, &self.kind, &self.request_id];
        self.approval.is_none() && words.iter().all(|wanted| wanted.is_none())
    }
}
