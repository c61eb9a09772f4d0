//! Turns of calls that wait for an approval, until those have them who must hear of them.
//!
//! A turn is kept in the unit of work in which it happens, so it is never without its readers, whoever decided and wherever.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    ApprovalState, Store, StoreError, Tenant, Work,
    sql::{Count, Record, Row, values},
};

/// Who decided about a call. Neither is said of what nobody decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decider<'a> {
    /// What they are called.
    pub name: Option<&'a str>,
    /// Their subject, if they were signed in.
    pub subject: Option<&'a str>,
}

impl Decider<'_> {
    /// For people to read.
    pub fn shown(&self) -> String {
        match (self.name, self.subject) {
            (Some(name), Some(subject)) => format!("{name} ({subject})"),
            (name, subject) => name.or(subject).unwrap_or_default().to_owned(),
        }
    }
}

/// Who hears of what becomes of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnReaders {
    /// The audit log gets a row.
    pub audit: bool,
    /// Somebody gets messages.
    pub webhook: bool,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalTurn {
    /// The call.
    pub number: i64,
    /// Names it among others, for ever.
    pub id: String,
    /// What it came to.
    pub state: ApprovalState,
    /// When.
    pub at: Timestamp,
    /// What whoever decided is called.
    pub by_name: Option<String>,
    /// Their subject, if they were signed in.
    pub by_subject: Option<String>,
    /// Why, in their own words.
    pub reason: Option<String>,
    /// Who calls.
    pub subject: String,
    /// The path of the route.
    pub route: String,
    /// Where the call goes.
    pub upstream: String,
    /// The tool.
    pub tool: String,
    /// The rule that asks for the approval.
    pub rule: String,
    /// The request that came first.
    pub request_id: Option<String>,
    /// When it is too late.
    pub expires_at: Timestamp,
}

impl Record for ApprovalTurn {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.get("number")?,
            id: row.get("id")?,
            state: ApprovalState::named(&row.get::<String>("state")?)?,
            at: row.at("at")?,
            by_name: row.get("by_name")?,
            by_subject: row.get("by_subject")?,
            reason: row.get("reason")?,
            subject: row.get("subject")?,
            route: row.get("route")?,
            upstream: row.get("upstream")?,
            tool: row.get("tool")?,
            rule: row.get("rule")?,
            request_id: row.get("request_id")?,
            expires_at: row.at("expires_at")?,
        })
    }
}

/// A turn of which somebody is to get a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalMessage {
    /// What it is about.
    pub turn: ApprovalTurn,
    /// How often it was tried, this time included.
    pub tries: u32,
}

impl Record for ApprovalMessage {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let tries = u32::try_from(row.get::<i64>("tries")?).unwrap_or(u32::MAX);
        Ok(Self { turn: ApprovalTurn::read(row)?, tries })
    }
}

struct Number(i64);

impl Record for Number {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get("number").map(Self)
    }
}

/// Keeps a turn for a reader, if the call is one that they hear of.
macro_rules! keep {
    ($reader:literal, if $wanted:literal) => {
        concat!(
            "INSERT INTO approval_turns (tenant, reader, number, state, id, at, by_name, by_subject, reason, subject, route, \
             upstream, tool, rule, request_id, expires_at, due, tries) SELECT tenant, '",
            $reader,
            "', number, $3, id, $4, $5, $6, $7, subject, route, upstream, tool, rule, request_id, expires_at, $4, 0 \
             FROM approvals WHERE tenant = $1 AND number = $2 AND ",
            $wanted,
            " = 1 ON CONFLICT DO NOTHING"
        )
    };
}

impl Store {
    /// Is there a turn of which the audit log has no row?
    pub async fn has_unaudited_approvals(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        self.has_turns(tenant, "audit", Timestamp::from_millis(i64::MAX)).await
    }

    /// Is it time for a message?
    pub async fn has_approval_messages(&self, tenant: &Tenant, now: Timestamp) -> Result<bool, StoreError> {
        self.has_turns(tenant, "webhook", now).await
    }

