//! Sessions of revisions up to 2025-11-25 that the gateway opens itself, because nobody is connected yet.
//!
//! Their ids carry what the client said about itself, so any node can go on with them. There is no authority in them:
//! each request is judged by its own token, and the session by whether it was made for that caller on that route.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Ask, catalogue::server_info, words::Words};
use crate::kit::{
    chain::Response,
    clock::Clock,
    host::Host,
    refusal::{Reason, Refusal},
};

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// No id of an upstream can look like this: those are marked with hexadecimal digits.
const PREFIX: &str = "portcullis.";
/// The revisions with sessions, newest first.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/// Bytes of JSON that an id may carry; of clients that say more about themselves, only the gist is kept.
const MOST: usize = 1 << 10;

/// Opens sessions.
pub(super) struct Sessions {
    seed: u64,
    clock: Arc<dyn Clock>,
    opened: AtomicU64,
}

/// A session, as its id tells.
#[derive(Clone)]
pub(in super::super) struct Session {
    /// The id.
    pub(super) id: Box<str>,
    /// The revision that was agreed on.
    pub(super) version: String,
    /// What the client declared.
    pub(super) capabilities: Value,
    /// What the client said it is.
    pub(super) client: Value,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    v: String,
    c: Value,
    i: Value,
}

/// Does a request name one of these sessions?
pub(super) fn is_named_by(headers: &HeaderMap) -> bool {
    headers.get(SESSION).is_some_and(|id| id.as_bytes().starts_with(PREFIX.as_bytes()))
}

impl Sessions {
    pub(super) fn new(host: &Host) -> Self {
        Self { seed: host.seed, clock: Arc::clone(&host.clock), opened: AtomicU64::new(0) }
    }

    /// Answers `initialize`.
    pub(super) fn open(&self, ask: &Ask, words: &Words) -> Response {
        let params = ask.params();
        let asked = params["protocolVersion"].as_str();
        let version = VERSIONS.into_iter().find(|version| Some(*version) == asked).unwrap_or(VERSIONS[0]);
        let mut response = ask.result(&json!({
            "protocolVersion": version,
            "capabilities": {
                "tools": { "listChanged": true },
                "prompts": { "listChanged": true },
                "resources": { "listChanged": true },
            },
            "serverInfo": server_info(words),
            "instructions": words.instructions(),
        }));
        let id = self.id(ask, version, &params);
        response.headers_mut().extend(HeaderValue::try_from(id).ok().map(|id| (SESSION, id)));
        response
    }

    fn id(&self, ask: &Ask, version: &str, params: &Value) -> String {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(payload(version, &params["capabilities"], &params["clientInfo"]));
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let drawn = format!("{}|{number}|{:?}|{}", self.seed, self.clock.now(), ask.subject());
        let nonce = short_hash(&[&drawn]);
        let binding = short_hash(&[ask.subject(), ask.route(), &payload, &nonce]);
        format!("{PREFIX}{payload}.{nonce}.{binding}")
    }
}

impl Session {
    /// The session that a request names, if it is one of the gateway's own.
    pub(in super::super) fn named_by(headers: &HeaderMap, subject: &str, route: &str) -> Result<Option<Self>, Refusal> {
        if !is_named_by(headers) {
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

    /// Has its revision URL elicitation?
    pub(super) fn knows_pages(&self) -> bool {
        self.version == VERSIONS[0]
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
