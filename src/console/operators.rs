//! Pages for operators: whom `gateway.operators` names, and nobody else.

use axum::response::Response;
use http::HeaderMap;
use portcullis_policies::kit::host::Identity;

use super::{approvals::ask_to_sign_in, connections::person, form, router::Console, trouble::Trouble};
use crate::oauth::Guest;

/// An operator who is signed in.
pub(super) struct Operator {
    pub(super) identity: Identity,
    pub(super) account: String,
    /// The route by whose sign-in.
    pub(super) way: String,
}

/// Who is in front of a page.
pub(super) enum Visit {
    Operator(Operator),
    /// Nobody has signed in: what they see.
    Nobody(Response),
}

const LEAD: &str = "What is here is for the operators of this gateway alone. Sign in first.";

/// Lets operators see the page at `path`, asks others to sign in, and tells those who have done so that they are none.
pub(super) fn visit(console: &Console, guest: &Guest, title: &'static str, path: &str) -> Result<Visit, Trouble> {
    match operator(console, guest)? {
        Some(operator) => Ok(Visit::Operator(operator)),
        None => Ok(Visit::Nobody(ask_to_sign_in(console, guest, path, (title, LEAD))?)),
    }
}

/// The operator who is signed in; none, if nobody is.
pub(super) fn operator(console: &Console, guest: &Guest) -> Result<Option<Operator>, Trouble> {
    let Some((person, way)) = person(console, guest) else { return Ok(None) };
    let identity = person.identity();
    if !console.operators.iter().any(|operator| operator.is(&identity)) {
        return Err(Trouble::NoOperator);
    }
    Ok(Some(Operator { identity, account: person.name(), way }))
}

/// Signs somebody in: nothing is decided on these pages.
pub(super) async fn change(
    console: &Console,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Trouble> {
    let guest = console.authority.guest(headers).await?;
    let form = form::read(console, &guest, (headers, body), path)?;
    let way = form.get("way").unwrap_or_default();
    form::sign_in(console, &guest, &form, way, path).await?.ok_or(Trouble::NoDecision)
}
