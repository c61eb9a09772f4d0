//! `/connections`: people see their own connections, make them and end them.

use axum::response::Response;
use http::HeaderMap;

use super::{
    form::{self, DECISION, Sent},
    pages::{Connections, Row},
    router::Console,
    sign_in::{ask_first, person},
    trouble::Trouble,
};
use crate::{
    oauth::{Guest, Person, pages::see_other},
    store::ConnectionStage,
    upstreams::connections::ConnectionView,
};

/// Where it is.
const PATH: &str = "/connections";
const SIGN_IN: (&str, &str) =
    ("Your connections", "What this gateway may use in your name is shown to you alone. Sign in first.");

/// Shows whoever is signed in their connections, and everybody else how to sign in.
pub(super) async fn page(console: &Console, headers: &HeaderMap) -> Result<Response, Trouble> {
    let mut guest = console.authority.guest(headers).await?;
    let page = match person(console, &guest) {
        Some((person, way)) => {
            let rows = of(console, &guest, person).await?.into_iter().map(Row::from).collect();
            let (host, sealed) = (console.authority.host(), console.authority.seal_form(&guest, PATH));
            Connections { host, account: person.name(), rows, way, sealed }.show(console.authority.form_target())
        }
        None => ask_first(console, &guest, PATH, SIGN_IN)?,
    };
    Ok(guest.identify(page))
}

/// Does what a button says.
pub(super) async fn change(console: &Console, headers: &HeaderMap, body: &[u8]) -> Result<Response, Trouble> {
    let (guest, form) = match form::sent(console, (headers, body), PATH).await? {
        Sent::Form(guest, form) => (guest, form),
        Sent::Leaving(response) => return Ok(response),
    };
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

/// The upstreams of the routes that they may use, and those that they are still connected to.
async fn of(console: &Console, guest: &Guest, person: Person<'_>) -> Result<Vec<ConnectionView>, Trouble> {
    let is_theirs = |view: &ConnectionView| {
        let route = view.route.as_ref();
        let may_use = route.is_some_and(|route| console.authority.person(guest, route).is_some());
        may_use || matches!(view.standing, ConnectionStage::Connected | ConnectionStage::ReconsentRequired)
    };
    Ok(console.book.of(person.subject()).await?.into_iter().filter(is_theirs).collect())
}
