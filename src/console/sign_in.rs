//! Who is in front of a page, and how they sign in.

use axum::response::Response;
use http::HeaderMap;
use portcullis_policies::kit::host::Identity;

use super::{
    form::{self, Sent},
    pages::SignIn,
    router::Console,
    trouble::Trouble,
};
use crate::oauth::{Guest, Person};

/// Somebody who is signed in.
pub(super) struct Reader {
    pub(super) identity: Identity,
    pub(super) account: String,
    /// The route by whose sign-in.
    pub(super) way: String,
}

/// Who is signed in, and by which way in.
pub(super) fn person<'a>(console: &Console, guest: &'a Guest) -> Option<(Person<'a>, String)> {
    let ways = console.authority.ways_in();
    ways.into_iter().find_map(|way| Some((console.authority.person(guest, &way)?, way)))
}

/// The same, with all that is known of them.
pub(super) fn reader(console: &Console, guest: &Guest) -> Option<Reader> {
    let (person, way) = person(console, guest)?;
    Some(Reader { identity: person.identity(), account: person.name(), way })
}

/// The page on which nobody is signed in yet, under this title and with these words.
pub(super) fn ask_first(
    console: &Console,
    guest: &Guest,
    page: &str,
    (title, lead): (&'static str, &'static str),
) -> Result<Response, Trouble> {
    let ways = console.authority.ways_in();
    if ways.is_empty() {
        return Err(Trouble::NoSignIn);
    }
    let (host, sealed) = (console.authority.host(), console.authority.seal_form(guest, page));
    let page = SignIn { host, ways, sealed, page: page.to_owned(), title, lead };
    Ok(page.show(console.authority.form_target()))
}

/// Signs somebody in, on a page on which nothing is decided.
pub(super) async fn change(
    console: &Console,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Trouble> {
    match form::sent(console, (headers, body), path).await? {
        Sent::Leaving(response) => Ok(response),
        Sent::Form(..) => Err(Trouble::NoDecision),
    }
}
