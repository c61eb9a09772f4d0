//! The desk for calls that are only rehearsed: nobody is asked, and no approval is used up.

use std::sync::Arc;

use portcullis_policies::kit::{
    approval::{Answering, Approvals, Bindings, Held, Standing, Taken, Ticket, named},
    clock::Clock,
    refusal::Refusal,
    rehearsal::{Trace, WOULD_WAIT},
};

use super::{handle::unavailable, names::CallNames, propose::standing};
use crate::store::{ApprovalRecord, Store, StoreError, Tenant};

/// Reads what became of calls. Where there is no store yet, none was ever made.
#[derive(Debug)]
pub struct Rehearsed {
    store: Option<Store>,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    trace: Trace,
    /// Why no call is known again, if so.
    keyless: Option<String>,
}

impl Rehearsed {
    /// What `store` says by `clock`, to whoever looks at `trace`.
    pub fn new(store: Option<Store>, tenant: Tenant, clock: Arc<dyn Clock>, trace: Trace) -> Self {
        Self { store, tenant, clock, trace, keyless: None }
    }

    /// The same where the store's key is not at hand, for this reason.
    #[must_use]
    pub fn without_key(self, why: Option<String>) -> Self {
        Self { keyless: why.filter(|_| self.store.is_some()), ..self }
    }

    /// What became of a call, and how it stands.
    async fn found(&self, bound: &Bindings) -> Result<Option<(ApprovalRecord, Standing)>, StoreError> {
        let Some(store) = &self.store else { return Ok(None) };
        let names = CallNames::of(bound, store.sealer());
        for name in names.all() {
            if let Some(record) = store.open_approval(&self.tenant, name).await? {
                let standing = standing(&record, &names, bound, self.clock.now());
                return Ok(Some((record, standing)));
            }
        }
        Ok(None)
    }

    async fn ask(&self, held: &Held) -> Result<Ticket, Refusal> {
        let found = self.found(&held.bound).await.map_err(|error| unavailable(&error))?;
        let Some((record, standing)) = found else {
            if let Some(why) = &self.keyless {
                self.trace.note(format!("whether it waits already, or was approved, is not known: {why}"));
            }
            return Err(would_wait(held, None));
        };
        let ticket = Ticket {
            number: record.number,
            id: record.id.as_str().into(),
            url: None,
            standing,
            expires_at: record.expires_at,
            is_new: false,
        };
        match ticket.standing {
            Standing::Proposed => Err(would_wait(held, Some(ticket.number))),
            Standing::Approved => {
                let by = record.decided_by.unwrap_or_default();
                self.trace.note(format!("would use up the approval #{}, which {by} gave", ticket.number));
                Ok(ticket)
            }
            _ => Ok(ticket),
        }
    }
}

impl Approvals for Rehearsed {
    fn propose<'a>(&'a self, held: &'a Held) -> Answering<'a, Ticket> {
        Box::pin(self.ask(held))
    }

    /// Nobody is faster where nothing happens.
    fn take<'a>(&'a self, _: &'a Ticket, _: &'a Bindings) -> Answering<'a, Taken> {
        Box::pin(async { Ok(Taken::Yes) })
    }

    fn settled<'a>(&'a self, ticket: &'a Ticket) -> Answering<'a, Ticket> {
        Box::pin(async { Ok(ticket.clone()) })
    }

    fn withdraw(&self, _: &Ticket, _: &str) {}

    fn configuration(&self) -> u64 {
        0
    }
}

fn would_wait(held: &Held, number: Option<i64>) -> Refusal {
    let who = named(&held.approvers);
    let own = if held.own_calls { "" } else { ", and not by the caller" };
    let waits = number.map_or_else(|| "would wait".to_owned(), |number| format!("waits as #{number}"));
    let why = format!("By the rule {:?} it {waits} until it is approved by {who}{own}.", held.rule);
    Refusal::new(WOULD_WAIT, why).with_data("rule", &*held.rule)
}
