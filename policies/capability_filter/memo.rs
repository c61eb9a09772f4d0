//! Lists that were filtered before.
//!
//! An upstream gives the same list again and again, and only the id in it differs. Comparing bytes is some ten times
//! cheaper than reading them, and it is exact: the same text with the same edits gives the same answer.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::kit::{listing::ListKind, reply::Answer};

/// Pages remembered by one filter.
const PAGES: usize = 8;
/// The longest page remembered, in bytes.
const PAGE_BYTES: usize = 256 << 10;

/// The last few pages.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<Vec<(ListKind, Arc<Parts>)>>);

/// An answer around its id, before and after filtering.
#[derive(Debug)]
pub(super) struct Parts {
    before: Bytes,
    after: Bytes,
    filtered_before: Bytes,
    filtered_after: Bytes,
}

impl Memo {
    /// The filtered answer, if `body` is an answer that was filtered before, with this id.
    pub(super) fn recall(&self, kind: ListKind, body: &[u8], id: &str) -> Option<Bytes> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pages.iter().find(|(of, parts)| *of == kind && parts.is(body, id))?;
        let parts = Arc::clone(&known.1);
        drop(pages);
        Some(parts.with_id(id))
    }

    pub(super) fn remember(&self, kind: ListKind, parts: Parts) {
        if parts.before.len() + parts.after.len() > PAGE_BYTES {
            return;
        }
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() == PAGES {
            pages.remove(0);
        }
        pages.push((kind, Arc::new(parts)));
    }
}

impl Parts {
    /// Takes an answer apart; `result` is its filtered result.
    pub(super) fn new(body: &[u8], answer: &Answer, result: &[u8]) -> Self {
        let id = answer.id().map_or(0..0, |id| id.range());
        let old = answer.payload().map_or(0..0, |payload| payload.range());
        let (before, after) = (&body[..id.start], &body[id.end..]);
        let (filtered_before, filtered_after) = if id.start < old.start {
            (before.to_vec(), [&body[id.end..old.start], result, &body[old.end..]].concat())
        } else {
            ([&body[..old.start], result, &body[old.end..id.start]].concat(), after.to_vec())
        };
        Self {
            before: Bytes::copy_from_slice(before),
            after: Bytes::copy_from_slice(after),
            filtered_before: filtered_before.into(),
            filtered_after: filtered_after.into(),
        }
    }

    /// The filtered answer to the request with this id.
    pub(super) fn with_id(&self, id: &str) -> Bytes {
        let mut body = BytesMut::with_capacity(self.filtered_before.len() + id.len() + self.filtered_after.len());
        body.extend_from_slice(&self.filtered_before);
        body.extend_from_slice(id.as_bytes());
        body.extend_from_slice(&self.filtered_after);
        body.freeze()
    }

    fn is(&self, body: &[u8], id: &str) -> bool {
        body.len() == self.before.len() + id.len() + self.after.len()
            && body.starts_with(&self.before)
            && body.ends_with(&self.after)
            && &body[self.before.len()..self.before.len() + id.len()] == id.as_bytes()
    }
}
