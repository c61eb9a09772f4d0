//! The upstream's session behind one of the gateway's own: opened when the person is connected, with what the client had
//! said, and found again for each request.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode};
use moka::sync::Cache;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::Ask;
use crate::kit::{
    chain::{Inbound, Request, Response, RouteService},
    credential::{UpstreamChallenge, UpstreamCredential},
    json::Limits,
    message::{Message, Method},
    refusal::{Reason, Refusal},
    reply::Reply,
    session::{OwnSession, SESSION},
};

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The id of the gateway's own `initialize`, as JSON text.
const OPENING: &str = r#""portcullis-open""#;
/// How many sessions are remembered; one that is forgotten is opened once more.
const SESSIONS: u64 = 10_000;
const IDLE: Duration = Duration::from_hours(1);
/// How many events may come before the answer to `initialize`.
const EVENTS: usize = 64;

/// The sessions that are open at upstreams, and those that are being opened: whoever comes meanwhile waits for the one.
pub(super) struct Upstreams(Cache<Key, Opening>);

/// The gateway's session, and the connection: nobody goes on with a session that another credential opened.
type Key = (Box<str>, Arc<str>);
type Opening = Arc<OnceCell<Opened>>;

/// A session at an upstream.
struct Opened {
    /// Its id, as clients would see it; some upstreams have none.
    id: Option<HeaderValue>,
    /// The revision that the upstream chose.
    version: Option<HeaderValue>,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(SESSIONS).time_to_idle(IDLE).build())
    }
}

impl Upstreams {
    /// Sends a request with the upstream's session in the place of the gateway's. Where the upstream has forgotten it, it
    /// is opened once more, except for tool calls: of those none is sent twice.
    pub(super) async fn forward(
        &self,
        ask: &Ask,
        request: Request,
        session: &OwnSession,
        credential: &UpstreamCredential,
        inner: &RouteService,
    ) -> Response {
        let key = (session.id.clone(), Arc::from(credential.connection()));
        let opening = self.opening(&key);
        let again = (opening.initialized() && !ask.is(&Method::CallTool)).then(|| request.clone());
        let response = through(ask, request, session, &opening, inner).await;
        if response.status() != StatusCode::NOT_FOUND {
            return response;
        }
        self.forget(&key, &opening);
        match again {
            Some(request) => through(ask, request, session, &self.opening(&key), inner).await,
            None => response,
        }
    }

    fn opening(&self, key: &Key) -> Opening {
        self.0.get_with_by_ref(key, Arc::default)
    }

    /// Unless another one has come in its place.
    fn forget(&self, key: &Key, opening: &Opening) {
        if self.0.get(key).is_some_and(|known| Arc::ptr_eq(&known, opening)) {
            self.0.invalidate(key);
        }
    }
}

async fn through(
    ask: &Ask,
    mut request: Request,
    session: &OwnSession,
    opening: &OnceCell<Opened>,
    inner: &RouteService,
) -> Response {
    match opening.get_or_try_init(|| open(&request, session, inner)).await {
        Ok(opened) => opened.mark(request.headers_mut()),
        Err(failed) => return failed.answer(ask),
    }
    let Ok(mut response) = inner.run(request).await;
    // The client has its own id for it.
    response.headers_mut().remove(SESSION);
    response
}

impl Opened {
    fn mark(&self, headers: &mut HeaderMap) {
        headers.remove(SESSION);
        headers.extend(self.id.clone().map(|id| (SESSION, id)));
        if let Some(version) = &self.version {
            headers.insert(VERSION, version.clone());
        }
    }
}

/// Why there is no session at the upstream.
struct Failed {
    refusal: Refusal,
    challenge: Option<UpstreamChallenge>,
}

impl Failed {
    fn because(why: impl std::fmt::Display) -> Self {
        let refusal = Refusal::new(Reason::UpstreamInvalid, format!("The upstream did not open a session: {why}."));
        Self { refusal, challenge: None }
    }

    fn answer(self, ask: &Ask) -> Response {
        let mut response = ask.refuse(self.refusal);
        if let Some(challenge) = self.challenge {
            response.extensions_mut().insert(challenge);
        }
        response
    }
}

/// The handshake, in the client's name.
async fn open(request: &Request, session: &OwnSession, inner: &RouteService) -> Result<Opened, Failed> {
    let params = json!({
        "protocolVersion": session.version,
        "capabilities": session.capabilities,
        "clientInfo": session.client,
    });
    let text = format!(r#"{{"jsonrpc":"2.0","id":{OPENING},"method":"initialize","params":{params}}}"#);
    let Ok(response) = inner.run(with_message(request, text)?).await;
    let opened = greeted(response).await?;
    let mut done = with_message(request, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned())?;
    opened.mark(done.headers_mut());
    // Whether it was taken, the request that follows will show.
    let Ok(_) = inner.run(done).await;
    Ok(opened)
}

/// A request with the same facts and another message.
fn with_message(request: &Request, text: String) -> Result<Request, Failed> {
    let message =
        Message::read(text.into(), &Limits::ANSWER).map_err(|_| Failed::because("its client said too much"))?;
    let mut other = Request::new(Inbound::Message(message));
    *other.method_mut() = HttpMethod::POST;
    *other.uri_mut() = request.uri().clone();
    *other.extensions_mut() = request.extensions().clone();
    *other.headers_mut() = request.headers().clone();
    let names = request.headers().keys().filter(|name| name.as_str().starts_with("mcp-"));
    for name in names {
        other.headers_mut().remove(name);
    }
    Ok(other)
}

/// The upstream's answer to `initialize`.
async fn greeted(response: Response) -> Result<Opened, Failed> {
    let (mut head, reply) = response.into_parts();
    if let Some(challenge) = head.extensions.remove() {
        return Err(Failed { refusal: Reason::UpstreamUnauthorized.into(), challenge: Some(challenge) });
    }
    if !head.status.is_success() {
        return Err(Failed::because(head.status));
    }
    let body = answer(reply).await.ok_or_else(|| Failed::because("its stream ended without an answer"))?;
    let message: Value = serde_json::from_slice(&body).map_err(|_| Failed::because("its answer is not JSON"))?;
    let Some(result) = message.get("result") else {
        return Err(Failed::because(message.pointer("/error/code").unwrap_or(&Value::Null)));
    };
    let version = result["protocolVersion"].as_str().and_then(|version| HeaderValue::from_str(version).ok());
    Ok(Opened { id: head.headers.remove(SESSION), version })
}

async fn answer(reply: Reply) -> Option<Bytes> {
    let mut source = match reply {
        Reply::Empty => return None,
        Reply::Full(body) => return Some(body),
        Reply::Events(source) => source,
    };
    for _ in 0..EVENTS {
        let event = poll_fn(|context| source.poll_event(context)).await?;
        if event.answers(OPENING) {
            return event.data_bytes();
        }
    }
    None
}
