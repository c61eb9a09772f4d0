//! Asking an upstream what it offers, as a client of either protocol era.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use portcullis_policies::kit::{
    catalogue::Catalogue,
    edge::Edge,
    message::FIRST_MODERN,
    reply::{EventLimits, EventReader, Reply},
};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::proxy::EndsSession;

/// Pages of one list that are asked for.
const PAGES: usize = 100;
const LEGACY: &str = "2025-11-25";
const METHOD_NOT_FOUND: i64 = -32601;
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// How long the end of a session may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Which eras of MCP an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eras {
    /// Does it open sessions (revisions up to 2025-11-25)?
    pub legacy: bool,
    /// Does it answer requests that stand for themselves (2026-07-28 and later)?
    pub modern: bool,
}

/// Which eras the server behind `edge` speaks, which must not translate, and everything behind it, or why that could not be
/// had. None if it does not answer within `patience`.
///
/// One session is opened for all of it, and ended, however long the rest took.
pub async fn look(edge: &Edge, patience: Duration) -> Option<(Eras, Result<Catalogue, String>)> {
    let mut client = Client::new(edge);
    let looked = timeout(patience, client.look()).await;
    client.end().await;
    looked.ok()
}

/// The definitions of the tools of the server behind `edge`, which must not translate, in the same way.
pub async fn tools(edge: &Edge, patience: Duration) -> Option<Result<Vec<Value>, String>> {
    let mut client = Client::new(edge);
    let looked = timeout(patience, client.tools()).await;
    client.end().await;
    looked.ok()
}

struct Client<'a> {
    edge: &'a Edge,
    session: Option<HeaderValue>,
    /// What was agreed on for the session.
    version: HeaderValue,
    modern: bool,
    next: u64,
}

impl<'a> Client<'a> {
    fn new(edge: &'a Edge) -> Self {
        Self { edge, session: None, version: HeaderValue::from_static(LEGACY), modern: true, next: 1 }
    }

    async fn tools(&mut self) -> Result<Vec<Value>, String> {
        if let Ok(tools) = self.items("tools/list", "tools").await {
            return Ok(tools);
        }
        self.initialize().await?;
        self.items("tools/list", "tools").await
    }

    async fn look(&mut self) -> (Eras, Result<Catalogue, String>) {
        let discovered = self.request("server/discover", json!({})).await;
        let modern = discovered.is_ok_and(|answer| answer["result"].is_object());
        let opened = self.initialize().await;
        let eras = Eras { modern, legacy: opened.is_ok() };
        (eras, self.catalogue(opened).await)
    }

    /// By requests that stand for themselves if they are answered, else in the session that was `opened`.
    async fn catalogue(&mut self, opened: Result<(), String>) -> Result<Catalogue, String> {
        self.modern = true;
        if self.list("tools/list", "tools", "name").await.is_err() {
            opened?;
            self.modern = false;
        }
        Ok(Catalogue {
            tools: self.list("tools/list", "tools", "name").await?,
            prompts: self.list("prompts/list", "prompts", "name").await?,
            resources: self.list("resources/list", "resources", "uri").await?,
            resource_templates: self.list("resources/templates/list", "resourceTemplates", "uriTemplate").await?,
        })
    }

