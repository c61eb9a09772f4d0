//! The audit log.

use std::time::Duration;

use portcullis_policies::kit::{
    clock::Timestamp,
    refusal::{Reason, Refusal},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    door::stored,
    endpoint::{Ask, Nothing},
    office::Foundation,
    page::{Page, limit, place},
};
use crate::{
    audit::{self, AllRows, Found, PublicKey, VerdictJson, Verifier},
    store::StoreError,
    wire::moment,
};

/// Rows that are looked at for one page.
const LOOKED_AT: usize = 20_000;
/// How long reading the whole log may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which rows. What is not said fits every row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Not older than this (RFC 3339).
    since: Option<String>,
    /// Not newer than this.
    until: Option<String>,
    /// Whose requests: a subject, or an e-mail address.
    user: Option<String>,
    /// A route's path.
    route: Option<String>,
    /// A tool, prompt or resource.
    tool: Option<String>,
    /// A reason code such as `denied_by_rule`, or a class such as `tool_error`.
    reason: Option<String>,
    /// What was decided, by rules or by a person.
    decision: Option<Decision>,
    /// `call`, or `decision`: what became of a call that was held.
    kind: Option<Kind>,
    /// The number of an approval: the calls that waited for it or were made with it, and who decided.
    approval: Option<i64>,
    /// The id that the client got as `x-request-id`.
    request: Option<String>,
    /// Rows at most.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allowed,
    Denied,
    Held,
    Undecided,
    Approved,
    Withdrawn,
    Expired,
    Changed,
}

impl Decision {
    fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Undecided => "undecided",
            Self::Approved => "approved",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Changed => "changed",
        }
    }
}

/// Which of the two.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Call,
    Decision,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Decision => "decision",
        }
    }
}

pub(super) async fn list(ask: Ask<Nothing, Wanted>) -> Result<Page<serde_json::Map<String, Value>>, Refusal> {
    let (from, wanted) = (place(ask.query.cursor.as_deref())?, wanted(ask.query)?);
    let (store, tenant) = ask.house.store()?;
    let page = audit::page(store, tenant, &wanted, from, LOOKED_AT).await.map_err(stored)?;
    let row = |found: Found| match found.into_row() {
        Value::Object(row) => row,
        _ => serde_json::Map::new(),
    };
    Ok(Page::new(page.found.into_iter().map(row).collect(), page.next.as_ref()))
}

fn wanted(query: Wanted) -> Result<audit::Wanted, Refusal> {
    let Wanted { since, until, user, route, tool, reason, decision, kind, approval, request, limit: wanted, .. } =
        query;
    Ok(audit::Wanted {
        since: since.map(|text| at("since", &text)).transpose()?,
        until: until.map(|text| at("until", &text)).transpose()?,
        user,
        route,
        tool,
        reason,
        decision: decision.map(|decision| decision.name().to_owned()),
        kind: kind.map(|kind| kind.name().to_owned()),
        approval,
        request_id: request,
        limit: limit(wanted)? as usize,
    })
}

fn at(name: &str, text: &str) -> Result<Timestamp, Refusal> {
    moment(text).map_err(|why| Refusal::new(Reason::InvalidParams, format!("`{name}` is no moment: {why}.")))
}

/// Reads all of it, so one at a time, and not for long.
pub(super) async fn verify(ask: Ask) -> Result<VerdictJson, Refusal> {
    let _turn = ask.house.reading.try_acquire().map_err(|_| busy("The log is being verified already."))?;
    let verified = timeout(PATIENCE, verdict(&ask.house)).await;
    verified.map_err(|_| busy("The log is too long to be verified while somebody waits."))?
}

async fn verdict(house: &Foundation) -> Result<VerdictJson, Refusal> {
    let (store, tenant) = house.store()?;
    let verdict = async {
        let mut verifier = Verifier::new(PublicKey::of_store(store, tenant).await?);
        let mut rows = AllRows::of(store, tenant);
        loop {
            let page = rows.next().await?;
            if page.is_empty() {
                return Ok::<_, StoreError>(verifier.finish());
            }
            for row in &page {
                verifier.row(row);
            }
            tokio::task::yield_now().await;
        }
    };
    verdict.await.map(VerdictJson::from).map_err(stored)
}

fn busy(why: &'static str) -> Refusal {
    let refusal = Refusal::new(Reason::Overloaded, why);
    refusal.with_remedy("Run `portcullis audit verify` beside the gateway, which takes its time.")
}
