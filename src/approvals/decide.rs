//! What people decide.

use super::{ApprovalDesk, Who};
use crate::store::{ApprovalRecord, ApprovalState, Decider, StoreError};

/// Letters of a reason.
const LONGEST_REASON: usize = 500;

/// What somebody decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call may be made.
    Approve,
    /// It may not.
    Deny,
    /// Whoever called takes it back.
    Withdraw,
}

/// Why nothing was decided.
#[derive(Debug)]
pub enum NotDecided {
    /// There is no such call for them.
    Unknown,
    /// It is no longer to be decided; how it stands.
    Settled(Box<ApprovalRecord>),
    /// The store does not answer.
    Store(StoreError),
}

impl From<StoreError> for NotDecided {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl ApprovalDesk {
    /// Decides about a call. Of two who do, one does; the other is told how it stands.
    pub async fn decide(
        &self,
        number: i64,
        who: Who<'_>,
        verdict: Verdict,
        reason: Option<&str>,
    ) -> Result<ApprovalRecord, NotDecided> {
        let Self(inner) = self;
        let view = self.view(number, who).await?.ok_or(NotDecided::Unknown)?;
        let may = match verdict {
            Verdict::Withdraw => view.is_own,
            Verdict::Approve | Verdict::Deny => view.record.is_decided_by(who),
        };
        if !may {
            return Err(NotDecided::Unknown);
        }
        let (by, now) = (decider(who), inner.clock.now());
        let reason: Option<String> = reason.map(|reason| reason.trim().chars().take(LONGEST_REASON).collect());
        let reason = reason.as_deref().filter(|reason| !reason.is_empty());
        let mut work = inner.store.begin(&inner.tenant).await?;
        let done = match verdict {
            Verdict::Approve => work.decide_approval(number, true, (by, reason), now).await?,
            Verdict::Deny => work.decide_approval(number, false, (by, reason), now).await?,
            Verdict::Withdraw => work.withdraw_approval(number, &view.record.subject, now).await?,
        };
        work.commit().await?;
        let record = self.view(number, who).await?.ok_or(NotDecided::Unknown)?.record;
        if !done {
            return Err(NotDecided::Settled(Box::new(record)));
        }
        self.tell(number, record.state);
        let by = by.shown();
        tracing::info!(approval = number, by, outcome = record.state.name(), "approval decided");
        Ok(record)
    }
}

impl ApprovalDesk {
    /// Takes a call of somebody's own back, because its client gave it up.
    pub(super) async fn withdraw(&self, number: i64, subject: &str) -> Result<(), StoreError> {
        let Self(inner) = self;
        let mut work = inner.store.begin(&inner.tenant).await?;
        let done = work.withdraw_approval(number, subject, inner.clock.now()).await?;
        work.commit().await?;
        if done {
            self.tell(number, ApprovalState::Withdrawn);
            tracing::info!(approval = number, subject, "approval withdrawn: the client gave up");
        }
        Ok(())
    }
}

fn decider(who: Who<'_>) -> Decider<'_> {
    match who {
        Who::Operator(name) => Decider { name: Some(name), subject: None },
        Who::Person(person) => {
            Decider { name: person.email.as_deref().or(person.name.as_deref()), subject: Some(&person.subject) }
        }
    }
}
