//! Looking at what waits, and approving it: for the command, and for whatever else people decide with.

use std::fmt;

use portcullis_policies::{
    kit::{
        canonical::canonical_value,
        pins::{Standing, ToolDigest},
    },
    tool_pinning::visible,
};
use serde_json::{Value, json};

use super::{Difference, compare};
use crate::{
    store::{Kept, PinRecord, Store, StoreError, Tenant},
    wire::date,
};

/// The shortest beginning of a digest that names a definition.
const SHORTEST: usize = 8;

/// Why nothing was approved.
#[derive(Debug)]
pub enum NotApproved {
    /// The digest is too short to name anything.
    TooShort,
    /// Nothing is kept of it.
    Unknown,
    /// The policy of its route blocks it.
    Blocked,
    /// It is another definition by now.
    Changed,
    /// The store does not answer.
    Store(StoreError),
}

impl fmt::Display for NotApproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "the digest is too short; `portcullis pins diff` says it"),
            Self::Unknown => write!(f, "nothing is kept of that; `portcullis pins list` shows what is"),
            Self::Blocked => write!(
                f,
                "the policy of its route blocks it (`onChange`, `onNew` or `onFlag`), so nobody can approve it"
            ),
            Self::Changed => write!(
                f,
                "what waits is another definition by now, so nothing was approved; look at `portcullis pins diff` again"
            ),
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for NotApproved {}

impl From<StoreError> for NotApproved {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl PinRecord {
    /// Is what waits the pinned definition itself, which nobody has approved yet?
    pub fn waits_as_it_is(&self) -> bool {
        self.good.as_ref().map(|good| good.digest) == self.waiting.as_ref().map(|waiting| waiting.digest)
    }

    /// Where it stands, in one line.
    pub fn state(&self) -> String {
        let good = self.good.as_ref().map(|good| match &self.approved_by {
            Some(by) => format!("approved by {} at {}", visible(by), date(good.at)),
            None => format!("first seen at {}", date(good.at)),
        });
        let waiting = self.waiting.as_ref().zip(self.standing).map(|(waiting, standing)| {
            let what = match &self.good {
                Some(_) if self.waits_as_it_is() => "not approved",
                Some(_) => "changed",
                None => "new",
            };
            format!("{what}, {} since {}", standing.name(), date(waiting.at))
        });
        good.into_iter().chain(waiting).collect::<Vec<_>>().join("; ")
    }

    /// In what the definition that waits differs from the one that is good.
    pub fn differences(&self) -> Vec<Difference> {
        let read = |kept: &Kept| serde_json::from_str::<Value>(&kept.text).unwrap_or_default();
        let Some(waiting) = &self.waiting else { return Vec::new() };
        let good = self.good.as_ref().filter(|_| !self.waits_as_it_is()).map(read);
        compare(good.as_ref(), &read(waiting))
    }

    /// Is there something that somebody may approve?
    pub fn can_be_approved(&self) -> bool {
        self.waiting.is_some() && self.standing != Some(Standing::Blocked)
    }
}

/// Names all that may be approved of some records together.
pub fn together(records: &[PinRecord]) -> ToolDigest {
    let waiting = records.iter().filter(|record| record.can_be_approved());
    let each =
        waiting.map(|record| json!([record.tool, record.waiting.as_ref().map(|kept| format!("{:?}", kept.digest))]));
    ToolDigest::of(&canonical_value(&each.collect()))
}

/// Approves the definition with this digest of a tool; without a tool, all that waits, if [`together`] says so. Gives the tools.
pub async fn approve(
    store: &Store,
    tenant: &Tenant,
    upstream: &str,
    tool: Option<&str>,
    digest: &str,
    by: &str,
) -> Result<Vec<String>, NotApproved> {
    if digest.len() < SHORTEST {
        return Err(NotApproved::TooShort);
    }
    let mut records = store.pins_of(tenant, upstream).await?;
    records.retain(|record| tool.is_none_or(|tool| record.tool == tool));
    let meant = match tool {
        Some(_) => vec![one(records.first().ok_or(NotApproved::Unknown)?, digest)?],
        None => all(&records, digest)?,
    };
    let mut work = store.begin(tenant).await?;
    for (tool, digest) in &meant {
        if !work.approve_pin(upstream, tool, *digest, by).await? {
            return Err(NotApproved::Changed);
        }
    }
    work.commit().await?;
    Ok(meant.into_iter().map(|(tool, _)| tool).collect())
}

/// Forgets what a tool is pinned to; without a tool, all tools of an upstream. How many there were.
pub async fn forget(store: &Store, tenant: &Tenant, upstream: &str, tool: Option<&str>) -> Result<u64, StoreError> {
    let mut work = store.begin(tenant).await?;
    let forgotten = match tool {
        Some(tool) => u64::from(work.forget_pin(upstream, tool).await?),
        None => work.forget_pins(upstream).await?,
    };
    if forgotten > 0 {
        work.commit().await?;
    }
    Ok(forgotten)
}

fn one(record: &PinRecord, digest: &str) -> Result<(String, ToolDigest), NotApproved> {
    let named = |kept: &Option<Kept>| kept.as_ref().map(|kept| kept.digest).filter(|known| names(digest, *known));
    match named(&record.waiting) {
        Some(_) if !record.can_be_approved() => Err(NotApproved::Blocked),
        known => {
            let known = known.or_else(|| named(&record.good)).ok_or(NotApproved::Changed)?;
            Ok((record.tool.clone(), known))
        }
    }
}

fn all(records: &[PinRecord], digest: &str) -> Result<Vec<(String, ToolDigest)>, NotApproved> {
    let waiting = records.iter().filter(|record| record.can_be_approved());
    let waiting: Vec<_> =
        waiting.filter_map(|record| Some((record.tool.clone(), record.waiting.as_ref()?.digest))).collect();
    if waiting.is_empty() || !names(digest, together(records)) { Err(NotApproved::Changed) } else { Ok(waiting) }
}

fn names(beginning: &str, digest: ToolDigest) -> bool {
    format!("{digest:?}").starts_with(&beginning.to_ascii_lowercase())
}
