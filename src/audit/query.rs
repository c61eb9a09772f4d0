//! Looking for rows, the newest first.

use std::{collections::HashSet, time::Duration};

use portcullis_policies::kit::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{AuditRow, Store, StoreError, Tenant};

/// Rows that are read at once, and ends of requests that are remembered.
const PAGE: u32 = 500;
const REMEMBERED: usize = 100_000;
/// Where a page goes on from another one, the ends of calls are looked for in what came so long after, and in so much of it.
const LONGEST_CALL: Duration = Duration::from_mins(15);
const PAGES_OF_ENDS: usize = 20;

/// What rows say was decided: by rules, and by people or nobody about what was held.
pub const DECISIONS: [&str; 8] =
    ["allowed", "denied", "held", "undecided", "approved", "withdrawn", "expired", "changed"];

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
    /// One of [`DECISIONS`].
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

/// A row's place among all, the newest first: what comes next is older.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(i64, String, i64);

/// Rows that were found, and where looking goes on.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows; there may be fewer than there is room for, also where there are more.
    pub found: Vec<Found>,
    /// Where the next page begins, unless all has been looked at.
    pub next: Option<Place>,
}

/// A row that was wanted.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it says.
    pub row: Value,
    /// The call was about to be made, and nothing says how it ended.
    pub end_unknown: bool,
}

impl Found {
    /// The row, which says so if its end is unknown.
    pub fn into_row(self) -> Value {
        let Self { mut row, end_unknown } = self;
        if end_unknown {
            row["end"] = "unknown".into();
        }
        row
    }
}

impl Place {
    fn newest() -> Self {
        Self(i64::MAX, String::new(), i64::MAX)
    }

    fn of(row: &AuditRow) -> Self {
        Self(row.at.as_millis(), row.chain.clone(), row.number)
    }
}

/// The rows that are wanted, the newest first. Of a request of which the end is known, the row of the end.
pub async fn query(store: &Store, tenant: &Tenant, wanted: &Wanted) -> Result<Vec<Found>, StoreError> {
    Ok(look_back(store, tenant, wanted, (Place::newest(), Ends::default()), usize::MAX).await?.found)
}

/// The next of them, from this place on, after looking at so many rows at most.
pub async fn page(
    store: &Store,
    tenant: &Tenant,
    wanted: &Wanted,
    from: Option<Place>,
    most: usize,
) -> Result<Page, StoreError> {
    let begin = match from {
        Some(place) => {
            let ends = Ends::after(store, tenant, &place).await?;
            (place, ends)
        }
        None => (Place::newest(), Ends::default()),
    };
    look_back(store, tenant, wanted, begin, most).await
}

async fn look_back(
    store: &Store,
    tenant: &Tenant,
    wanted: &Wanted,
    (mut place, mut ends): (Place, Ends),
    most: usize,
) -> Result<Page, StoreError> {
    let (mut found, mut looked) = (Vec::new(), 0_usize);
    let since = wanted.since.unwrap_or_default();
    while looked < most {
        let rows = back(store, tenant, &place, since).await?;
        if rows.is_empty() {
            return Ok(Page { found, next: None });
        }
        looked += rows.len();
        for row in &rows {
            place = Place::of(row);
            found.extend(ends.look(row, wanted));
            if found.len() >= wanted.limit {
                return Ok(Page { found, next: Some(place) });
            }
        }
    }
    Ok(Page { found, next: Some(place) })
}

async fn back(store: &Store, tenant: &Tenant, place: &Place, since: Timestamp) -> Result<Vec<AuditRow>, StoreError> {
    let Place(at, chain, number) = place;
    store.audit_rows_back(tenant, (Timestamp::from_millis(*at), chain, *number), since, PAGE).await
}

/// Which requests have ended, as far as is known.
#[derive(Default)]
struct Ends {
    requests: HashSet<String>,
    /// Rows were passed over in which more ends may stand.
    is_partial: bool,
}

impl Ends {
    /// Those after a place, as far as calls last that long: of them only the ends are shown.
    async fn after(store: &Store, tenant: &Tenant, place: &Place) -> Result<Self, StoreError> {
        let (mut ends, since) = (Self::default(), Timestamp::from_millis(place.0));
        let mut at = Place(since.plus(LONGEST_CALL).as_millis(), String::new(), i64::MAX);
        for _ in 0..PAGES_OF_ENDS {
            let rows = back(store, tenant, &at, since).await?;
            if rows.is_empty() {
                return Ok(ends);
            }
            for row in &rows {
                at = Place::of(row);
                if at == *place {
                    return Ok(ends);
                }
                ends.hear(&serde_json::from_str(&row.line).unwrap_or_default());
            }
        }
        ends.is_partial = true;
        Ok(ends)
    }

    fn hear(&mut self, row: &Value) {
        if row["stage"] != "ended" {
            return;
        }
        if self.requests.len() < REMEMBERED {
            self.requests.extend(row["requestId"].as_str().map(ToOwned::to_owned));
        } else {
            self.is_partial = true;
        }
    }

    fn look(&mut self, row: &AuditRow, wanted: &Wanted) -> Option<Found> {
        let value: Value = serde_json::from_str(&row.line).ok()?;
        self.hear(&value);
        let is_proposed = value["stage"] == "proposed";
        let is_ended = is_proposed && value["requestId"].as_str().is_some_and(|id| self.requests.contains(id));
        let fits = !is_ended && wanted.until.is_none_or(|until| row.at <= until) && wanted.fits(&value);
        fits.then_some(Found { row: value, end_unknown: is_proposed && !self.is_partial })
    }
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
