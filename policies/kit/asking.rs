//! Asking what stands behind a layer, as the sender of a request would.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::kit::{
    audit::Audited,
    chain::{Inbound, Request, RouteService},
    credential::OwnAnswer,
    json::Limits,
    message::Message,
    reply::{Answer, Reply},
};

/// Pages that are asked for, and how long all of them may take.
const PAGES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(10);

/// All tools that are behind `inner` for whoever sent `request`: their definitions, as the upstream wrote them. None where it
/// does not say, or not in time.
pub async fn tools(request: &Request, inner: &RouteService) -> Option<Vec<Value>> {
    timeout(PATIENCE, all_pages(request, inner)).await.ok().flatten()
}

async fn all_pages(request: &Request, inner: &RouteService) -> Option<Vec<Value>> {
    let (mut tools, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES {
        let mut result = page(request, inner, cursor.as_ref()).await?;
        match result["tools"].take() {
            Value::Array(page) => tools.extend(page),
            _ => return None,
        }
        cursor = result.get("nextCursor").filter(|cursor| cursor.is_string()).cloned();
        if cursor.is_none() {
            return Some(tools);
        }
    }
    None
}

async fn page(request: &Request, inner: &RouteService, cursor: Option<&Value>) -> Option<Value> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let id = format!("\"portcullis-{}\"", NUMBER.fetch_add(1, Ordering::Relaxed));
    let asked = list_request(request, &id, cursor)?;
    let Ok(response) = inner.run(asked).await;
    // What a layer says to somebody who must connect first is nothing that the upstream says.
    if response.extensions().get::<OwnAnswer>().is_some() {
        return None;
    }
    let bytes = answer_to(&id, response.into_body()).await?;
    let mut message: Map<String, Value> = serde_json::from_slice(&bytes).ok()?;
    message.remove("result")
}

/// With the same credential, session and revision.
fn list_request(request: &Request, id: &str, cursor: Option<&Value>) -> Option<Request> {
    let params: Map<String, Value> = serde_json::from_str(request.body().message()?.params().unwrap_or("{}")).ok()?;
    let mut own = Map::new();
    if let Some(Value::Object(meta)) = params.get("_meta") {
        let of_call = |key: &str| matches!(key, "progressToken" | "io.modelcontextprotocol/related-task");
        let meta = meta.iter().filter(|(key, _)| !of_call(key)).map(|(key, value)| (key.clone(), value.clone()));
        own.insert("_meta".to_owned(), meta.collect::<Map<_, _>>().into());
    }
    own.extend(cursor.map(|cursor| ("cursor".to_owned(), cursor.clone())));
    let params = json!(own);
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{params}}}"#);
    let message = Message::read(Bytes::from(text), &Limits::MESSAGE).ok()?;
    let mut asked = http::Request::new(Inbound::Message(message));
    *asked.method_mut() = request.method().clone();
    *asked.uri_mut() = request.uri().clone();
    *asked.headers_mut() = request.headers().clone();
    *asked.extensions_mut() = request.extensions().clone();
    // It is the gateway that asks, and the audit is about the call.
    asked.extensions_mut().remove::<Audited>();
    let headers = asked.headers_mut();
    let of_call: Vec<_> = headers.keys().filter(|name| is_of_call(name.as_str())).cloned().collect();
    for name in of_call {
        headers.remove(name);
    }
    if headers.contains_key("mcp-method") {
        headers.insert("mcp-method", HeaderValue::from_static("tools/list"));
    }
    Some(asked)
}

fn is_of_call(header: &str) -> bool {
    header == "mcp-name" || header.starts_with("mcp-param-")
}

async fn answer_to(id: &str, reply: Reply) -> Option<Bytes> {
    let is_ours = |bytes: &[u8]| Answer::read(bytes).is_ok_and(|answer| answer.answers(bytes, id));
    match reply {
        Reply::Full(bytes) => Some(bytes).filter(|bytes| is_ours(bytes)),
        Reply::Events(mut source) => loop {
            let event = poll_fn(|context| source.poll_event(context)).await?;
            if let Some(data) = event.data().filter(|data| is_ours(data)) {
                return Some(Bytes::copy_from_slice(data));
            }
        },
        Reply::Empty => None,
    }
}
