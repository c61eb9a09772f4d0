//! What happened: the rows that `audit-log` takes, in a chain that shows if it was changed.
//!
//! ```text
//! audit-log ─note, keep→ Handle → queue → Writer ─groups→ store, then Sinks
//!                                          └ Chain: number, hash of the row before, signed checkpoints
//! audit verify ← rows of the store, or of an exported file
//! ```
//!
//! Each process writes a chain of its own, so that several nodes do not wait for each other. The first row of a chain names
//! the ends of those before it.

mod chain;
mod counts;
mod handle;
mod house;
mod json;
mod key;
mod line;
mod otlp;
mod query;
mod rehearsed;
mod sinks;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use self::{
    counts::Counts,
    handle::Handle,
    json::VerdictJson,
    key::{AuditKey, PublicKey},
    query::{DECISIONS, Found, Page, Place, Wanted, page, query},
    rehearsed::Rehearsed,
    sinks::Sink,
    verify::{AllRows, Finding, Kind, Verdict, Verifier},
    writer::{Foundation, open},
};
