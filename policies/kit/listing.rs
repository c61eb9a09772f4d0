//! Lists of what an upstream has, with items taken out or told in other words.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::kit::{
    json::{Flaw, FlawKind, Limits, Reader, Span},
    message::Method,
    reply::Answer,
};

const SCOPE: &str = "cacheScope";

/// The four kinds of lists, and how their answers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListKind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl ListKind {
    /// The list that a method asks for.
    pub fn of(method: &Method) -> Option<Self> {
        match method {
            Method::ListTools => Some(Self::Tools),
            Method::ListPrompts => Some(Self::Prompts),
            Method::ListResources => Some(Self::Resources),
            Method::ListResourceTemplates => Some(Self::Templates),
            _ => None,
        }
    }

    /// The member of the result that holds the list.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an item by which requests name it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }
}

/// What becomes of an item of a list.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// It is not in the list.
    Not,
    /// As the upstream wrote it.
    AsItIs,
    /// With these members instead of its own; objects are merged.
    With(&'a Map<String, Value>),
}

/// What became of a list.
#[derive(Debug)]
pub struct Rewritten {
    /// The whole `result`.
    pub result: Vec<u8>,
    /// Every name that the upstream listed on this page.
    pub names: Vec<String>,
    /// Was this the last page?
    pub complete: bool,
}

/// Copies the upstream's result with what `judge` says of each item, by its name and its text. What stays is copied as it was
/// written; pages keep their cursors, so a page may become empty and still be followed by another.
pub fn list<'a>(
    body: &[u8],
    answer: &Answer,
    kind: ListKind,
    mut judge: impl FnMut(&str, &[u8]) -> Shown<'a>,
) -> Result<Rewritten, Flaw> {
    let (mut reader, mut writer) = begin(body, answer)?;
    reader.object(|reader, key| match &*reader.unambiguous(key, &[kind.member(), SCOPE, "nextCursor"])? {
        member if member == kind.member() => writer.items(reader, kind, &mut judge),
        SCOPE => writer.scope(reader),
        "nextCursor" => {
            let value = reader.value()?;
            writer.complete = value.of(reader.document().as_bytes()) == b"null";
            Ok(())
        }
        _ => reader.value().map(drop),
    })?;
    Ok(writer.finish())
}

/// What a server says of itself, without the capabilities of which nothing is exposed: the result of `initialize` and that of
/// `server/discover` alike. Everything else in it stays as it was written.
pub fn capabilities(body: &[u8], answer: &Answer, withheld: &[&'static str]) -> Result<Vec<u8>, Flaw> {
    let (mut reader, mut writer) = begin(body, answer)?;
    reader.object(|reader, key| match &*reader.unambiguous(key, &["capabilities", SCOPE])? {
        "capabilities" => writer.members(reader, withheld),
        SCOPE => writer.scope(reader),
        _ => reader.value().map(drop),
    })?;
    Ok(writer.finish().result)
}

/// What was read of a resource, for this caller's cache alone.
pub fn private(body: &[u8], answer: &Answer) -> Result<Vec<u8>, Flaw> {
    let (mut reader, mut writer) = begin(body, answer)?;
    reader.object(|reader, key| match &*reader.unambiguous(key, &[SCOPE])? {
        SCOPE => writer.scope(reader),
        _ => reader.value().map(drop),
    })?;
    Ok(writer.finish().result)
}

/// The answer with another result.
pub fn with_result(body: &[u8], answer: &Answer, result: &[u8]) -> Bytes {
    let old = answer.payload().map_or(0..0, Span::range);
    [&body[..old.start], result, &body[old.end..]].concat().into()
}

fn begin<'a>(body: &'a [u8], answer: &Answer) -> Result<(Reader<'a>, Writer<'a>), Flaw> {
    let result = answer.payload().map(|span| span.of(body)).unwrap_or_default();
    let text = std::str::from_utf8(result).map_err(|_| Flaw { kind: FlawKind::NotUtf8, at: 0 })?;
    let writer = Writer { text, copied: 0, out: Vec::with_capacity(text.len()), names: Vec::new(), complete: true };
    Ok((Reader::new(text, &Limits::ANSWER), writer))
}

