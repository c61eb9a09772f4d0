//! One JSON-RPC message from the bytes of a body.
//!
//! Read in steps, so that each error means one thing: is it JSON (-32700), is it one message (-32600), do its
//! params have the shape of params (-32602, with the id that is known by then).

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

use super::{fault::Fault, id::Id};

/// What a client may post.
pub(super) enum Message {
    Request(RequestMessage),
    Notification,
    /// The answer to a request of ours. This server asks nothing, so it is only acknowledged.
    Response,
}

/// A message that wants an answer.
pub(super) struct RequestMessage {
    pub(super) id: Id,
    pub(super) method: String,
    pub(super) params: Option<Box<RawValue>>,
}

/// The members of a message before we know which kind it is.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Id>,
    method: Option<String>,
    params: Option<Box<RawValue>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Tells `"id": null` (an error here) from no id at all (a notification), which `Option` alone does not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    Id::deserialize(deserializer).map(Some)
}

impl Message {
    /// Reads exactly one message. Arrays are refused: batches were legal in 2025-03-26 only, and this server
    /// documents that it does not take them.
    pub(super) fn read(body: &[u8]) -> Result<Self, Fault> {
        let json: &RawValue = serde_json::from_slice(body).map_err(|_| Fault::parse_error())?;
        if !json.get().starts_with('{') {
            return Err(Fault::invalid_request("expected one JSON-RPC object, batches are not supported"));
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(json.get()).map_err(|error| Fault::invalid_request(&error.to_string()))?;
        if envelope.jsonrpc != "2.0" {
            return Err(Fault::invalid_request("\"jsonrpc\" must be \"2.0\""));
        }
        envelope.classify()
    }
}

impl Envelope<'_> {
    fn classify(self) -> Result<Message, Fault> {
        let is_response = self.result.is_some() || self.error.is_some();
        match (self.method, self.id) {
            (Some(method), Some(id)) => Ok(Message::Request(RequestMessage { id, method, params: self.params })),
            (Some(_), None) => Ok(Message::Notification),
            (None, _) if is_response => Ok(Message::Response),
            (None, _) => Err(Fault::invalid_request("\"method\" is missing")),
        }
    }
}

/// A request's params: the protocol's part and the method's.
#[derive(Default)]
pub(super) struct Params {
    pub(super) meta: Meta,
    pub(super) fields: Map<String, Value>,
}

/// What we read of `params._meta` (2026-07-28 `schema.ts`, `RequestMetaObject`).
#[derive(Default, Deserialize)]
pub(super) struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    pub(super) protocol_version: Option<String>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    client_capabilities: Option<Map<String, Value>>,
    #[serde(rename = "progressToken")]
    pub(super) progress_token: Option<Id>,
}

/// `_meta` is read from the text and not from the map, for the sake of the token (see [`Id`]).
#[derive(Deserialize)]
struct WithMeta {
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
}

impl Params {
    pub(super) fn read(params: Option<&RawValue>) -> Result<Self, Fault> {
        let Some(raw) = params else {
            return Ok(Self::default());
        };
        let fields = serde_json::from_str(raw.get()).map_err(Fault::malformed_params)?;
        let with_meta: WithMeta = serde_json::from_str(raw.get()).map_err(Fault::malformed_params)?;
        Ok(Self { meta: with_meta.meta.unwrap_or_default(), fields })
    }

    /// The params in the shape that a method wants.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        T::deserialize(&self.fields).map_err(Fault::invalid_params)
    }
}

impl Meta {
    /// A modern request declares version and capabilities, even if the latter are none.
    pub(super) fn require_client_capabilities(&self) -> Result<(), Fault> {
        if self.protocol_version.is_none() {
            return Err(missing("protocolVersion"));
        }
        match self.client_capabilities {
            Some(_) => Ok(()),
            None => Err(missing("clientCapabilities")),
        }
    }
}

fn missing(key: &str) -> Fault {
    Fault::malformed_params(format_args!("_meta must have \"io.modelcontextprotocol/{key}\""))
}
