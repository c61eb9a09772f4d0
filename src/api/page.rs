//! Lists, a page at a time.

use portcullis_policies::kit::refusal::{Reason, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::wire::{id_of, parts_of};

/// Entries of a page, if nothing else is said, and at most.
const USUAL: u32 = 50;
const MOST: u32 = 200;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    /// Entries at most.
    #[schemars(range(min = 1, max = 200), extend("default" = 50))]
    pub(super) limit: Option<u32>,
    /// `next` of the page before. Without it, the first page.
    pub(super) cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(super) struct Page<T> {
    /// The entries.
    items: Vec<T>,
    /// The `cursor` of the next page; none, if this is the last one.
    next: Option<String>,
}

impl<T> Page<T> {
    /// These entries, and where the list goes on.
    pub(super) fn new(items: Vec<T>, next: Option<&impl Serialize>) -> Self {
        Self { items, next: next.map(id_of) }
    }

    /// Entries that were asked for with a limit. Where they fill it, the list goes on after the last one.
    pub(super) fn of<R, K: Serialize>(rows: &[R], limit: u32, place: impl FnOnce(&R) -> K) -> Self
    where
        T: for<'a> From<&'a R>,
    {
        let next = rows.last().filter(|_| rows.len() >= limit as usize).map(place);
        Self::new(rows.iter().map(T::from).collect(), next.as_ref())
    }

    /// The same page with other entries.
    pub(super) fn map(self, change: impl FnMut(T) -> T) -> Self {
        Self { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}

/// How many entries a page has.
pub(super) fn limit(wanted: Option<u32>) -> Result<u32, Refusal> {
    match wanted.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        other => Err(refused(format!("`limit` is {other}, and a page has from 1 to {MOST} entries."))),
    }
}

/// Where a page begins.
pub(super) fn place<K: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<K>, Refusal> {
    let read = |cursor| parts_of(cursor).ok_or_else(|| refused("`cursor` is not one of this list.".to_owned()));
    cursor.map(read).transpose()
}

fn refused(why: String) -> Refusal {
    Refusal::new(Reason::InvalidParams, why)
        .with_remedy("Take `cursor` from `next` of the page before, and leave `limit` out.")
}
