//! Calls that wait until a person approves them.
//!
//! ```text
//! proposed ──approve──▶ approved ──taken by the call, once──▶ executed
//!    ├──deny──▶ denied      └──too late, or something changed──▶ expired, changed
//!    └──too late, taken back, or something changed──▶ expired, withdrawn, changed
//! ```
//!
//! Each step is one conditional statement: of many who take it at once, on any node, one does.

use std::fmt;

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Decider, Digest, Store, StoreError, Tenant, TurnReaders, Work,
    sql::{Count, Record, Row, values},
};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApprovalState {
    /// Nobody has decided yet.
    Proposed,
    /// It may be made, once.
    Approved,
    /// It may not be made.
    Denied,
    /// It was approved, and made.
    Executed,
    /// Nobody decided in time, or it was not made in time.
    Expired,
    /// Whoever called took it back.
    Withdrawn,
    /// What it was for has changed.
    Changed,
}

impl ApprovalState {
    const ALL: [Self; 7] =
        [Self::Proposed, Self::Approved, Self::Denied, Self::Executed, Self::Expired, Self::Withdrawn, Self::Changed];

    /// As in commands and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Executed => "executed",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Changed => "changed",
        }
    }

    pub(super) fn named(name: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|state| state.name() == name);
        known.ok_or_else(|| StoreError::corrupt(format!("an approval is `{name}`")))
    }
}

/// A call that waits, or waited, without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRecord {
    /// For people. The store gives it.
    pub number: i64,
    /// Names it among others, for ever.
    pub id: String,
    /// Of who calls, on which route, which tool, with what; under a key, since arguments are short.
    pub call: Digest,
    /// Who calls.
    pub subject: String,
    /// The path of the route.
    pub route: String,
    /// Where the call goes.
    pub upstream: String,
    /// The tool.
    pub tool: String,
    /// Of the policy that held it.
    pub policy: Digest,
    /// Of the tool's definition.
    pub definition: Digest,
    /// The rule that asks for the approval.
    pub rule: String,
    /// Who may decide, as JSON.
    pub approvers: String,
    /// May they decide about calls of their own?
    pub own_calls: bool,
    /// Where it stands.
    pub state: ApprovalState,
    /// Is it what a call like it is told?
    pub is_open: bool,
    /// Who decided, for people to read.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// Why, in their own words.
    pub reason: Option<String>,
    /// The request that came first.
    pub request_id: Option<String>,
    /// When it came.
    pub created_at: Timestamp,
    /// When it is too late.
    pub expires_at: Timestamp,
    /// Who hears of what becomes of it.
    pub told: TurnReaders,
}

/// The same with what people are shown who decide. Printing it does not show that.
#[derive(Clone, PartialEq, Eq)]
pub struct ApprovalDetails {
    /// All but that.
    pub record: ApprovalRecord,
    /// What they are shown, as JSON; sealed at rest.
    pub call: Vec<u8>,
}

impl fmt::Debug for ApprovalDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalDetails").field("record", &self.record).finish_non_exhaustive()
    }
}

const CALL: &str = "approvals.sealed_call";
/// All columns but the sealed one.
macro_rules! columns {
    () => {
        "number, id, call_digest, subject, route, upstream, tool, policy_digest, definition_digest, rule, approvers, \
         own_calls, state, open, decided_by, decided_at, reason, request_id, created_at, expires_at, to_audit, \
         to_webhook"
    };
}

impl Record for ApprovalRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.get("number")?,
            id: row.get("id")?,
            call: row.digest("call_digest")?,
            subject: row.get("subject")?,
            route: row.get("route")?,
            upstream: row.get("upstream")?,
            tool: row.get("tool")?,
            policy: row.digest("policy_digest")?,
            definition: row.digest("definition_digest")?,
            rule: row.get("rule")?,
            approvers: row.get("approvers")?,
            own_calls: row.get::<i64>("own_calls")? != 0,
            state: ApprovalState::named(&row.get::<String>("state")?)?,
            is_open: row.get::<i64>("open")? != 0,
            decided_by: row.get("decided_by")?,
            decided_at: row.maybe_at("decided_at")?,
            reason: row.get("reason")?,
            request_id: row.get("request_id")?,
            created_at: row.at("created_at")?,
            expires_at: row.at("expires_at")?,
            told: TurnReaders { audit: row.get::<i64>("to_audit")? != 0, webhook: row.get::<i64>("to_webhook")? != 0 },
        })
    }
}

