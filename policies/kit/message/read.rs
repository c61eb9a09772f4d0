//! The one strict reader.

use std::borrow::Cow;

use bytes::Bytes;

use super::{FIRST_MODERN, Kind, Message, Method, Target, TargetKind, Text, method::TargetIn};
use crate::kit::json::{Flaw, FlawKind, Limits, Reader, Span, Str};

/// Keys that MCP gives a meaning, by level. Another spelling of one of them, in case or in a compatibility form, could
/// be taken for it by a lenient parser behind us (CVE-2026-27896), so it is refused. Inside `arguments` anything goes.
const TOP_LEVEL: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
const IN_PARAMS: &[&str] = &[
    "_meta",
    "name",
    "arguments",
    "uri",
    "taskId",
    "ref",
    "argument",
    "cursor",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "requestState",
    "inputResponses",
    "requestId",
    "progressToken",
    "level",
    "notifications",
];
const IN_META: &[&str] = &[VERSION_KEY, CAPABILITIES_KEY, "progressToken"];
const IN_REFERENCE: &[&str] = &["type", "name", "uri"];
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// Why bytes are not a message that can be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not strict JSON, ambiguous, or over a limit.
    Flaw(Flaw),
    /// An array: JSON-RPC batches left MCP with 2025-06-18 and are not supported.
    Batch,
    /// JSON, but not one JSON-RPC message.
    NotAMessage(&'static str),
    /// A JSON-RPC request whose parameters are not what its method demands. Carries the id, as text.
    Params(&'static str, Box<str>),
}

impl From<Flaw> for Unreadable {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl Message {
    /// Reads one message, walking every byte of it.
    pub fn read(bytes: Bytes, limits: &Limits) -> Result<Self, Unreadable> {
        let text =
            std::str::from_utf8(&bytes).map_err(|error| Flaw { kind: FlawKind::NotUtf8, at: error.valid_up_to() })?;
        let parts = Parts::read(text, limits)?;
        let kind = parts.kind(text)?;
        let target = parts.target(&kind, text)?;
        let Parts { id, params, version, capabilities, .. } = parts;
        Ok(Self { bytes, kind, id, params, target, version, capabilities })
    }
}

/// What stands where, before it is known which of it counts: `method` may come after `params`.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "members can be there or not in any combination")]
struct Parts {
    id: Option<Span>,
    version_2: bool,
    method: Member,
    params: Option<Span>,
    result: bool,
    error: bool,
    name: Member,
    uri: Member,
    task_id: Member,
    reference: Reference,
    version: Option<Text>,
    capabilities: bool,
}

/// A member that is only good for something as a string.
#[derive(Default)]
enum Member {
    #[default]
    Absent,
    NotText,
    Text(Text),
}

#[derive(Default)]
struct Reference {
    name: Member,
    uri: Member,
}

impl Parts {
    fn read(text: &str, limits: &Limits) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(text, limits);
        match reader.peek() {
            Some(b'{') => {}
            Some(b'[') => return Err(Unreadable::Batch),
            Some(b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                return Err(Unreadable::NotAMessage("a message is a JSON object"));
            }
            _ => return Err(reader.flaw(FlawKind::Syntax("a JSON object")).into()),
        }
        let mut parts = Self::default();
        reader.object(|reader, key| parts.top_level(reader, key))?;
        reader.end()?;
        Ok(parts)
    }

    fn top_level(&mut self, reader: &mut Reader<'_>, key: Str) -> Result<(), Flaw> {
        match &*key.text(reader.document()) {
            "jsonrpc" => {
                let version = reader.value()?;
                self.version_2 = version.of(reader.document().as_bytes()) == br#""2.0""#;
            }
            "id" => self.id = Some(reader.value()?),
            "method" => self.method = text_or_skip(reader)?,
            "params" => self.params(reader)?,
            "result" => {
                self.result = true;
                reader.value()?;
            }
            "error" => {
                self.error = true;
                reader.value()?;
            }
            _ => {
                reader.unambiguous(key, TOP_LEVEL)?;
                reader.value()?;
            }
        }
        Ok(())
    }

    fn params(&mut self, reader: &mut Reader<'_>) -> Result<(), Flaw> {
        let start = reader.peek();
        if start != Some(b'{') {
            // `null` is what some clients write for "none"; anything else is refused by `kind`.
            self.params = Some(reader.value()?);
            return Ok(());
        }
        let begin = reader.offset();
        reader.object(|reader, key| {
            match &*key.text(reader.document()) {
                "name" => self.name = text_or_skip(reader)?,
                "uri" => self.uri = text_or_skip(reader)?,
                "taskId" => self.task_id = text_or_skip(reader)?,
                "ref" => self.reference(reader)?,
                "_meta" => self.meta(reader)?,
                // What nearly every call has needs no comparing with other spellings.
                "arguments" => drop(reader.value()?),
                _ => {
                    reader.unambiguous(key, IN_PARAMS)?;
                    reader.value()?;
                }
            }
            Ok(())
        })?;
        self.params = Some(reader.since(begin));
        Ok(())
    }

    fn reference(&mut self, reader: &mut Reader<'_>) -> Result<(), Flaw> {
        if reader.peek() != Some(b'{') {
            return reader.value().map(drop);
        }
        reader.object(|reader, key| {
            match &*key.text(reader.document()) {
                "name" => self.reference.name = text_or_skip(reader)?,
                "uri" => self.reference.uri = text_or_skip(reader)?,
                _ => {
                    reader.unambiguous(key, IN_REFERENCE)?;
                    reader.value()?;
                }
            }
            Ok(())
        })
    }

    fn meta(&mut self, reader: &mut Reader<'_>) -> Result<(), Flaw> {
        if reader.peek() != Some(b'{') {
            return reader.value().map(drop);
        }
        reader.object(|reader, key| {
            match &*key.text(reader.document()) {
                VERSION_KEY => {
                    if let Member::Text(version) = text_or_skip(reader)? {
                        self.version = Some(version);
                    }
                }
                CAPABILITIES_KEY => {
                    self.capabilities = reader.peek() == Some(b'{');
                    reader.value()?;
                }
                "progressToken" => drop(reader.value()?),
                _ => {
                    reader.unambiguous(key, IN_META)?;
                    reader.value()?;
                }
            }
            Ok(())
        })
    }

    fn kind(&self, text: &str) -> Result<Kind, Unreadable> {
        let bytes = text.as_bytes();
        let not = |why| Err(Unreadable::NotAMessage(why));
        if !self.version_2 {
            return not("`jsonrpc` must be \"2.0\"");
        }
        if let Some(id) = self.id
            && !is_id(id.of(bytes))
        {
            return not("`id` must be a string or an integer");
        }
        if let Some(params) = self.params
            && !matches!(params.of(bytes).first(), Some(b'{' | b'n'))
        {
            return not("`params` must be an object");
        }
        let method = match &self.method {
            Member::Absent => None,
            Member::NotText => return not("`method` must be a string"),
            Member::Text(name) => Some(Method::from_name(name.within(text))),
        };
        match (method, self.result, self.error) {
            (Some(method), false, false) if self.id.is_some() => Ok(Kind::Request(method)),
            // Some servers run what has no id and only keep the answer to themselves: no policy would have judged it.
            (Some(method), false, false) if !method.is_notification() => not("a request must have an `id`"),
            (Some(method), false, false) => Ok(Kind::Notification(method)),
            (None, true, false) | (None, false, true) if self.id.is_some() => Ok(Kind::Response),
            (None, false, false) => not("`method` must be a string"),
            (Some(_), ..) => not("a message has a method or a result, not both"),
            (None, ..) => not("a response has an id and either a result or an error"),
        }
    }

    fn target(&self, kind: &Kind, text: &str) -> Result<Option<Target>, Unreadable> {
        let Kind::Request(method) = kind else { return Ok(None) };
        let is_removed = || self.version.as_ref().is_some_and(|version| version.within(text) == FIRST_MODERN);
        if method.is_of_sessions() && is_removed() {
            return Ok(None);
        }
        let Some(place) = method.target_in() else { return Ok(None) };
        let (kind, member, missing) = match place {
            TargetIn::Name if *method == Method::CallTool => {
                (TargetKind::Tool, &self.name, "`params.name` must be a string")
            }
            TargetIn::Name => (TargetKind::Prompt, &self.name, "`params.name` must be a string"),
            TargetIn::Uri => (TargetKind::Resource, &self.uri, "`params.uri` must be a string"),
            TargetIn::TaskId => (TargetKind::Task, &self.task_id, "`params.taskId` must be a string"),
            TargetIn::Reference => match &self.reference {
                Reference { name, uri: Member::Absent } => {
                    (TargetKind::Prompt, name, "`params.ref` must have a `name` or a `uri`")
                }
                Reference { name: Member::Absent, uri } => {
                    (TargetKind::Resource, uri, "`params.ref` must have a `name` or a `uri`")
                }
                _ => return Err(self.wrong_params("`params.ref` must have either a `name` or a `uri`", text)),
            },
        };
        match member {
            Member::Text(text) => Ok(Some(Target { kind, text: text.clone() })),
            Member::Absent | Member::NotText => Err(self.wrong_params(missing, text)),
        }
    }

    fn wrong_params(&self, why: &'static str, text: &str) -> Unreadable {
        let id = self.id.and_then(|id| text.get(id.range())).map(Into::into);
        Unreadable::Params(why, id.unwrap_or_default())
    }
}

/// JSON-RPC allows any number as an id; MCP allows integers, and only those can be echoed without rounding.
fn is_id(id: &[u8]) -> bool {
    match id.first() {
        Some(b'"') => true,
        Some(b'-' | b'0'..=b'9') => id.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')),
        _ => false,
    }
}

fn text_or_skip(reader: &mut Reader<'_>) -> Result<Member, Flaw> {
    if reader.peek() != Some(b'"') {
        reader.value()?;
        return Ok(Member::NotText);
    }
    let string = reader.string()?;
    Ok(Member::Text(match string.text(reader.document()) {
        Cow::Borrowed(_) => Text::At(string.span),
        Cow::Owned(decoded) => Text::Decoded(decoded.into()),
    }))
}
