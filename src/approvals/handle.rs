//! The desk before it is open.

use std::sync::{Arc, OnceLock};

use portcullis_policies::kit::{
    approval::{Answering, Approvals, Bindings, Held, Taken, Ticket},
    refusal::{Reason, Refusal},
};

use super::{ApprovalDesk, Counts};
use crate::store::StoreError;

/// Stands for the desk where it is needed before the configuration is known. Until it is open, no call that must be approved is
/// made. Clones stand for the same one.
#[derive(Clone, Debug, Default)]
pub struct Handle {
    desk: Arc<OnceLock<ApprovalDesk>>,
    messages: Counts,
}

impl Handle {
    /// From now on calls can wait.
    pub fn open(&self, desk: ApprovalDesk) {
        let _ = self.desk.set(desk);
    }

    /// The desk, if it is open.
    pub fn desk(&self) -> Option<&ApprovalDesk> {
        self.desk.get()
    }

    /// How many messages there were.
    pub fn messages(&self) -> &Counts {
        &self.messages
    }

    fn opened(&self) -> Result<&ApprovalDesk, Refusal> {
        self.desk().ok_or_else(|| Reason::ApprovalUnavailable.into())
    }
}

impl Approvals for Handle {
    fn propose<'a>(&'a self, held: &'a Held) -> Answering<'a, Ticket> {
        Box::pin(async move { self.opened()?.propose(held).await })
    }

    fn take<'a>(&'a self, ticket: &'a Ticket, bound: &'a Bindings) -> Answering<'a, Taken> {
        Box::pin(async move { self.opened()?.take(ticket, bound).await.map_err(|error| unavailable(&error)) })
    }

    fn settled<'a>(&'a self, ticket: &'a Ticket) -> Answering<'a, Ticket> {
        Box::pin(async move { self.opened()?.settled(ticket).await.map_err(|error| unavailable(&error)) })
    }

    fn withdraw(&self, ticket: &Ticket, subject: &str) {
        let Some(desk) = self.desk().cloned() else { return };
        let (number, subject) = (ticket.number, subject.to_owned());
        tokio::spawn(async move {
            if let Err(error) = desk.withdraw(number, &subject).await {
                tracing::warn!(%error, approval = number, "a call that its client gave up could not be taken back");
            }
        });
    }

    fn configuration(&self) -> u64 {
        self.desk().map_or(0, ApprovalDesk::configuration)
    }
}

/// Without the store nobody can be asked, so nothing is made.
pub(super) fn unavailable(error: &StoreError) -> Refusal {
    tracing::error!(%error, "the store keeps no calls that wait");
    Reason::ApprovalUnavailable.into()
}
