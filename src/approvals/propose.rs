//! What a policy asks: what became of this call, and may it be made now?

use portcullis_policies::kit::{
    approval::{Bindings, Decision, Held, Standing, Taken, Ticket},
    canonical::Fingerprint,
    clock::Timestamp,
    random,
    refusal::{Reason, Refusal},
};

use super::{ApprovalDesk, handle::unavailable, names::CallNames, view::Asked};
use crate::store::{ApprovalDetails, ApprovalRecord, ApprovalState, Digest, StoreError, TurnReaders, Work};

/// Calls of one person that may wait.
const MOST: u64 = 1000;
/// How often to look again where somebody else keeps the same call at the same time.
const TRIES: usize = 3;

impl ApprovalDesk {
    /// What became of a call. One of which nothing is known is kept.
    pub(super) async fn propose(&self, held: &Held) -> Result<Ticket, Refusal> {
        for _ in 0..TRIES {
            if let Some(ticket) = self.try_to_propose(held).await? {
                return Ok(ticket);
            }
        }
        Err(Reason::ApprovalUnavailable.into())
    }

    /// None if another caller was faster.
    async fn try_to_propose(&self, held: &Held) -> Result<Option<Ticket>, Refusal> {
        let Self(inner) = self;
        let now = inner.clock.now();
        let mut work = inner.store.begin(&inner.tenant).await.map_err(|error| unavailable(&error))?;
        let found = self.find(&mut work, &held.bound, now).await.map_err(|error| unavailable(&error))?;
        let found = match (found, held.asked) {
            (None, Some(asked)) => self.over(asked, &held.bound).await.map_err(|error| unavailable(&error))?,
            (found, _) => found,
        };
        let ticket = match found {
            Some(ticket) => Some(ticket),
            None => self.keep(&mut work, held, now).await?,
        };
        work.commit().await.map_err(|error| unavailable(&error))?;
        inner.messages.notify_one();
        Ok(ticket)
    }

    /// What a call like this one is told, if something is known of it. What is over is told once.
    async fn find(&self, work: &mut Work, bound: &Bindings, now: Timestamp) -> Result<Option<Ticket>, StoreError> {
        let names = self.names(bound);
        let Some(record) = open(work, &names).await? else { return Ok(None) };
        let standing = standing(&record, &names, bound, now);
        let over = match standing {
            Standing::Expired => Some(ApprovalState::Expired),
            Standing::Changed(_) => Some(ApprovalState::Changed),
            _ => None,
        };
        if let Some(state) = over {
            work.close_approval(record.number, state, now).await?;
            // What was denied was denied for what it was then.
            if record.state == ApprovalState::Denied {
                return Ok(None);
            }
        }
        Ok(Some(self.ticket(&record, standing)))
    }

    /// What became of a call, if it was this one and nothing more comes of it. The number is the client's word, which names no
    /// other call.
    async fn over(&self, number: i64, bound: &Bindings) -> Result<Option<Ticket>, StoreError> {
        let Self(inner) = self;
        let found = inner.store.approval(&inner.tenant, number).await?.map(|found| found.record);
        let names = self.names(bound);
        let over = found.filter(|record| names.count(&record.call) && !record.is_open);
        Ok(over.map(|record| self.ticket(&record, settled(&record))))
    }

    async fn keep(&self, work: &mut Work, held: &Held, now: Timestamp) -> Result<Option<Ticket>, Refusal> {
        let waiting = work.open_approvals_of(&held.bound.subject).await.map_err(|error| unavailable(&error))?;
        if waiting >= MOST {
            let why = format!("{waiting} calls of this caller wait for approvals already.");
            return Err(Refusal::new(Reason::RateLimited, why).with_remedy("Wait until some of them are decided."));
        }
        let mut new = self.details(held, now);
        let Some(number) = work.insert_approval(&new).await.map_err(|error| unavailable(&error))? else {
            return Ok(None);
        };
        new.record.number = number;
        let Bindings { subject, route, tool, .. } = &held.bound;
        tracing::info!(approval = number, rule = &*held.rule, %subject, %route, %tool, "approval proposed");
        Ok(Some(Ticket { is_new: true, ..self.ticket(&new.record, Standing::Proposed) }))
    }

