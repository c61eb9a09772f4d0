//! The MCP message, read once by one strict reader before the first policy.
//!
//! A [`Message`] is a *view*: what kind of message it is, which method, which target, which revision, and the original
//! bytes. Because the reader refuses whatever two parsers could read differently, the original bytes are what is
//! forwarded unless a policy changes them on purpose.

mod agreement;
mod method;
mod read;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::{
    agreement::{Disagreement, check_headers, header_text, speaks_modern},
    method::Method,
    read::Unreadable,
};
use crate::kit::json::Span;

/// The first revision without sessions: the version stands in each request's `_meta` and in headers.
pub const FIRST_MODERN: &str = "2026-07-28";

/// One JSON-RPC message from a client.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    kind: Kind,
    /// As it stands in the message, quotes included: 30-digit ids survive.
    id: Option<Span>,
    params: Option<Span>,
    target: Option<Target>,
    /// `_meta["io.modelcontextprotocol/protocolVersion"]`.
    version: Option<Text>,
    /// Is there an object at `_meta["io.modelcontextprotocol/clientCapabilities"]`?
    capabilities: bool,
}

/// Which of the three JSON-RPC messages it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id.
    Request(Method),
    /// Has a method and no id.
    Notification(Method),
    /// Has a result or an error: a client's answer to a server's request (revisions up to 2025-11-25).
    Response,
}

/// Which tool, prompt, resource or task a message is about.
#[derive(Clone, Debug)]
struct Target {
    kind: TargetKind,
    text: Text,
}

/// What a target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// `params.name` of `tools/call`.
    Tool,
    /// `params.name` of `prompts/get`, or a `ref/prompt`.
    Prompt,
    /// `params.uri`, of a resource; or a `ref/resource`, which may name a template.
    Resource,
    /// `params.taskId`.
    Task,
}

/// Decoded text: a place in the message, or a copy where escapes had to be decoded.
#[derive(Clone, Debug)]
enum Text {
    At(Span),
    Decoded(Box<str>),
}

impl Text {
    fn get<'a>(&'a self, bytes: &'a [u8]) -> &'a str {
        match self {
            // The reader has checked that the bytes are UTF-8 and the span lies on character boundaries.
            Self::At(span) => std::str::from_utf8(span.of(bytes)).unwrap_or_default(),
            Self::Decoded(text) => text,
        }
    }

    /// As [`Text::get`], where the message is known to be text.
    fn within<'a>(&'a self, message: &'a str) -> &'a str {
        match self {
            Self::At(span) => message.get(span.range()).unwrap_or_default(),
            Self::Decoded(text) => text,
        }
    }
}

impl Message {
    /// Request, notification or response.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The method; none for a response.
    pub fn method(&self) -> Option<&Method> {
        match &self.kind {
            Kind::Request(method) | Kind::Notification(method) => Some(method),
            Kind::Response => None,
        }
    }

    /// The id as JSON text, exactly as sent.
    pub fn id(&self) -> Option<&str> {
        self.id.map(|span| self.text(span))
    }

    /// The tool, prompt, resource or task that the message is about, decoded.
    pub fn target(&self) -> Option<(TargetKind, &str)> {
        self.target.as_ref().map(|target| (target.kind, target.text.get(&self.bytes)))
    }

    /// The tool that is called, if a tool is called.
    pub fn tool(&self) -> Option<&str> {
        self.target().filter(|(kind, _)| *kind == TargetKind::Tool).map(|(_, name)| name)
    }

    /// The revision named in `_meta`; only 2026-07-28 and later name one there.
    pub fn version(&self) -> Option<&str> {
        self.version.as_ref().map(|text| text.get(&self.bytes))
    }

    /// Is this a message of 2026-07-28 or later?
    pub fn is_modern(&self) -> bool {
        self.version.is_some()
    }

    /// Does it say what its client can do? Requests of 2026-07-28 must, each of them.
    pub fn declares_capabilities(&self) -> bool {
        self.capabilities
    }

    /// `params` as JSON text.
    pub fn params(&self) -> Option<&str> {
        self.params.map(|span| self.text(span))
    }

    /// The message as it will be sent upstream.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(span.of(&self.bytes)).unwrap_or_default()
    }
}
