//! The forms of the console: what each does, and to what.

use axum::response::Response;
use http::HeaderMap;

use super::{router::Console, trouble::Trouble};
use crate::{
    oauth::{Guest, OwnPage, Parameters},
    upstreams::connections::ConnectError,
};

/// The field that says which button was pressed.
pub(super) const DECISION: &str = "decision";
/// Somebody wants to sign in.
const SIGN_IN: &str = "sign-in";
/// Somebody wants to sign in as somebody else.
const SIGN_IN_AGAIN: &str = "sign-in-again";

/// A form that was on one of our pages for this guest.
pub(super) fn read(
    console: &Console,
    guest: &Guest,
    (headers, body): (&HeaderMap, &[u8]),
    page: &str,
) -> Result<Parameters, Trouble> {
    Ok(console.authority.form(guest, headers, body, page)?)
}

/// Where the browser goes if the form asks for a sign-in; it comes back to `page`.
pub(super) async fn sign_in(
    console: &Console,
    guest: &Guest,
    form: &Parameters,
    route: &str,
    page: &str,
) -> Result<Option<Response>, Trouble> {
    let page = match form.get(DECISION) {
        Some(SIGN_IN) => OwnPage::new(route, page),
        Some(SIGN_IN_AGAIN) => OwnPage::new(route, page).map(OwnPage::by_somebody_else),
        _ => return Ok(None),
    };
    let page = page.ok_or(ConnectError::Gone)?;
    Ok(Some(console.authority.sign_in_for(guest, page).await?))
}

/// What somebody sent.
pub(super) enum Sent {
    /// They decided something.
    Form(Guest, Parameters),
    /// They go to sign in.
    Leaving(Response),
}

/// A form that was on our page at this path, with the way by which somebody signs in there.
pub(super) async fn sent(console: &Console, (headers, body): (&HeaderMap, &[u8]), path: &str) -> Result<Sent, Trouble> {
    let guest = console.authority.guest(headers).await?;
    let form = read(console, &guest, (headers, body), path)?;
    let way = form.get("way").unwrap_or_default();
    Ok(match sign_in(console, &guest, &form, way, path).await? {
        Some(leaving) => Sent::Leaving(leaving),
        None => Sent::Form(guest, form),
    })
}
