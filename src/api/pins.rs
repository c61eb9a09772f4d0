//! Definitions of tools.

use portcullis_policies::kit::{
    pins::Standing,
    refusal::{Reason, Refusal},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    door::stored,
    endpoint::{Ask, Nothing},
    office::Foundation,
    page::{Page, limit, place},
};
use crate::{
    pins::{self, Difference, NotApproved, PinJson},
    store::{PinRecord, WantedPins},
};

/// Which tools.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only this upstream's, as the list names it.
    upstream: Option<String>,
    /// Only tools with a definition that nobody has approved yet.
    #[serde(default)]
    waiting: bool,
    /// Entries at most.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// One tool.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Named {
    /// The tool's `id`, as the list has it.
    id: String,
}

/// What is approved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PinApproval")]
pub(super) struct Approved {
    /// The digest of the definition, or the first eight of its digits or more: nothing else is approved than what was seen.
    digest: String,
}

/// In what a definition that waits differs from the pinned one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PinDifferences")]
pub(super) struct Differences {
    /// The digest of what waits, to approve it by; none, if nothing waits.
    digest: Option<String>,
    /// What is done about it: `blocked`, `held` or `logged`.
    standing: Option<&'static str>,
    /// May somebody approve it?
    can_be_approved: bool,
    /// What is suspicious in it.
    flags: Vec<String>,
    /// Each place.
    places: Vec<Difference>,
}

/// What was forgotten.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ForgottenPin")]
pub(super) struct Forgotten {
    /// The upstream.
    upstream: String,
    /// The tool.
    tool: String,
}

pub(super) async fn list(ask: Ask<Nothing, Wanted>) -> Result<Page<PinJson>, Refusal> {
    let Wanted { upstream, waiting, limit: wanted, cursor } = ask.query;
    let (most, from) = (limit(wanted)?, place::<(String, String)>(cursor.as_deref())?.unwrap_or_default());
    let (store, tenant) = ask.house.store()?;
    let wanted = WantedPins { upstream: upstream.as_deref(), waiting };
    let records = store.pins(tenant, wanted, (&from.0, &from.1), most).await.map_err(stored)?;
    let place = |record: &PinRecord| (record.upstream.clone(), record.tool.clone());
    Ok(Page::of(&records, most, place).map(PinJson::in_short))
}

pub(super) async fn show(ask: Ask<Named>) -> Result<PinJson, Refusal> {
    Ok((&find(&ask.house, &ask.path.id).await?).into())
}

pub(super) async fn diff(ask: Ask<Named>) -> Result<Differences, Refusal> {
    let record = find(&ask.house, &ask.path.id).await?;
    Ok(Differences {
        digest: record.waiting.as_ref().map(|waiting| format!("{:?}", waiting.digest)),
        standing: record.standing.map(Standing::name),
        can_be_approved: record.can_be_approved(),
        places: record.differences(),
        flags: record.flags,
    })
}

pub(super) async fn approve(ask: Ask<Named, Nothing, Approved>) -> Result<PinJson, Refusal> {
    let Ask { house, holder, path, body, .. } = ask;
    let PinRecord { upstream, tool, .. } = find(&house, &path.id).await?;
    let (store, tenant) = house.store()?;
    let approved = pins::approve(store, tenant, &upstream, Some(&tool), &body.digest, &holder.0.shown()).await;
    approved.map_err(not_approved)?;
    Ok((&find(&house, &path.id).await?).into())
}

pub(super) async fn forget(ask: Ask<Named>) -> Result<Forgotten, Refusal> {
    let (upstream, tool) = pins::of_id(&ask.path.id).ok_or_else(unknown)?;
    let (store, tenant) = ask.house.store()?;
    match pins::forget(store, tenant, &upstream, Some(&tool)).await.map_err(stored)? {
        0 => Err(unknown()),
        _ => Ok(Forgotten { upstream, tool }),
    }
}

async fn find(house: &Foundation, id: &str) -> Result<PinRecord, Refusal> {
    let (upstream, tool) = pins::of_id(id).ok_or_else(unknown)?;
    let (store, tenant) = house.store()?;
    store.pin(tenant, &upstream, &tool).await.map_err(stored)?.ok_or_else(unknown)
}

fn not_approved(why: NotApproved) -> Refusal {
    match why {
        NotApproved::TooShort => Refusal::new(Reason::InvalidParams, "The digest is too short to name a definition."),
        NotApproved::Unknown => unknown(),
        NotApproved::Blocked => {
            Refusal::new(Reason::Conflict, "The policy of its route blocks it, so nobody can approve it.")
                .with_remedy("Set `onChange`, `onNew` or `onFlag` of `tool-pinning` to `hold`.")
        }
        NotApproved::Changed => {
            Refusal::new(Reason::Conflict, "What waits is another definition by now, so nothing was approved.")
        }
        NotApproved::Store(error) => stored(error),
    }
}

fn unknown() -> Refusal {
    Refusal::new(Reason::UnknownId, "Nothing is kept of such a tool.")
}
