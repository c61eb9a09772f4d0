//! What people see of calls that wait.

use std::fmt;

use portcullis_policies::kit::{
    approval::{Approver, may_decide},
    host::Identity,
};
use serde::{Deserialize, Serialize};

use super::{ApprovalDesk, Who};
use crate::store::{ApprovalRecord, ApprovalState, StoreError};

/// Read at once from the store.
const PAGE: u32 = 500;
/// What is shown at once.
const MOST: usize = 100;

/// What a call says, and who made it; sealed at rest. Printing it does not show that.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The arguments as JSON text, without what rules take out.
    pub arguments: String,
    /// What the caller is called.
    pub name: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// The program through which they call.
    pub client: Option<String>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

/// A call as somebody sees it.
#[derive(Clone, Debug)]
pub struct ApprovalView {
    /// All but what it says.
    pub record: ApprovalRecord,
    /// What it says.
    pub asked: Asked,
    /// May they decide, as it stands now?
    pub may_decide: bool,
    /// Is it their own?
    pub is_own: bool,
}

impl ApprovalRecord {
    /// May they decide about a call like this one?
    pub(super) fn is_decided_by(&self, who: Who<'_>) -> bool {
        match who {
            Who::Operator(_) => true,
            Who::Person(person) => {
                // What cannot be read names nobody.
                let approvers: Vec<Approver> = serde_json::from_str(&self.approvers).unwrap_or_default();
                may_decide(&approvers, self.own_calls, &self.subject, person)
            }
        }
    }
}

impl ApprovalDesk {
    /// The calls that wait for somebody, the oldest first.
    pub async fn waiting_for(&self, who: Who<'_>) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.waiting_after(0, who, MOST).await
    }

    /// The next ones of them, after this number.
    pub async fn waiting_after(
        &self,
        mut after: i64,
        who: Who<'_>,
        most: usize,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        let (Self(inner), mut theirs) = (self, Vec::new());
        let now = inner.clock.now();
        while theirs.len() < most {
            let page = inner.store.approvals_to_decide(&inner.tenant, (after, now), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            theirs.extend(page.into_iter().filter(|record| record.is_decided_by(who)));
        }
        theirs.truncate(most);
        Ok(theirs)
    }

    /// The latest calls of somebody's own.
    pub async fn of(&self, subject: &str) -> Result<Vec<ApprovalRecord>, StoreError> {
        let Self(inner) = self;
        let calls = inner.store.approvals_of(&inner.tenant, subject, 20).await?;
        Ok(calls.into_iter().map(|record| self.as_it_is(record)).collect())
    }

    /// The latest calls of all with numbers below `before`, the newest first.
    pub async fn all(&self, before: i64, limit: u32) -> Result<Vec<ApprovalRecord>, StoreError> {
        let Self(inner) = self;
        let calls = inner.store.approvals(&inner.tenant, before, limit).await?;
        Ok(calls.into_iter().map(|record| self.as_it_is(record)).collect())
    }

    /// One call, if it is somebody's to see: their own, or one that they decide about.
    pub async fn view(&self, number: i64, who: Who<'_>) -> Result<Option<ApprovalView>, StoreError> {
        let Self(inner) = self;
        let Some(found) = inner.store.approval(&inner.tenant, number).await? else { return Ok(None) };
        let is_own = matches!(who, Who::Person(Identity { subject, .. }) if **subject == *found.record.subject);
        let is_theirs = found.record.is_decided_by(who);
        if !is_own && !is_theirs {
            return Ok(None);
        }
        let record = self.as_it_is(found.record);
        let asked = serde_json::from_slice(&found.call).unwrap_or_default();
        let may_decide = is_theirs && record.is_open && record.state == ApprovalState::Proposed;
        Ok(Some(ApprovalView { record, asked, may_decide, is_own }))
    }

    /// What is too late is so before somebody has noticed.
    fn as_it_is(&self, record: ApprovalRecord) -> ApprovalRecord {
        let waits = matches!(record.state, ApprovalState::Proposed | ApprovalState::Approved);
        if waits && record.expires_at <= self.0.clock.now() {
            return ApprovalRecord { state: ApprovalState::Expired, is_open: false, ..record };
        }
        record
    }
}