impl Record for ApprovalDetails {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let record = ApprovalRecord::read(row)?;
        let call = row.open(CALL, &record.id)?;
        Ok(Self { record, call })
    }
}

/// What a call like this one is told.
const OPEN: &str =
    concat!("SELECT ", columns!(), " FROM approvals WHERE tenant = $1 AND call_digest = $2 AND open = 1");

struct Number(i64);

impl Record for Number {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get("last_number").map(Self)
    }
}

/// What a call came to, by its number.
struct Turn(i64, ApprovalState);

impl Record for Turn {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self(row.get("number")?, ApprovalState::named(&row.get::<String>("state")?)?))
    }
}

impl Store {
    /// The calls that no longer wait for a decision since then, in no order.
    pub async fn approvals_settled_since(
        &self,
        tenant: &Tenant,
        since: Timestamp,
    ) -> Result<Vec<(i64, ApprovalState)>, StoreError> {
        const READ: &str =
            "SELECT number, state FROM approvals WHERE tenant = $1 AND changed_at >= $2 AND state <> 'proposed'";
        let turns = self.all(tenant, READ, values![since]).await?;
        Ok(turns.into_iter().map(|Turn(number, state)| (number, state)).collect())
    }

    /// One call, with what it says.
    pub async fn approval(&self, tenant: &Tenant, number: i64) -> Result<Option<ApprovalDetails>, StoreError> {
        const READ: &str = "SELECT * FROM approvals WHERE tenant = $1 AND number = $2";
        self.one(tenant, READ, values![number]).await
    }

    /// What a call like this one would be told.
    pub async fn open_approval(&self, tenant: &Tenant, call: &Digest) -> Result<Option<ApprovalRecord>, StoreError> {
        self.one(tenant, OPEN, values![*call]).await
    }

    /// So many calls, the newest first: those with numbers below `before`, of whatever state.
    pub async fn approvals(&self, tenant: &Tenant, before: i64, limit: u32) -> Result<Vec<ApprovalRecord>, StoreError> {
        const READ: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM approvals WHERE tenant = $1 AND number < $2 ORDER BY number DESC LIMIT $3"
        );
        let limit = i64::from(limit);
        self.all(tenant, READ, values![before, limit]).await
    }

    /// So many calls that nobody has decided about and that are not too late, the oldest first: those with numbers above
    /// `after`.
    pub async fn approvals_to_decide(
        &self,
        tenant: &Tenant,
        (after, now): (i64, Timestamp),
        limit: u32,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        const READ: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM approvals WHERE tenant = $1 AND number > $2 AND open = 1 AND state = 'proposed' AND expires_at > $3 \
             ORDER BY number LIMIT $4"
        );
        let limit = i64::from(limit);
        self.all(tenant, READ, values![after, now, limit]).await
    }

    /// The latest calls of somebody, the newest first.
    pub async fn approvals_of(
        &self,
        tenant: &Tenant,
        subject: &str,
        limit: u32,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        const READ: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM approvals WHERE tenant = $1 AND subject = $2 ORDER BY number DESC LIMIT $3"
        );
        let limit = i64::from(limit);
        self.all(tenant, READ, values![subject, limit]).await
    }
}

impl Work {
    /// What a call like this one is told.
    pub async fn open_approval(&mut self, call: &Digest) -> Result<Option<ApprovalRecord>, StoreError> {
        self.one(OPEN, values![*call]).await
    }

    /// How many calls of somebody wait.
    pub async fn open_approvals_of(&mut self, subject: &str) -> Result<u64, StoreError> {
        const READ: &str = "SELECT count(*) AS n FROM approvals WHERE tenant = $1 AND subject = $2 AND open = 1";
        let Count(count) = self.one(READ, values![subject]).await?.unwrap_or(Count(0));
        Ok(count)
    }

