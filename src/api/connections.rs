//! People's connections to upstreams.

use portcullis_policies::kit::refusal::{Reason, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    door::stored,
    endpoint::{Ask, Nothing},
    page::{Page, limit, place},
};
use crate::{store::ConnectionKey, upstreams::connections::ConnectionJson};

/// Which connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only this person's, such as `https://idp.example|00u1`; empty for those that all callers share.
    subject: Option<String>,
    /// Entries at most.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// One connection.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Named {
    /// The connection's `id`, as the list has it.
    id: String,
}

/// What was ended.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EndedConnection")]
pub(super) struct Ended {
    /// Whose it was.
    subject: String,
    /// To which upstream.
    upstream: String,
}

pub(super) async fn list(ask: Ask<Nothing, Wanted>) -> Result<Page<ConnectionJson>, Refusal> {
    let Wanted { subject, limit: wanted, cursor } = ask.query;
    let (most, from) = (limit(wanted)?, place::<ConnectionKey>(cursor.as_deref())?);
    let (store, tenant) = ask.house.store()?;
    let connections = match subject {
        // As many as there are upstreams.
        Some(subject) => {
            let mut theirs = store.connections_of(tenant, &subject).await.map_err(stored)?;
            theirs.retain(|connection| from.as_ref().is_none_or(|from| connection.key > *from));
            theirs.truncate(most as usize);
            theirs
        }
        None => store.connections(tenant, from.as_ref(), most).await.map_err(stored)?,
    };
    Ok(Page::of(&connections, most, |connection| connection.key.clone()))
}

pub(super) async fn end(ask: Ask<Named>) -> Result<Ended, Refusal> {
    let key = ConnectionKey::of_id(&ask.path.id).ok_or_else(unknown)?;
    let because = format!("the program {} ended it", ask.holder.0.shown());
    let ended = ask.house.book()?.disconnect(&key.subject, &key.upstream, &because).await.map_err(stored)?;
    if ended { Ok(Ended { subject: key.subject, upstream: key.upstream }) } else { Err(unknown()) }
}

fn unknown() -> Refusal {
    Refusal::new(Reason::UnknownId, "There is no such connection.")
}
