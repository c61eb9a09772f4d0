//! Pages for operators: whom `gateway.operators` names, and nobody else.

use axum::response::Response;

use super::{
    router::Console,
    sign_in::{Reader, ask_first, reader},
    trouble::Trouble,
};
use crate::oauth::Guest;

/// Who is in front of a page.
pub(super) enum Visit {
    Operator(Reader),
    /// Nobody has signed in: what they see.
    Nobody(Response),
}

const LEAD: &str = "What is here is for the operators of this gateway alone. Sign in first.";

/// Lets operators see the page at `path`, asks others to sign in, and tells those who have done so that they are none.
pub(super) fn visit(console: &Console, guest: &Guest, title: &'static str, path: &str) -> Result<Visit, Trouble> {
    match operator(console, guest)? {
        Some(operator) => Ok(Visit::Operator(operator)),
        None => Ok(Visit::Nobody(ask_first(console, guest, path, (title, LEAD))?)),
    }
}

/// The operator who is signed in; none, if nobody is.
pub(super) fn operator(console: &Console, guest: &Guest) -> Result<Option<Reader>, Trouble> {
    let reader = reader(console, guest);
    let is_none = |reader: &Reader| !console.operators.iter().any(|operator| operator.is(&reader.identity));
    if reader.as_ref().is_some_and(is_none) { Err(Trouble::NoOperator) } else { Ok(reader) }
}