    async fn has_turns(&self, tenant: &Tenant, reader: &str, due: Timestamp) -> Result<bool, StoreError> {
        const READ: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM approval_turns WHERE tenant = $1 AND reader = $2 \
                            AND due <= $3 LIMIT 1) t";
        Ok(self.one(tenant, READ, values![reader, due]).await?.is_some_and(|Count(count)| count > 0))
    }

    /// Notices of up to so many calls that they wait in vain, if somebody is to hear of that. Whoever made them is told when they
    /// ask.
    pub async fn expire_approvals(&self, tenant: &Tenant, now: Timestamp, limit: u32) -> Result<(), StoreError> {
        const DUE: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM approvals WHERE tenant = $1 AND open = 1 \
             AND state IN ('proposed', 'approved') AND to_audit + to_webhook > 0 AND expires_at <= $2 LIMIT 1) t";
        const EXPIRE: &str = "UPDATE approvals SET state = 'expired' WHERE tenant = $1 AND number IN (SELECT number \
             FROM approvals WHERE tenant = $1 AND open = 1 AND state IN ('proposed', 'approved') \
             AND to_audit + to_webhook > 0 AND expires_at <= $2 ORDER BY expires_at LIMIT $3) \
             AND state IN ('proposed', 'approved') RETURNING number";
        // Most of the time there is none, and looking holds up nobody who writes.
        if self.one(tenant, DUE, values![now]).await?.is_none_or(|Count(count)| count == 0) {
            return Ok(());
        }
        let (mut work, limit) = (self.begin(tenant).await?, i64::from(limit));
        let expired: Vec<Number> = work.all(EXPIRE, values![now, limit]).await?;
        for Number(number) in expired {
            work.keep_turn(number, ApprovalState::Expired, (Decider::default(), None), now).await?;
        }
        work.commit().await
    }
}

impl Work {
    /// Hands up to so many turns out for the audit log, the oldest first. They are gone once this work is committed.
    pub async fn take_unaudited_approvals(&mut self, limit: u32) -> Result<Vec<ApprovalTurn>, StoreError> {
        const TAKE: &str = "DELETE FROM approval_turns WHERE tenant = $1 AND reader = 'audit' AND (number, state) IN \
             (SELECT number, state FROM approval_turns WHERE tenant = $1 AND reader = 'audit' ORDER BY at, number \
             LIMIT $2) RETURNING *";
        let limit = i64::from(limit);
        let mut turns: Vec<ApprovalTurn> = self.all(TAKE, values![limit]).await?;
        turns.sort_by_key(|turn| (turn.at, turn.number));
        Ok(turns)
    }

    /// Hands up to so many messages out that are due. Whoever does not get rid of one by `until` leaves it to others.
    pub async fn take_approval_messages(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<ApprovalMessage>, StoreError> {
        const TAKE: &str = "UPDATE approval_turns SET due = $3, tries = tries + 1 WHERE tenant = $1 \
             AND reader = 'webhook' AND due <= $2 AND (number, state) IN (SELECT number, state FROM approval_turns \
             WHERE tenant = $1 AND reader = 'webhook' AND due <= $2 ORDER BY due, number LIMIT $4) RETURNING *";
        let limit = i64::from(limit);
        self.all(TAKE, values![now, until, limit]).await
    }

    /// A message is to be tried again then.
    pub async fn delay_approval_message(&mut self, turn: &ApprovalTurn, due: Timestamp) -> Result<(), StoreError> {
        const DELAY: &str = "UPDATE approval_turns SET due = $4 WHERE tenant = $1 AND reader = 'webhook' \
                             AND number = $2 AND state = $3";
        self.run(DELAY, values![turn.number, turn.state.name(), due]).await?;
        Ok(())
    }

    /// A message is not to be sent any more: it has arrived, or was given up.
    pub async fn forget_approval_message(&mut self, turn: &ApprovalTurn) -> Result<(), StoreError> {
        const FORGET: &str =
            "DELETE FROM approval_turns WHERE tenant = $1 AND reader = 'webhook' AND number = $2 AND state = $3";
        self.run(FORGET, values![turn.number, turn.state.name()]).await?;
        Ok(())
    }

    /// Keeps what a call has come to just now, for those who must hear of it.
    pub(super) async fn keep_turn(
        &mut self,
        number: i64,
        state: ApprovalState,
        (by, reason): (Decider<'_>, Option<&str>),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        let (name, subject, reason) = (owned(by.name), owned(by.subject), owned(reason));
        let named = state.name();
        let values = values![number, named, now, name, subject, reason];
        // That a call waits is in the row of its request.
        if state != ApprovalState::Proposed {
            self.run(keep!("audit", if "to_audit"), values).await?;
        }
        self.run(keep!("webhook", if "to_webhook"), values).await?;
        Ok(())
    }
}
