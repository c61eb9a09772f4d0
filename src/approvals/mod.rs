//! Calls that wait until a person approves them: what policies ask, and what people decide.
//!
//! ```text
//! a call ──propose──▶ kept, told as pending ──repeated──▶ what became of it ──approved──▶ taken, once, and made
//!                          ▲ a page, or `portcullis approvals`: approve, deny, take back
//! ```
//!
//! Everything is in the store, so calls wait through restarts, and any node may decide or make them.

mod decide;
mod handle;
mod json;
mod listen;
mod messages;
mod names;
mod propose;
mod rehearsed;
mod shown;
#[cfg(test)]
mod tests;
mod view;

use std::{fmt, sync::Arc};

use portcullis_policies::kit::{clock::Clock, host::Identity};
use tokio::sync::Notify;

use self::listen::News;
pub use self::{
    decide::{NotDecided, Verdict},
    handle::Handle,
    json::{ApprovalJson, HeldJson},
    messages::{Counts, Webhook},
    rehearsed::Rehearsed,
    shown::pretty,
    view::{ApprovalView, Asked},
};
use crate::{
    audit,
    store::{Store, Tenant},
};

/// The page of all of them; that of one is below it.
pub const PAGE: &str = "/approvals";

/// Calls that wait. Cloning is one reference count.
#[derive(Clone, Debug)]
pub struct ApprovalDesk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    /// The gateway's public origin, for links.
    origin: Option<String>,
    configurations: Option<Arc<dyn Configurations>>,
    /// Told when there is something to write down.
    audit: Option<audit::Handle>,
    /// Does somebody get messages about new calls?
    tells: bool,
    /// Told when there may be one.
    messages: Notify,
    news: News,
}

/// The configurations that are in force, one after the other.
pub trait Configurations: fmt::Debug + Send + Sync {
    /// Another number for each.
    fn version(&self) -> u64;
}

/// Who decides.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// Somebody who is signed in with a browser, or a program with its key.
    Person(&'a Identity),
    /// Whoever may run commands on the store.
    Operator(&'a str),
}

impl ApprovalDesk {
    /// The calls that `store` keeps. Links lead to `origin`.
    pub fn new(store: Store, tenant: Tenant, clock: Arc<dyn Clock>, origin: Option<String>) -> Self {
        let news = News::new(clock.now());
        let (configurations, audit, messages) = (None, None, Notify::new());
        Self(Arc::new(Inner { store, tenant, clock, origin, configurations, audit, tells: false, messages, news }))
    }

    /// The same for a gateway whose configuration may change while a call waits.
    #[must_use]
    pub fn below(self, configurations: Arc<dyn Configurations>) -> Self {
        self.with(|inner| inner.configurations = Some(configurations))
    }

    /// The same beside an audit log, which has rows of decisions soon after they are made.
    #[must_use]
    pub fn beside(self, audit: audit::Handle) -> Self {
        self.with(|inner| inner.audit = Some(audit))
    }

    /// The same where somebody gets messages ([`Self::send_messages`]) of calls that begin to wait from now on.
    #[must_use]
    pub fn telling(self) -> Self {
        self.with(|inner| inner.tells = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }

    /// The page of a call.
    fn page(&self, number: i64) -> Option<String> {
        self.0.origin.as_ref().map(|origin| format!("{origin}{PAGE}/{number}"))
    }

    fn configuration(&self) -> u64 {
        self.0.configurations.as_ref().map_or(0, |configurations| configurations.version())
    }
}
