//! The log for calls that are only rehearsed.

use std::future::ready;

use portcullis_policies::kit::audit::{AuditLog, Entry, Keeping};

/// Takes rows, and keeps none.
#[derive(Clone, Copy, Debug)]
pub struct Rehearsed;

impl AuditLog for Rehearsed {
    fn note(&self, _: Entry) {}

    fn keep(&self, _: Entry) -> Keeping {
        Box::pin(ready(Ok(())))
    }
}
