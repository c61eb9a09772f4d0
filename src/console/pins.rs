//! `/pins`: operators see what tools are pinned to, and approve what has changed.

use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::{
    form::{self, DECISION, Sent},
    operators::{Visit, operator, visit},
    pages::{Pin, PinEntry, Pins},
    router::Console,
    sign_in::Reader,
    trouble::Trouble,
};
use crate::{
    oauth::{self, Guest, Parameters, pages::see_other},
    pins::{self, NotApproved},
    store::{PinRecord, WantedPins},
};

const PATH: &str = "/pins";
const TITLE: &str = "Pinned tools";
/// Tools of a page.
const TOOLS: u32 = 100;

/// Shows the tools of which something is kept.
pub(super) async fn list(console: &Console, query: &str, headers: &HeaderMap) -> Result<Response, Trouble> {
    let mut guest = console.authority.guest(headers).await?;
    let Reader { account, way, .. } = match visit(console, &guest, TITLE, PATH)? {
        Visit::Operator(operator) => operator,
        Visit::Nobody(page) => return Ok(guest.identify(page)),
    };
    let parameters = Parameters::parse(query).map_err(oauth::Trouble::from)?;
    let waiting = parameters.get("waiting").is_some();
    let (upstream, tool) = parameters.get("after").and_then(pins::of_id).unwrap_or_default();
    let wanted = WantedPins { upstream: None, waiting };
    let records = console.store.pins(&console.tenant, wanted, (&upstream, &tool), TOOLS).await?;
    let next = records.last().filter(|_| records.len() >= TOOLS as usize).map(|last| {
        let only = if waiting { "&waiting=yes" } else { "" };
        format!("{PATH}?after={}{only}", last.id())
    });
    let (host, sealed) = (console.authority.host(), console.authority.seal_form(&guest, PATH));
    let rows = records.iter().map(PinEntry::from).collect();
    let page = Pins { host, account, way, sealed, rows, waiting, next };
    Ok(guest.identify(page.show(console.authority.form_target())))
}

/// Shows one tool: in what it has changed, and what can be done.
pub(super) async fn page(console: &Console, id: &str, headers: &HeaderMap) -> Result<Response, Trouble> {
    let mut guest = console.authority.guest(headers).await?;
    let operator = match visit(console, &guest, TITLE, &path(id))? {
        Visit::Operator(operator) => operator,
        Visit::Nobody(page) => return Ok(guest.identify(page)),
    };
    let record = find(console, id).await?;
    let page = show(console, &guest, operator, &record, None);
    Ok(guest.identify(page))
}

/// Does what a button says, to the definition that was shown and no other.
pub(super) async fn decide(console: &Console, id: &str, headers: &HeaderMap, body: &[u8]) -> Result<Response, Trouble> {
    let path = path(id);
    let (guest, form) = match form::sent(console, (headers, body), &path).await? {
        Sent::Form(guest, form) => (guest, form),
        Sent::Leaving(response) => return Ok(response),
    };
    let Some(operator) = operator(console, &guest)? else { return Ok(see_other(&path)) };
    let PinRecord { upstream, tool, .. } = find(console, id).await?;
    let by = operator.identity.shown();
    match (form.get(DECISION), form.get("digest")) {
        (Some("approve"), Some(digest)) => {
            let approved = pins::approve(&console.store, &console.tenant, &upstream, Some(&tool), digest, &by).await;
            match approved {
                Ok(_) => tracing::info!(upstream, tool, by, "a tool's definition was approved"),
                Err(NotApproved::Store(error)) => return Err(error.into()),
                Err(_) => {
                    let record = find(console, id).await?;
                    return Ok(show(console, &guest, operator, &record, Some(OTHER)));
                }
            }
            Ok(see_other(&path))
        }
        (Some("forget"), _) => {
            pins::forget(&console.store, &console.tenant, &upstream, Some(&tool)).await?;
            tracing::info!(upstream, tool, by, "a tool's definition was forgotten");
            Ok(see_other(PATH))
        }
        _ => Err(Trouble::NoDecision),
    }
}

const OTHER: &str =
    "Nothing was approved: what waits is not what the page showed, or the policy of its route blocks it. Look again.";

async fn find(console: &Console, id: &str) -> Result<PinRecord, Trouble> {
    let (upstream, tool) = pins::of_id(id).ok_or(Trouble::NothingThere)?;
    console.store.pin(&console.tenant, &upstream, &tool).await?.ok_or(Trouble::NothingThere)
}

fn show(
    console: &Console,
    guest: &Guest,
    operator: Reader,
    record: &PinRecord,
    notice: Option<&'static str>,
) -> Response {
    let sealed = console.authority.seal_form(guest, &path(&record.id()));
    let status = if notice.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let page = Pin::new(console.authority.host(), operator.account, operator.way, sealed, record);
    page.noting(notice).show(status, console.authority.form_target())
}

fn path(id: &str) -> String {
    format!("{PATH}/{id}")
}
