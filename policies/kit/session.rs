//! What the ids of sessions tell (revisions of MCP up to 2025-11-25).
//!
//! The gateway keeps no table of sessions: ids carry what there is to know, so any node can go on with them. Those that the
//! gateway opens itself say all that the client said of itself. Those of upstreams are sealed, and say openly only whether
//! their client opens pages. There is no authority in either: each request is judged by its own token, and whoever forges an id
//! is asked in another way.

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::kit::{
    chain::{Arrival, Request},
    host::Caller,
    pages::declares_pages,
    refusal::{Reason, Refusal},
};

/// The header that names a session.
pub const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// The revisions with sessions, newest first.
pub const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// No sealed id can look like this: those have no dot but before [`OPENS_PAGES`].
const PREFIX: &str = "portcullis.";
/// How a sealed id ends whose client opens pages.
const OPENS_PAGES: &str = ".pages";
/// Bytes of JSON that an id may carry; of clients that say more about themselves, only the gist is kept.
const MOST: usize = 1 << 10;

/// A session that the gateway opened itself, as its id tells.
#[derive(Clone, Debug)]
pub struct OwnSession {
    /// The id.
    pub id: Box<str>,
    /// The revision that was agreed on.
    pub version: String,
    /// What the client declared.
    pub capabilities: Value,
    /// What the client said it is.
    pub client: Value,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    v: String,
    c: Value,
    i: Value,
}

/// Does a request name one of the gateway's own sessions?
pub fn is_own(headers: &HeaderMap) -> bool {
    headers.get(SESSION).is_some_and(|id| id.as_bytes().starts_with(PREFIX.as_bytes()))
}

/// Has this revision URL mode elicitation, and does the client declare it?
pub fn knows_pages(version: &str, capabilities: &Value) -> bool {
    version == VERSIONS[0] && declares_pages(capabilities)
}

/// A sealed id that says whether its client opens pages.
pub fn marked(sealed: String, opens_pages: bool) -> String {
    if opens_pages { sealed + OPENS_PAGES } else { sealed }
}

/// The sealed id without what it says openly.
pub fn unmarked(id: &str) -> &str {
    id.strip_suffix(OPENS_PAGES).unwrap_or(id)
}

/// Does the client open pages, as the session says that the request names?
pub fn opens_pages(request: &Request) -> bool {
    let facts = request.extensions();
    let subject = facts.get::<Caller>().map_or("", |caller| &caller.subject);
    let route = facts.get::<Arrival>().map_or("", |arrival| &arrival.route);
    match OwnSession::named_by(request.headers(), subject, route) {
        Ok(Some(session)) => session.opens_pages(),
        Ok(None) => request.headers().get(SESSION).is_some_and(|id| id.as_bytes().ends_with(OPENS_PAGES.as_bytes())),
        Err(_) => false,
    }
}

impl OwnSession {
    /// The id of a session of this caller on this route, in which this is agreed on. `drawn` tells it from others.
    pub fn id(version: &str, params: &Value, (subject, route): (&str, &str), drawn: &str) -> String {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(payload(version, &params["capabilities"], &params["clientInfo"]));
        let nonce = short_hash(&[drawn]);
        let binding = short_hash(&[subject, route, &payload, &nonce]);
        format!("{PREFIX}{payload}.{nonce}.{binding}")
    }

    /// The session that a request of this caller names, if it is one of the gateway's own.
    pub fn named_by(headers: &HeaderMap, subject: &str, route: &str) -> Result<Option<Self>, Refusal> {
        if !is_own(headers) {
            return Ok(None);
        }
        let id = headers.get(SESSION).and_then(|id| id.to_str().ok());
        let session = id.and_then(|id| Self::open(id, subject, route));
        session.map(Some).ok_or_else(|| Reason::UnknownSession.into())
    }

    fn open(id: &str, subject: &str, route: &str) -> Option<Self> {
        let mut parts = id.strip_prefix(PREFIX)?.split('.');
        let (payload, nonce, binding) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || short_hash(&[subject, route, payload, nonce]) != binding {
            return None;
        }
        let json = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
        let Payload { v, c, i } = serde_json::from_slice(&json).ok()?;
        Some(Self { id: id.into(), version: v, capabilities: c, client: i })
    }

    /// Can its client send people to a page?
    pub fn opens_pages(&self) -> bool {
        knows_pages(&self.version, &self.capabilities)
    }
}

fn payload(version: &str, capabilities: &Value, client: &Value) -> Vec<u8> {
    let json = |c: Value, i: Value| serde_json::to_vec(&Payload { v: version.to_owned(), c, i }).unwrap_or_default();
    let whole = json(capabilities.clone(), client.clone());
    if whole.len() <= MOST { whole } else { json(gist_of_capabilities(capabilities), gist_of_client(client)) }
}

fn gist_of_capabilities(capabilities: &Value) -> Value {
    let mut gist = Map::new();
    for name in ["roots", "sampling", "elicitation"] {
        let Some(declared) = capabilities.get(name) else { continue };
        let short = serde_json::to_string(declared).is_ok_and(|text| text.len() <= MOST / 8);
        gist.insert(name.to_owned(), if short { declared.clone() } else { json!({}) });
    }
    gist.into()
}

fn gist_of_client(client: &Value) -> Value {
    let text = |key: &str| client[key].as_str().unwrap_or_default().chars().take(40).collect::<String>();
    json!({ "name": text("name"), "version": text("version") })
}

/// 128 bits of a hash over all parts, each with its length, so that none can flow into its neighbour.
fn short_hash(parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    BASE64_URL_SAFE_NO_PAD.encode(&context.finish().as_ref()[..16])
}
