//! Which clients a route serves, and what it tells the others.

use http::HeaderMap;
use portcullis_policies::kit::{
    chain::Request,
    edge::InBatch,
    message::{FIRST_MODERN, Kind, Message, Method},
    refusal::{Reason, Refusal},
    reply::Reply,
};
use serde_json::Value;

use super::{Serves, headers::VERSION, session::Session, upstream::Received};

/// All revisions that the gateway can translate, newest first.
const VERSIONS: [&str; 4] = [FIRST_MODERN, "2025-11-25", "2025-06-18", "2025-03-26"];

/// The revisions that a route serves where it translates, newest first: what `server/discover` says and what a client is told
/// whose revision is not among them.
pub(super) fn versions(serves: Serves) -> &'static [&'static str] {
    match serves {
        Serves::Both | Serves::Upstream => &VERSIONS,
        Serves::Legacy => &VERSIONS[1..],
        Serves::Modern => &VERSIONS[..1],
    }
}

/// Is this client served at all?
///
/// What a client of 2026-07-28 is told where it is not must be no error of that revision: one that also speaks those before
/// goes on with `initialize` then (MCP 2026-07-28, "Versioning"). The other way round nobody tries again, so a person is told.
pub(super) fn check(serves: Serves, headers: &HeaderMap, message: &Message) -> Result<(), Refusal> {
    match serves {
        Serves::Both | Serves::Upstream => Ok(()),
        Serves::Legacy if !message.is_modern() => Ok(()),
        Serves::Modern if message.is_modern() || is_modern_notification(headers, message) => Ok(()),
        Serves::Legacy => {
            let why = "This route serves clients of MCP 2025-03-26 to 2025-11-25, which begin with `initialize`.";
            Err(Refusal::new(Reason::RevisionNotServed, why))
        }
        Serves::Modern => {
            let why = format!("This route serves clients of MCP {FIRST_MODERN} only, which has no `initialize`.");
            let refusal = Refusal::new(Reason::RevisionNotServed, why);
            Err(refusal.with_data("supported", vec![FIRST_MODERN]))
        }
    }
}

/// Only headers say to which revision a notification belongs.
fn is_modern_notification(headers: &HeaderMap, message: &Message) -> bool {
    let version = headers.get(VERSION).and_then(|version| version.to_str().ok());
    matches!(message.kind(), Kind::Notification(_)) && version.is_some_and(|version| version >= FIRST_MODERN)
}

/// Does the message come in a batch, in a session of a revision that has none? The edge sees only what the client repeats of it.
pub(super) fn check_batch(request: &Request, session: Option<&Session>) -> Result<(), Refusal> {
    let Some(agreed) = session.and_then(|session| session.version.as_deref()) else { return Ok(()) };
    match request.extensions().get::<InBatch>() {
        Some(batch) if !batch.is_allowed_in(agreed) => {
            let why = format!("The body is a JSON-RPC batch, which MCP {agreed} does not have.");
            Err(Refusal::new(Reason::BatchNotSupported, why).with_remedy("Send one message a request."))
        }
        _ => Ok(()),
    }
}

/// Can it be translated? A revision that is not known here cannot.
pub(super) fn check_translated(serves: Serves, message: &Message) -> Result<(), Refusal> {
    match message.version() {
        None | Some(FIRST_MODERN) => Ok(()),
        Some(version) => {
            let refusal = Refusal::from(Reason::UnsupportedVersion);
            Err(refusal.with_data("supported", versions(serves).to_vec()).with_data("requested", version))
        }
    }
}

/// Takes revisions that the route does not serve out of what the upstream says that it supports.
pub(super) fn narrow(serves: Serves, message: &Message, mut received: Received) -> Received {
    if serves == Serves::Modern && (message.method() == Some(&Method::Discover) || !received.status.is_success()) {
        received.reply = match received.reply {
            Reply::Full(body) => Reply::Full(narrowed(&body).map_or(body, Into::into)),
            other => other.map_events(|event| {
                let narrowed = event.data().and_then(narrowed);
                Some(narrowed.map_or(event, |message| portcullis_policies::kit::reply::Event::message(&message)))
            }),
        };
    }
    received
}

/// The message without what is not served; none if nothing had to be taken out.
fn narrowed(message: &[u8]) -> Option<Vec<u8>> {
    let mut message: Value = serde_json::from_slice(message).ok()?;
    let versions = match message.pointer("/result/supportedVersions") {
        Some(_) => message.pointer_mut("/result/supportedVersions"),
        None => message.pointer_mut("/error/data/supported"),
    };
    let versions = versions?.as_array_mut()?;
    let before = versions.len();
    versions.retain(|version| version.as_str().is_some_and(|version| version >= FIRST_MODERN));
    let is_changed = versions.len() != before;
    is_changed.then(|| message.to_string().into_bytes())
}
