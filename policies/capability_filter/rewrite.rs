//! Answers, with what is not exposed taken out.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{List, allow::ListKind};
use crate::kit::{
    json::{Flaw, FlawKind, Limits, Reader, Span},
    reply::Answer,
};

const SCOPE: &str = "cacheScope";

/// What became of a list.
pub(super) struct Rewritten {
    /// The whole `result`.
    pub(super) result: Vec<u8>,
    /// Every name that the upstream listed on this page.
    pub(super) names: Vec<String>,
    /// Was this the last page?
    pub(super) complete: bool,
}

/// Copies the upstream's result without the items that are not exposed. What stays is copied as it was written; pages
/// keep their cursors, so a page may become empty and still be followed by another.
pub(super) fn list(body: &[u8], answer: &Answer, kind: ListKind, allowed: &List) -> Result<Rewritten, Flaw> {
    let (mut reader, mut writer) = begin(body, answer)?;
    reader.object(|reader, key| match &*reader.unambiguous(key, &[kind.member(), SCOPE, "nextCursor"])? {
        member if member == kind.member() => writer.items(reader, kind, allowed),
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
pub(super) fn capabilities(body: &[u8], answer: &Answer, withheld: &[&'static str]) -> Result<Vec<u8>, Flaw> {
    let (mut reader, mut writer) = begin(body, answer)?;
    reader.object(|reader, key| match &*reader.unambiguous(key, &["capabilities", SCOPE])? {
        "capabilities" => writer.members(reader, withheld),
        SCOPE => writer.scope(reader),
        _ => reader.value().map(drop),
    })?;
    Ok(writer.finish().result)
}

/// What was read of a resource, for this caller's cache alone.
pub(super) fn private(body: &[u8], answer: &Answer) -> Result<Vec<u8>, Flaw> {
    let (mut reader, mut writer) = begin(body, answer)?;
    reader.object(|reader, key| match &*reader.unambiguous(key, &[SCOPE])? {
        SCOPE => writer.scope(reader),
        _ => reader.value().map(drop),
    })?;
    Ok(writer.finish().result)
}

/// The answer with another result.
pub(super) fn with_result(body: &[u8], answer: &Answer, result: &[u8]) -> Bytes {
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
    fn items(&mut self, reader: &mut Reader<'_>, kind: ListKind, allowed: &List) -> Result<(), Flaw> {
        reader.peek();
        let start = reader.offset();
        self.copy_until(start + 1);
        let mut first = true;
        reader.array(|reader| {
            let (item, name) = item(reader, kind)?;
            let Some(name) = name else { return Ok(()) };
            if allowed.allows(&name) {
                if !std::mem::take(&mut first) {
                    self.out.push(b',');
                }
                self.item(item, allowed.overrides(&name));
            }
            self.names.push(name.into_owned());
            Ok(())
        })?;
        self.copied = reader.offset() - 1;
        Ok(())
    }

    fn item(&mut self, item: Span, overrides: Option<&Map<String, Value>>) {
        let raw = item.of(self.text.as_bytes());
        match overrides.and_then(|overrides| project(raw, overrides)) {
            Some(projected) => self.out.extend_from_slice(&projected),
            None => self.out.extend_from_slice(raw),
        }
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

/// Steps over one item and finds its name. An item without one is not exposed: nobody could have listed it.
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