    /// Keeps a new call, under the number that it returns. None if one like it is there already.
    pub async fn insert_approval(&mut self, new: &ApprovalDetails) -> Result<Option<i64>, StoreError> {
        const NEXT: &str = "INSERT INTO approval_numbers (tenant, last_number) VALUES ($1, $2) ON CONFLICT (tenant) \
                            DO UPDATE SET last_number = approval_numbers.last_number + 1 RETURNING last_number";
        const INSERT: &str = "INSERT INTO approvals (tenant, number, id, call_digest, subject, route, upstream, tool, \
             policy_digest, definition_digest, rule, approvers, own_calls, sealed_call, state, open, request_id, \
             created_at, expires_at, changed_at, to_audit, to_webhook) VALUES \
             ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'proposed', 1, $15, $16, $17, $16, $18, $19) \
             ON CONFLICT DO NOTHING";
        let first = 1_i64;
        let Number(number) = self.one(NEXT, values![first]).await?.unwrap_or(Number(first));
        let ApprovalRecord { id, call, subject, route, upstream, tool, policy, definition, .. } = &new.record;
        let ApprovalRecord { rule, approvers, request_id, created_at, expires_at, .. } = &new.record;
        let ApprovalRecord { own_calls, told, .. } = &new.record;
        let [own_calls, to_audit, to_webhook] = [*own_calls, told.audit, told.webhook].map(i64::from);
        let sealed = self.owner.seal(CALL, id, &new.call);
        let values = values![
            number,
            *id,
            *call,
            *subject,
            *route,
            *upstream,
            *tool,
            *policy,
            *definition,
            *rule,
            *approvers,
            own_calls,
            sealed,
            *request_id,
            *created_at,
            *expires_at,
            to_audit,
            to_webhook
        ];
        if self.run(INSERT, values).await? == 0 {
            return Ok(None);
        }
        self.keep_turn(number, ApprovalState::Proposed, (Decider::default(), None), *created_at).await?;
        Ok(Some(number))
    }

    /// A call like it is no longer told of this one, which ends in `state` unless it has come to its end.
    pub async fn close_approval(
        &mut self,
        number: i64,
        state: ApprovalState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const END: &str = "UPDATE approvals SET state = $3 WHERE tenant = $1 AND number = $2 AND open = 1 \
                           AND state IN ('proposed', 'approved')";
        const CLOSE: &str =
            "UPDATE approvals SET open = 0, changed_at = $3 WHERE tenant = $1 AND number = $2 AND open = 1";
        if self.run(END, values![number, state.name()]).await? > 0 {
            self.keep_turn(number, state, (Decider::default(), None), now).await?;
        }
        Ok(self.run(CLOSE, values![number, now]).await? > 0)
    }

    /// Decides about a call that waits: of all who do, one does. Whether they may is for the caller to see.
    pub async fn decide_approval(
        &mut self,
        number: i64,
        approved: bool,
        (by, reason): (Decider<'_>, Option<&str>),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const DECIDE: &str = "UPDATE approvals SET state = $3, decided_by = $4, reason = $5, decided_at = $6, \
                              changed_at = $6 WHERE tenant = $1 AND number = $2 AND open = 1 AND state = 'proposed' \
                              AND expires_at > $6";
        let state = if approved { ApprovalState::Approved } else { ApprovalState::Denied };
        let (words, shown) = (reason.map(ToOwned::to_owned), by.shown());
        let decided = self.run(DECIDE, values![number, state.name(), shown, words, now]).await? > 0;
        if decided {
            self.keep_turn(number, state, (by, reason), now).await?;
        }
        Ok(decided)
    }

    /// Takes a call of somebody's own back that waits.
    pub async fn withdraw_approval(&mut self, number: i64, subject: &str, now: Timestamp) -> Result<bool, StoreError> {
        const WITHDRAW: &str = "UPDATE approvals SET state = 'withdrawn', open = 0, changed_at = $4 WHERE tenant = $1 \
                                AND number = $2 AND subject = $3 AND open = 1 AND state IN ('proposed', 'approved')";
        let withdrawn = self.run(WITHDRAW, values![number, subject, now]).await? > 0;
        if withdrawn {
            let by = Decider { name: None, subject: Some(subject) };
            self.keep_turn(number, ApprovalState::Withdrawn, (by, None), now).await?;
        }
        Ok(withdrawn)
    }

    /// Uses an approval up, if it was given for exactly this: of many callers, on any node, one gets it.
    pub async fn take_approval(&mut self, wanted: &ApprovalRecord, now: Timestamp) -> Result<bool, StoreError> {
        const TAKE: &str = "UPDATE approvals SET state = 'executed', open = 0, changed_at = $10 WHERE tenant = $1 \
             AND id = $2 AND call_digest = $3 AND subject = $4 AND route = $5 AND upstream = $6 AND tool = $7 \
             AND policy_digest = $8 AND definition_digest = $9 AND open = 1 AND state = 'approved' AND expires_at > $10";
        let ApprovalRecord { id, call, subject, route, upstream, tool, policy, definition, .. } = wanted;
        let values = values![*id, *call, *subject, *route, *upstream, *tool, *policy, *definition, now];
        Ok(self.run(TAKE, values).await? > 0)
    }
}