    /// Uses an approval up, if it was given for exactly this.
    pub(super) async fn take(&self, ticket: &Ticket, bound: &Bindings) -> Result<Taken, StoreError> {
        let Self(inner) = self;
        let Some(found) = inner.store.approval(&inner.tenant, ticket.number).await? else { return Ok(Taken::No) };
        let names = self.names(bound);
        let wanted = ApprovalRecord {
            id: ticket.id.to_string(),
            call: Some(found.record.call).filter(|name| names.count(name)).unwrap_or(names.current()),
            subject: bound.subject.to_string(),
            route: bound.route.to_string(),
            upstream: bound.upstream.to_string(),
            tool: bound.tool.to_string(),
            policy: digest(bound.policy),
            definition: digest(bound.definition),
            ..found.record
        };
        let mut work = inner.store.begin(&inner.tenant).await?;
        let taken = work.take_approval(&wanted, inner.clock.now()).await?;
        work.commit().await?;
        if taken {
            self.tell(ticket.number, ApprovalState::Executed);
            tracing::info!(approval = ticket.number, subject = wanted.subject, "approval executed");
            return Ok(Taken::Yes);
        }
        let now = inner.store.approval(&inner.tenant, ticket.number).await?;
        let is_used = now.is_some_and(|found| found.record.state == ApprovalState::Executed);
        Ok(if is_used { Taken::ByAnother } else { Taken::No })
    }

    /// How a call stands that was proposed.
    pub(super) async fn standing(&self, ticket: &Ticket) -> Result<Ticket, StoreError> {
        let Self(inner) = self;
        let found = inner.store.approval(&inner.tenant, ticket.number).await?;
        let standing = found.map_or(Standing::Expired, |found| settled(&found.record));
        Ok(Ticket { standing, ..ticket.clone() })
    }

    fn details(&self, held: &Held, now: Timestamp) -> ApprovalDetails {
        let Bindings { subject, route, upstream, tool, policy, definition, .. } = &held.bound;
        let record = ApprovalRecord {
            number: 0,
            id: random::id(),
            call: self.names(&held.bound).current(),
            subject: subject.to_string(),
            route: route.to_string(),
            upstream: upstream.to_string(),
            tool: tool.to_string(),
            policy: digest(*policy),
            definition: digest(*definition),
            rule: held.rule.to_string(),
            approvers: serde_json::to_string(&*held.approvers).unwrap_or_default(),
            own_calls: held.own_calls,
            state: ApprovalState::Proposed,
            is_open: true,
            decided_by: None,
            decided_at: None,
            reason: None,
            request_id: held.request_id.map(|id| id.to_string()),
            created_at: now,
            expires_at: now.plus(held.expires_after),
            told: TurnReaders { audit: held.is_audited, webhook: self.0.tells },
        };
        let asked = Asked {
            arguments: held.shown.clone(),
            name: held.caller.name.clone(),
            email: held.caller.email.clone(),
            client: held.caller.client.clone(),
        };
        ApprovalDetails { record, call: serde_json::to_vec(&asked).unwrap_or_default() }
    }

    fn names(&self, bound: &Bindings) -> CallNames {
        CallNames::of(bound, self.0.store.sealer())
    }

    fn ticket(&self, record: &ApprovalRecord, standing: Standing) -> Ticket {
        let ApprovalRecord { number, id, expires_at, .. } = record;
        let url = self.page(*number);
        Ticket { number: *number, id: id.as_str().into(), url, standing, expires_at: *expires_at, is_new: false }
    }
}

/// The call of one of these names that is told what became of it.
async fn open(work: &mut Work, names: &CallNames) -> Result<Option<ApprovalRecord>, StoreError> {
    for name in names.all() {
        let found = work.open_approval(name).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn digest(fingerprint: Fingerprint) -> Digest {
    Digest::of(fingerprint.as_bytes())
}

/// How a call stands that was proposed once, for one with these bindings.
pub(super) fn standing(record: &ApprovalRecord, names: &CallNames, bound: &Bindings, now: Timestamp) -> Standing {
    let changed = [
        ("gateway", names.count(&record.call)),
        ("upstream", *record.upstream == *bound.upstream),
        ("policy", record.policy == digest(bound.policy)),
        ("definition", record.definition == digest(bound.definition)),
    ];
    if record.expires_at <= now {
        return Standing::Expired;
    }
    if let Some((what, _)) = changed.into_iter().find(|(_, is_same)| !is_same) {
        return Standing::Changed(what);
    }
    settled(record)
}

/// How it stands, whatever has changed since.
fn settled(record: &ApprovalRecord) -> Standing {
    match record.state {
        ApprovalState::Proposed => Standing::Proposed,
        ApprovalState::Approved => Standing::Approved,
        ApprovalState::Denied => Standing::Denied(Decision {
            by: record.decided_by.clone().unwrap_or_default(),
            at: record.decided_at.unwrap_or(record.created_at),
            reason: record.reason.clone(),
        }),
        ApprovalState::Executed => Standing::Used,
        ApprovalState::Expired => Standing::Expired,
        ApprovalState::Withdrawn => Standing::Withdrawn,
        ApprovalState::Changed => Standing::Changed("call"),
    }
}
