//! `/approvals`: people see the calls that wait for them, and decide.

use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::{
    form::{self, DECISION, Sent},
    pages::{Approval, Approvals},
    router::Console,
    sign_in::{Reader, ask_first, reader},
    trouble::Trouble,
};
use crate::{
    approvals::{ApprovalView, NotDecided, PAGE, Verdict, Who},
    oauth::{Guest, pages::see_other},
};

const SIGN_IN: (&str, &str) =
    ("Approvals", "Calls that wait are shown to those alone who made them or decide about them. Sign in first.");

/// Shows whoever is signed in what waits for them, and what they asked for themselves.
pub(super) async fn list(console: &Console, headers: &HeaderMap) -> Result<Response, Trouble> {
    let mut guest = console.authority.guest(headers).await?;
    let target = console.authority.form_target();
    let page = match reader(console, &guest) {
        Some(Reader { identity, account, way }) => {
            let waiting = console.desk.waiting_for(Who::Person(&identity)).await?;
            let own = console.desk.of(&identity.subject).await?;
            let (host, sealed) = (console.authority.host(), console.authority.seal_form(&guest, PAGE));
            Approvals::new(host, account, way, sealed, (&waiting, &own)).show(target)
        }
        None => ask_first(console, &guest, PAGE, SIGN_IN)?,
    };
    Ok(guest.identify(page))
}

/// Shows one call to those who may see it.
pub(super) async fn page(console: &Console, number: i64, headers: &HeaderMap) -> Result<Response, Trouble> {
    let mut guest = console.authority.guest(headers).await?;
    let page = match reader(console, &guest) {
        Some(reader) => {
            let view = console.desk.view(number, Who::Person(&reader.identity)).await?.ok_or(Trouble::NoApproval)?;
            show(console, &guest, reader, &view, None)
        }
        None => ask_first(console, &guest, &path(number), SIGN_IN)?,
    };
    Ok(guest.identify(page))
}

/// Does what a button says. Of two who decide at once, one does, and the other is told.
pub(super) async fn decide(
    console: &Console,
    number: i64,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Trouble> {
    let path = path(number);
    let (guest, form) = match form::sent(console, (headers, body), &path).await? {
        Sent::Form(guest, form) => (guest, form),
        Sent::Leaving(response) => return Ok(response),
    };
    let Some(reader) = reader(console, &guest) else { return Ok(see_other(&path)) };
    let verdict = match form.get(DECISION) {
        Some("approve") => Verdict::Approve,
        Some("deny") => Verdict::Deny,
        Some("withdraw") => Verdict::Withdraw,
        _ => return Err(Trouble::NoDecision),
    };
    let who = Who::Person(&reader.identity);
    match console.desk.decide(number, who, verdict, form.get("reason")).await {
        Ok(_) => Ok(see_other(&path)),
        Err(NotDecided::Unknown) => Err(Trouble::NoApproval),
        Err(NotDecided::Settled(_)) => {
            let view = console.desk.view(number, who).await?.ok_or(Trouble::NoApproval)?;
            Ok(show(console, &guest, reader, &view, Some(SETTLED)))
        }
        Err(NotDecided::Store(error)) => Err(error.into()),
    }
}

const SETTLED: &str = "Nothing was changed: this was decided, taken back or too late before you pressed the button.";

fn show(
    console: &Console,
    guest: &Guest,
    reader: Reader,
    view: &ApprovalView,
    notice: Option<&'static str>,
) -> Response {
    let sealed = console.authority.seal_form(guest, &path(view.record.number));
    let status = if notice.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let page = Approval::new(console.authority.host(), reader.account, reader.way, sealed, view);
    page.noting(notice).show(status, console.authority.form_target())
}

fn path(number: i64) -> String {
    format!("{PAGE}/{number}")
}
