//! `/connect/{token}`: the page that a link leads to, and what its person decides there.

use axum::response::Response;
use http::HeaderMap;
use portcullis_policies::kit::credential::{AuthMode, KeyField};
use secrecy::SecretString;

use super::{
    form::{self, DECISION},
    pages::{Connect, Done, NotYours},
    router::Console,
    trouble::Trouble,
};
use crate::{
    oauth::{Guest, Parameters, Visitor, pages::see_other},
    upstreams::connections::{ConnectError, LinkView},
};

/// Who sits in front of the page, as far as the link goes.
enum Who {
    /// The person whose call asked for it, by the name that they go by.
    Owner(String),
    /// Whoever the operator gave it, where all callers share what is connected.
    Holder,
    /// Nobody has signed in.
    Nobody,
    /// Somebody else.
    Another(String),
}

/// Shows the page. Nothing changes by looking at it: programs that preview links do that too.
pub(super) async fn page(
    console: &Console,
    visitor: &Visitor,
    token: &str,
    headers: &HeaderMap,
) -> Result<Response, Trouble> {
    let link = find(console, token).await?;
    let mut guest = console.authority.guest(headers).await?;
    let who = who(console, &guest, &link)?;
    let (host, sealed) = (console.authority.host(), console.authority.seal_form(&guest, &path(token)));
    let connect = || Connect::new(host.clone(), &link, path(token), sealed.clone());
    let target = console.authority.form_target();
    let page = match who {
        Who::Another(account) => {
            refuse(visitor, &guest, &link, console);
            NotYours { host, account, action: path(token), sealed, request_id: visitor.request_id.clone() }.show(target)
        }
        Who::Owner(account) => connect().signed_in(account).show(target),
        Who::Holder => connect().show(target),
        Who::Nobody => connect().asking().show(target),
    };
    Ok(guest.identify(page))
}

/// Does what its person decided.
pub(super) async fn decide(
    console: &Console,
    visitor: &Visitor,
    token: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Trouble> {
    let link = find(console, token).await?;
    let guest = console.authority.guest(headers).await?;
    let mut form = form::read(console, &guest, (headers, body), &path(token))?;
    if let Some(leaving) = form::sign_in(console, &guest, &form, &link.route, &path(token)).await? {
        return Ok(leaving);
    }
    match who(console, &guest, &link)? {
        Who::Owner(_) | Who::Holder => {}
        Who::Nobody => return Ok(see_other(&path(token))),
        Who::Another(_) => {
            refuse(visitor, &guest, &link, console);
            return Err(ConnectError::NotYours.into());
        }
    }
    if form.get(DECISION) != Some("connect") {
        return Err(Trouble::NoDecision);
    }
    connect(console, &guest, &link, token, &mut form).await
}

/// Keeps the key that was typed in, or sends the browser to the upstream's sign-in.
async fn connect(
    console: &Console,
    guest: &Guest,
    link: &LinkView,
    token: &str,
    form: &mut Parameters,
) -> Result<Response, Trouble> {
    let person = console.authority.person(guest, &link.route);
    let subject = person.as_ref().map_or("", |person| person.subject());
    if let AuthMode::UserKey(fields) = &link.auth.mode {
        let values = typed(fields, form);
        let connected = console.book.put_key(token, subject, &values).await?;
        return Ok(Done::new(console.authority.host(), &connected).show());
    }
    let browser = guest.browser().ok_or(ConnectError::Gone)?;
    let departure = console.book.begin(token, subject, browser).await?;
    Ok(see_other(departure.url.as_str()))
}

/// The link, if it is still good. One that was used, one that is too old and one that never was look the same.
async fn find(console: &Console, token: &str) -> Result<LinkView, Trouble> {
    Ok(console.book.link(token).await?.ok_or(ConnectError::Gone)?)
}

fn who(console: &Console, guest: &Guest, link: &LinkView) -> Result<Who, Trouble> {
    // A link of one person stays theirs, also if the route has come to share one connection since.
    if link.subject.is_empty() {
        return Ok(Who::Holder);
    }
    if !console.authority.has_sign_in(&link.route) {
        return Err(Trouble::NoSignIn);
    }
    Ok(match console.authority.person(guest, &link.route) {
        Some(person) if person.subject() == link.subject => Who::Owner(person.name()),
        Some(person) => Who::Another(person.name()),
        None => Who::Nobody,
    })
}

fn refuse(visitor: &Visitor, guest: &Guest, link: &LinkView, console: &Console) {
    let opened_by = console.authority.person(guest, &link.route).map(|person| person.subject().to_owned());
    let (upstream, request) = (&*link.auth.id, visitor.request_id.as_str());
    tracing::warn!(upstream, opened_by, request, "a link to connect was opened by somebody else, and was refused");
}

/// What was typed in, by the names of the fields. Nothing of it is ever shown again.
fn typed(fields: &[KeyField], form: &mut Parameters) -> Vec<(String, SecretString)> {
    let mut value = |field: &KeyField| form.take(&input(field)).unwrap_or_default().trim().to_owned();
    fields.iter().map(|field| (field.name.clone(), SecretString::from(value(field)))).collect()
}

/// A field's name on the page: never one of the form's own.
pub(super) fn input(field: &KeyField) -> String {
    format!("key-{}", field.name)
}

fn path(token: &str) -> String {
    format!("/connect/{token}")
}
