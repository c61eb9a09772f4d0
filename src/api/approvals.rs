//! Calls that wait for a decision.

use portcullis_policies::kit::refusal::{Reason, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    door::{Holder, stored},
    endpoint::{Ask, Nothing},
    office::Foundation,
    page::{Page, limit, place},
};
use crate::approvals::{ApprovalJson, ApprovalView, HeldJson, NotDecided, Verdict, Who};

/// Which calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// `waiting`, or `all`.
    #[serde(default)]
    state: State,
    /// Entries at most.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Which calls, by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Waiting,
    All,
}

/// One call.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(super) struct Numbered {
    /// The call's number.
    number: i64,
}

/// What is said with a decision.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Decision")]
pub(super) struct Decision {
    /// Why. Whoever made the call reads it.
    reason: Option<String>,
}

pub(super) async fn list(ask: Ask<Nothing, Wanted>) -> Result<Page<ApprovalJson>, Refusal> {
    let Wanted { state, limit: wanted, cursor } = ask.query;
    let (most, from) = (limit(wanted)?, place::<i64>(cursor.as_deref())?);
    let desk = ask.house.desk()?;
    // Whoever may read, reads like an operator; deciding is another matter.
    let calls = match state {
        State::Waiting => desk.waiting_after(from.unwrap_or(0), Who::Operator(""), most as usize).await,
        State::All => desk.all(from.unwrap_or(i64::MAX), most).await,
    };
    Ok(Page::of(&calls.map_err(stored)?, most, |call| call.number))
}

pub(super) async fn show(ask: Ask<Numbered>) -> Result<HeldJson, Refusal> {
    let Numbered { number } = ask.path;
    let view = ask.house.desk()?.view(number, Who::Operator("")).await.map_err(stored)?;
    let view = view.ok_or_else(|| unknown(number))?;
    let may_decide = match is_theirs(&ask.house, &ask.holder, number).await? {
        Some(theirs) => theirs.may_decide,
        None => false,
    };
    Ok(ApprovalView { may_decide, ..view }.into())
}

pub(super) async fn approve(ask: Ask<Numbered, Nothing, Decision>) -> Result<ApprovalJson, Refusal> {
    decide(ask, Verdict::Approve).await
}

pub(super) async fn deny(ask: Ask<Numbered, Nothing, Decision>) -> Result<ApprovalJson, Refusal> {
    decide(ask, Verdict::Deny).await
}

/// A key decides as the program that it is.
async fn decide(ask: Ask<Numbered, Nothing, Decision>, verdict: Verdict) -> Result<ApprovalJson, Refusal> {
    let Ask { house, holder, path: Numbered { number }, body, .. } = ask;
    is_theirs(&house, &holder, number).await?.ok_or_else(|| unknown(number))?;
    let decided = house.desk()?.decide(number, Who::Person(&holder.0), verdict, body.reason.as_deref()).await;
    match decided {
        Ok(record) => Ok((&record).into()),
        Err(NotDecided::Unknown) => Err(unknown(number)),
        Err(NotDecided::Settled(record)) => {
            let refusal = Refusal::new(
                Reason::Conflict,
                format!("#{number} is not to be decided any more: it is {}.", record.state.name()),
            );
            Err(refusal.with_data("state", record.state.name()))
        }
        Err(NotDecided::Store(error)) => Err(stored(error)),
    }
}

/// The call, if the program is one of those that decide about it. A program that made another key is not somebody else.
async fn is_theirs(house: &Foundation, holder: &Holder, number: i64) -> Result<Option<ApprovalView>, Refusal> {
    let view = house.desk()?.view(number, Who::Person(&holder.0)).await.map_err(stored)?;
    let Some(view) = view else { return Ok(None) };
    let is_own = !view.record.own_calls && holder.is(house, &view.record.subject).await?;
    Ok((!is_own).then_some(view))
}

fn unknown(number: i64) -> Refusal {
    Refusal::new(Reason::UnknownId, format!("There is no call #{number} for this key."))
        .with_remedy("A key decides about the calls of others, where it is one of the rule's `approvers` by its groups, roles or e-mail address.")
}
