//! `/connections`: people see their own connections, make them and end them.

use axum::response::Response;
use http::HeaderMap;

use super::{
    form::{self, DECISION},
    pages::{Connections, Row, SignIn},
    router::Console,
    trouble::Trouble,
};
use crate::{
    oauth::{Guest, Person, pages::see_other},
    store::ConnectionStage,
    upstreams::connections::ConnectionView,
};

/// Where it is.
const PATH: &str = "/connections";
const TITLE: &str = "Your connections";
const LEAD: &str = "What this gateway may use in your name is shown to you alone. Sign in first.";

/// Shows whoever is signed in their connections, and everybody else how to sign in.
pub(super) async fn page(console: &Console, headers: &HeaderMap) -> Result<Response, Trouble> {
    let mut guest = console.authority.guest(headers).await?;
    let ways = console.authority.ways_in();
    if ways.is_empty() {
        return Err(Trouble::NoSignIn);
    }
    let (host, sealed) = (console.authority.host(), console.authority.seal_form(&guest, PATH));
    let target = console.authority.form_target();
    let page = match person(console, &guest) {
        Some((person, way)) => {
            let rows = of(console, &guest, person).await?.into_iter().map(Row::from).collect();
            Connections { host, account: person.name(), rows, way, sealed }.show(target)
        }
        None => SignIn { host, ways, sealed, page: PATH.to_owned(), title: TITLE, lead: LEAD }.show(target),
    };
    Ok(guest.identify(page))
}

/// Does what a button says.
pub(super) async fn change(console: &Console, headers: &HeaderMap, body: &[u8]) -> Result<Response, Trouble> {
    let guest = console.authority.guest(headers).await?;
    let form = form::read(console, &guest, (headers, body), PATH)?;
    let way = form.get("way").unwrap_or_default();
    if let Some(leaving) = form::sign_in(console, &guest, &form, way, PATH).await? {
        return Ok(leaving);
    }
    let Some((person, _)) = person(console, &guest) else { return Ok(see_other(PATH)) };
    let upstream = form.get("upstream").unwrap_or_default();
    let theirs = of(console, &guest, person).await?;
    let view = theirs.iter().find(|view| view.upstream == upstream).ok_or(Trouble::NoDecision)?;
    match (form.get(DECISION), &view.route) {
        (Some("connect"), Some(route)) => Ok(see_other(&console.book.link_for(person.subject(), route).await?)),
        (Some("disconnect"), _) => {
            console.book.disconnect(person.subject(), upstream, "the person ended it").await?;
            Ok(see_other(PATH))
        }
        _ => Err(Trouble::NoDecision),
    }
}

/// Who is signed in, and by which way in.
pub(super) fn person<'a>(console: &Console, guest: &'a Guest) -> Option<(Person<'a>, String)> {
    let ways = console.authority.ways_in();
    ways.into_iter().find_map(|way| Some((console.authority.person(guest, &way)?, way)))
}

/// The upstreams of the routes that they may use, and those that they are still connected to.
async fn of(console: &Console, guest: &Guest, person: Person<'_>) -> Result<Vec<ConnectionView>, Trouble> {
    let is_theirs = |view: &ConnectionView| {
        let route = view.route.as_ref();
        let may_use = route.is_some_and(|route| console.authority.person(guest, route).is_some());
        may_use || matches!(view.standing, ConnectionStage::Connected | ConnectionStage::ReconsentRequired)
    };
    Ok(console.book.of(person.subject()).await?.into_iter().filter(is_theirs).collect())
}