struct Writer<'a> {
    text: &'a str,
    copied: usize,
    out: Vec<u8>,
    names: Vec<String>,
    complete: bool,
}

impl Writer<'_> {
    fn items<'a>(
        &mut self,
        reader: &mut Reader<'_>,
        kind: ListKind,
        judge: &mut impl FnMut(&str, &[u8]) -> Shown<'a>,
    ) -> Result<(), Flaw> {
        reader.peek();
        let start = reader.offset();
        self.copy_until(start + 1);
        let mut first = true;
        reader.array(|reader| {
            let (item, name) = item(reader, kind)?;
            let Some(name) = name else { return Ok(()) };
            let shown = judge(&name, item.of(self.text.as_bytes()));
            if !matches!(shown, Shown::Not) {
                if !std::mem::take(&mut first) {
                    self.out.push(b',');
                }
                self.item(item, shown);
            }
            self.names.push(name.into_owned());
            Ok(())
        })?;
        self.copied = reader.offset() - 1;
        Ok(())
    }

    fn item(&mut self, item: Span, shown: Shown<'_>) {
        let raw = item.of(self.text.as_bytes());
        let projected = match shown {
            Shown::With(overrides) => project(raw, overrides),
            Shown::AsItIs | Shown::Not => None,
        };
        self.out.extend_from_slice(projected.as_deref().unwrap_or(raw));
    }

    /// Who may keep the answer (MCP 2026-07-28, "Caching"): what this caller may see is not what everybody may see.
    fn scope(&mut self, reader: &mut Reader<'_>) -> Result<(), Flaw> {
        let place = reader.value()?;
        self.copy_until(place.start());
        self.out.extend_from_slice(br#""private""#);
        self.copied = place.end();
        Ok(())
    }

    /// An object without some of its members.
    fn members(&mut self, reader: &mut Reader<'_>, left_out: &[&'static str]) -> Result<(), Flaw> {
        if reader.peek() != Some(b'{') {
            return reader.value().map(drop);
        }
        self.copy_until(reader.offset() + 1);
        let mut first = true;
        reader.object(|reader, key| {
            let name = reader.unambiguous(key, left_out)?;
            let member = key.span.start() - 1..reader.value()?.end();
            if !left_out.contains(&&*name) {
                if !std::mem::take(&mut first) {
                    self.out.push(b',');
                }
                self.out.extend_from_slice(self.text.as_bytes().get(member).unwrap_or_default());
            }
            Ok(())
        })?;
        self.copied = reader.offset() - 1;
        Ok(())
    }

    fn copy_until(&mut self, end: usize) {
        self.out.extend_from_slice(self.text.as_bytes().get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    fn finish(mut self) -> Rewritten {
        self.copy_until(self.text.len());
        Rewritten { result: self.out, names: self.names, complete: self.complete }
    }
}

/// Steps over one item and finds its name. An item without one is left out: nobody could call it.
fn item<'a>(reader: &mut Reader<'a>, kind: ListKind) -> Result<(Span, Option<Cow<'a, str>>), Flaw> {
    if reader.peek() != Some(b'{') {
        return Ok((reader.value()?, None));
    }
    let start = reader.offset();
    let mut name = None;
    reader.object(|reader, key| match &*reader.unambiguous(key, &[kind.key()])? {
        member if member == kind.key() && reader.peek() == Some(b'"') => {
            name = Some(reader.string()?.text(reader.document()));
            Ok(())
        }
        _ => reader.value().map(drop),
    })?;
    Ok((reader.since(start), name))
}

/// The item with other words; objects are merged, everything else is replaced.
fn project(raw: &[u8], overrides: &Map<String, Value>) -> Option<Vec<u8>> {
    let mut item: Map<String, Value> = serde_json::from_slice(raw).ok()?;
    merge(&mut item, overrides);
    serde_json::to_vec(&item).ok()
}

fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}