    /// Opens a session with a server of the older era.
    async fn initialize(&mut self) -> Result<(), String> {
        self.modern = false;
        let client = json!({ "name": "portcullis", "version": env!("CARGO_PKG_VERSION") });
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client });
        let answer = self.request("initialize", params).await?;
        if let Some(error) = answer.get("error") {
            return Err(format!("initialize: {}", error["message"].as_str().unwrap_or("an error")));
        }
        let agreed = answer["result"]["protocolVersion"].as_str().and_then(|agreed| agreed.parse().ok());
        self.version = agreed.unwrap_or(HeaderValue::from_static(LEGACY));
        self.post(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }), "notifications/initialized")
            .await;
        Ok(())
    }

    /// Ends the session, if one was opened: the server would keep it until it grows old.
    async fn end(self) {
        let Some(session) = self.session else { return };
        let mut request = Request::delete("/").body(Full::new(Bytes::new())).unwrap_or_default();
        request.headers_mut().insert(SESSION, session);
        request.headers_mut().insert(VERSION, self.version);
        request.extensions_mut().insert(EndsSession);
        // What it says to that changes nothing.
        let _ = timeout(GOODBYE, self.edge.handle(request)).await;
    }

    /// What the items of a list are called.
    async fn list(&mut self, method: &str, member: &str, key: &str) -> Result<Option<Vec<String>>, String> {
        let items = self.items(method, member).await?;
        Ok(Some(items.iter().filter_map(|item| item[key].as_str().map(ToOwned::to_owned)).collect()))
    }

    /// All pages of a list; an empty one where the server has no such method.
    async fn items(&mut self, method: &str, member: &str) -> Result<Vec<Value>, String> {
        let mut items = Vec::new();
        let mut cursor = Value::Null;
        for _ in 0..PAGES {
            let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
            let mut answer = self.request(method, params).await?;
            if answer["error"]["code"] == METHOD_NOT_FOUND {
                break;
            }
            if let Some(error) = answer.get("error") {
                return Err(format!("{method}: {}", error["message"].as_str().unwrap_or("an error")));
            }
            if let Value::Array(page) = answer["result"][member].take() {
                items.extend(page);
            }
            cursor = answer["result"]["nextCursor"].take();
            if cursor.is_null() {
                break;
            }
        }
        Ok(items)
    }

    async fn request(&mut self, method: &str, mut params: Value) -> Result<Value, String> {
        let id = self.next;
        self.next += 1;
        if self.modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": FIRST_MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let (headers, reply) = self.post(message, method).await;
        // Whatever becomes of the answer: a session that is known can be ended.
        self.session = self.session.take().or_else(|| headers.get(SESSION).cloned());
        let answer = answer(reply, id).await.ok_or_else(|| format!("{method}: no answer"))?;
        match answer["error"]["data"]["reason"].as_str() {
            Some(reason) => Err(format!("{} ({reason})", answer["error"]["message"].as_str().unwrap_or_default())),
            None => Ok(answer),
        }
    }

    async fn post(&self, message: Value, method: &str) -> (HeaderMap, Reply) {
        let mut request = Request::post("/").body(Full::new(Bytes::from(message.to_string()))).unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        if !self.modern && method != "initialize" {
            headers.extend(self.session.clone().map(|session| (SESSION, session)));
            headers.insert(VERSION, self.version.clone());
        }
        if self.modern {
            headers.insert(VERSION, HeaderValue::from_static(FIRST_MODERN));
            headers.extend(
                HeaderValue::from_str(method).map(|method| (http::HeaderName::from_static("mcp-method"), method)),
            );
        }
        let (head, reply) = self.edge.handle(request).await.response.into_parts();
        (head.headers, reply)
    }
}

/// The answer to request `id`, out of a body or a stream.
async fn answer(reply: Reply, id: u64) -> Option<Value> {
    let events = matches!(reply, Reply::Events(_));
    if !events {
        let body = reply.collect().await.ok()?.to_bytes();
        return serde_json::from_slice(&body).ok();
    }
    let mut reader = EventReader::new(EventLimits { event: 8 << 20, line: 8 << 20 });
    let mut reply = reply;
    while let Some(frame) = reply.frame().await {
        reader.push(frame.ok()?.into_data().ok()?);
        while let Ok(Some(event)) = reader.next_event() {
            let message: Map<String, Value> =
                serde_json::from_slice(event.data().unwrap_or_default()).unwrap_or_default();
            if message.get("id").is_some_and(|found| *found == id) && !message.contains_key("method") {
                return Some(Value::Object(message));
            }
        }
    }
    None
}
