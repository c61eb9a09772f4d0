//! `/audit`: operators see what happened.

use axum::response::Response;
use http::HeaderMap;
use url::form_urlencoded::Serializer;

use super::{
    operators::{Visit, visit},
    pages::{Audit, AuditEntry, Filter},
    router::Console,
    sign_in::Reader,
    trouble::Trouble,
};
use crate::{
    audit::{Wanted, page},
    oauth::{self, Parameters},
    wire::{id_of, moment, parts_of},
};

const PATH: &str = "/audit";
const TITLE: &str = "Audit log";
/// Rows of a page, and rows that are looked at for it.
const ROWS: usize = 30;
const LOOKED_AT: usize = 20_000;

/// Shows the newest rows that fit.
pub(super) async fn list(console: &Console, query: &str, headers: &HeaderMap) -> Result<Response, Trouble> {
    let mut guest = console.authority.guest(headers).await?;
    let Reader { account, way, .. } = match visit(console, &guest, TITLE, PATH)? {
        Visit::Operator(operator) => operator,
        Visit::Nobody(page) => return Ok(guest.identify(page)),
    };
    let parameters = Parameters::parse(query).map_err(oauth::Trouble::from)?;
    let filter = Filter::of(&parameters);
    let from = parameters.get("cursor").and_then(parts_of);
    let (host, sealed) = (console.authority.host(), console.authority.seal_form(&guest, PATH));
    let mut shown = Audit { host, account, way, sealed, filter, rows: Vec::new(), next: None, notice: None };
    match wanted(&shown.filter) {
        Ok(wanted) => {
            let found = page(&console.store, &console.tenant, &wanted, from, LOOKED_AT).await?;
            shown.rows = found.found.iter().map(AuditEntry::of).collect();
            shown.next = found.next.map(|place| next(&shown.filter, &id_of(&place)));
        }
        Err(why) => shown.notice = Some(why),
    }
    Ok(guest.identify(shown.show(console.authority.form_target())))
}

/// Shows all of one row.
pub(super) async fn row(
    console: &Console,
    (chain, number): (&str, i64),
    headers: &HeaderMap,
) -> Result<Response, Trouble> {
    let mut guest = console.authority.guest(headers).await?;
    let path = format!("{PATH}/{chain}/{number}");
    let account = match visit(console, &guest, TITLE, &path)? {
        Visit::Operator(operator) => operator.account,
        Visit::Nobody(page) => return Ok(guest.identify(page)),
    };
    let rows = console.store.audit_rows(&console.tenant, (chain, number.saturating_sub(1)), 1).await?;
    let row = rows.first().filter(|row| row.chain == chain && row.number == number).ok_or(Trouble::NothingThere)?;
    Ok(guest.identify(super::pages::AuditRow::new(console.authority.host(), account, row).show()))
}

fn wanted(filter: &Filter) -> Result<Wanted, String> {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let since = some(&filter.since).map(|text| {
        // A day stands for its beginning.
        moment(&text).or_else(|why| moment(&format!("{text}T00:00:00Z")).map_err(|_| why))
    });
    Ok(Wanted {
        since: since.transpose().map_err(|why| format!("\u{201c}Since\u{201d} is no moment: {why}."))?,
        user: some(&filter.user),
        route: some(&filter.route),
        tool: some(&filter.tool),
        reason: some(&filter.reason),
        decision: some(&filter.decision),
        limit: ROWS,
        ..Wanted::default()
    })
}

/// Where the next page is.
fn next(filter: &Filter, cursor: &str) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(filter.pairs().into_iter().filter(|(_, value)| !value.is_empty()));
    format!("{PATH}?{}", query.append_pair("cursor", cursor).finish())
}
