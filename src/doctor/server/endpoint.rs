//! What is said to an MCP endpoint: only what looks, and calls nothing.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use portcullis_policies::kit::message::FIRST_MODERN;
use serde_json::{Value, json};
use url::Url;

use super::{
    answer::SESSION,
    peer::{Answer, NoAnswer, Peer, Wanted, accepting},
};

const REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The newest revision with sessions.
const LEGACY: &str = "2025-11-25";
pub(super) const METHOD_NOT_FOUND: i64 = -32601;

/// An answer, or why there is none.
pub(super) type Asked = Result<Answer, NoAnswer>;

/// A URL of MCP, the way there, and the token with which it is asked.
#[derive(Clone, Copy)]
pub(super) struct Endpoint<'a> {
    pub(super) peer: &'a Peer,
    pub(super) url: &'a Url,
    pub(super) credential: Option<&'a HeaderValue>,
}

/// What an answer to `initialize` opened.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Its id, if it has one.
    pub(super) id: Option<HeaderValue>,
    /// The revision that was agreed on. Servers take no other one in a session, and do not end it at one either.
    pub(super) revision: String,
}

impl Session {
    /// An answer that is no good, or that breaks off, may have opened one too.
    pub(super) fn opened_by(asked: &Asked) -> Self {
        let id = match asked {
            Ok(answer) => answer.headers.get(SESSION).cloned(),
            Err(none) => none.session.clone(),
        };
        let result = asked.as_ref().ok().and_then(|answer| answer.outcome()?.ok());
        let revision = result.and_then(|result| result["protocolVersion"].as_str());
        Self { id, revision: revision.unwrap_or(LEGACY).to_owned() }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_str(&self.revision).map(|revision| (REVISION, revision)));
        headers.extend(self.id.clone().map(|id| (SESSION, id)));
        headers
    }
}

impl Endpoint<'_> {
    /// Opens a session.
    pub(super) async fn initialize(self) -> Asked {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client() });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        self.post(HeaderMap::new(), &message).await
    }

    /// Says that the session may begin.
    pub(super) async fn initialized(self, session: &Session) -> Asked {
        let message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        self.post(session.headers(), &message).await
    }

    /// A page of tools, as a client with a session asks for it.
    pub(super) async fn tools_in_session(self, session: &Session, cursor: Option<&str>) -> Asked {
        let message = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": page(cursor) });
        self.post(session.headers(), &message).await
    }

    /// The same as a client of 2026-07-28.
    pub(super) async fn tools(self, cursor: Option<&str>) -> Asked {
        self.ask("tools/list", page(cursor)).await
    }

    /// What a client of 2026-07-28 asks first.
    pub(super) async fn discover(self) -> Asked {
        self.ask("server/discover", json!({})).await
    }

    /// Opens the stream of a session, if there is one, as far as to the head of the answer.
    pub(super) async fn get(self, session: Option<&Session>) -> Asked {
        let modern = || HeaderMap::from_iter([(REVISION, HeaderValue::from_static(FIRST_MODERN))]);
        let mut headers = session.map_or_else(modern, Session::headers);
        headers.extend([accepting("text/event-stream")]);
        self.send(Method::GET, headers, Bytes::new(), Wanted::Head).await
    }

    /// Ends a session, if there is one: nothing is left behind at the server. Servers may answer 405, and then forget it by
    /// themselves.
    pub(super) async fn end(self, session: &Session) {
        if session.id.is_some() {
            let _ = self.send(Method::DELETE, session.headers(), Bytes::new(), Wanted::Head).await;
        }
    }

    /// A request that stands for itself.
    async fn ask(self, method: &'static str, mut params: Value) -> Asked {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": FIRST_MODERN,
            "io.modelcontextprotocol/clientInfo": client(),
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let headers = HeaderMap::from_iter([
            (REVISION, HeaderValue::from_static(FIRST_MODERN)),
            (METHOD, HeaderValue::from_static(method)),
        ]);
        let message = json!({ "jsonrpc": "2.0", "id": 3, "method": method, "params": params });
        self.post(headers, &message).await
    }

    async fn post(self, mut headers: HeaderMap, message: &Value) -> Asked {
        headers.extend([
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            accepting("application/json, text/event-stream"),
        ]);
        let wanted = message["id"].as_u64().map_or(Wanted::Head, Wanted::AnswerTo);
        self.send(Method::POST, headers, Bytes::from(message.to_string()), wanted).await
    }

    async fn send(self, method: Method, mut headers: HeaderMap, body: Bytes, wanted: Wanted) -> Asked {
        headers.extend(self.credential.cloned().map(|credential| (header::AUTHORIZATION, credential)));
        self.peer.ask(method, self.url, headers, body, wanted).await
    }
}

fn client() -> Value {
    json!({ "name": "portcullis-doctor", "version": env!("CARGO_PKG_VERSION") })
}

fn page(cursor: Option<&str>) -> Value {
    cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }))
}
