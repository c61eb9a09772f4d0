//! Server-sent events: framing only (WHATWG HTML, "Event stream interpretation").

use std::{ops::Range, time::Duration};

use bytes::{Bytes, BytesMut};

use super::Answer;
use crate::kit::json::Flaw;

/// One event, as the upstream wrote it, with its data and the message in it.
#[derive(Clone, Debug)]
pub struct Event {
    raw: Bytes,
    data: Data,
    answer: Option<Result<Answer, Flaw>>,
    /// Has it `id` or `retry` lines?
    resumable: bool,
}

#[derive(Clone, Debug)]
enum Data {
    None,
    /// One `data` line: the usual case, read in place.
    Line(Range<usize>),
    /// Several `data` lines, joined.
    Joined(Bytes),
}

impl Event {
    /// An event that carries one JSON-RPC message. `json` must not contain line breaks, which JSON never needs.
    pub fn message(json: &[u8]) -> Self {
        const HEAD: &[u8] = b"event: message\ndata: ";
        let mut raw = BytesMut::with_capacity(HEAD.len() + json.len() + 2);
        raw.extend_from_slice(HEAD);
        raw.extend(json.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        let data = HEAD.len()..raw.len();
        raw.extend_from_slice(b"\n\n");
        let answer = Some(Answer::read(&raw[data.clone()]));
        Self { raw: raw.freeze(), data: Data::Line(data), answer, resumable: false }
    }

    /// A comment, which keeps a connection alive and means nothing.
    pub fn comment(text: &'static str) -> Self {
        Self { raw: Bytes::from_static(text.as_bytes()), data: Data::None, answer: None, resumable: false }
    }

    /// Takes `raw` apart; it is one whole event, blank line included.
    fn parse(raw: Bytes) -> Self {
        let (data, resumable) = data_of(&raw);
        let mut event = Self { raw, data, answer: None, resumable };
        event.answer = event.data().map(Answer::read);
        event
    }

    /// The bytes on the wire, blank line included.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The bytes on the wire, without a copy.
    pub fn into_raw(self) -> Bytes {
        self.raw
    }

    /// The joined `data` lines; none for comments and for events without data.
    pub fn data(&self) -> Option<&[u8]> {
        match &self.data {
            Data::None => None,
            Data::Line(range) => self.raw.get(range.clone()),
            Data::Joined(bytes) => Some(bytes),
        }
    }

    /// The data without a copy, where it stands in one piece.
    pub fn data_bytes(&self) -> Option<Bytes> {
        match &self.data {
            Data::None => None,
            Data::Line(range) => Some(self.raw.slice(range.clone())),
            Data::Joined(bytes) => Some(bytes.clone()),
        }
    }

    /// Does it answer the request with this id (JSON text, as the client wrote it)?
    pub fn answers(&self, id: &str) -> bool {
        match (self.answer(), self.data()) {
            (Some(Ok(answer)), Some(data)) => answer.answers(data, id),
            _ => false,
        }
    }

    /// The message in the data; a flaw if the data is no message; none if there is no data.
    pub fn answer(&self) -> Option<Result<&Answer, &Flaw>> {
        self.answer.as_ref().map(Result::as_ref)
    }

    /// Has it lines that only serve to resume the stream: `id` or `retry`?
    pub fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// The `id`, after which the stream can be resumed; empty if it can no more.
    pub fn id(&self) -> Option<&[u8]> {
        self.last_of(b"id").filter(|id| !id.contains(&0))
    }

    /// How long to wait before the stream is resumed.
    pub fn retry(&self) -> Option<Duration> {
        let digits = self.last_of(b"retry").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        std::str::from_utf8(digits).ok()?.parse().ok().map(Duration::from_millis)
    }

    fn last_of(&self, name: &[u8]) -> Option<&[u8]> {
        if self.resumable { lines(&self.raw).filter_map(|line| field(line, name)).last() } else { None }
    }

    /// The event for a client that cannot resume: without `id` and `retry`. None if there is nothing else in it, as in one
    /// that only opens a stream (MCP 2025-11-25, "Sending Messages to the Server").
    #[must_use]
    pub fn without_resumption(self) -> Option<Self> {
        if !self.resumable {
            return Some(self);
        }
        let has_data = self.data().is_some_and(|data| !data.is_empty());
        let stays = |line: &&[u8]| match line.first() {
            None => false,
            Some(b':') => true,
            Some(_) => has_data && field(line, b"id").is_none() && field(line, b"retry").is_none(),
        };
        let mut raw = BytesMut::with_capacity(self.raw.len());
        for line in lines(&self.raw).filter(stays) {
            raw.extend_from_slice(line);
            raw.extend_from_slice(b"\n");
        }
        if raw.is_empty() {
            return None;
        }
        raw.extend_from_slice(b"\n");
        let (data, resumable) = data_of(&raw);
        Some(Self { raw: raw.freeze(), data, answer: self.answer.filter(|_| has_data), resumable })
    }
}

/// The lines of an event; where a line ends with CR LF, an empty one comes after it.
fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw.split(|byte| matches!(byte, b'\n' | b'\r'))
}

/// The event's data, and whether it has lines for resuming.
fn data_of(raw: &[u8]) -> (Data, bool) {
    let mut found = Data::None;
    let mut resumable = false;
    let mut at = 0;
    while at < raw.len() {
        let end = memchr::memchr2(b'\n', b'\r', &raw[at..]).map_or(raw.len(), |length| at + length);
        let line = &raw[at..end];
        if let Some(value) = field(line, b"data") {
            let range = end - value.len()..end;
            found = match found {
                Data::None => Data::Line(range),
                Data::Line(first) => Data::Joined(join(&raw[first], value)),
                Data::Joined(before) => Data::Joined(join(&before, value)),
            };
        } else if matches!(line.first(), Some(b'i' | b'r')) {
            resumable |= field(line, b"id").or_else(|| field(line, b"retry")).is_some();
        }
        at = end + 1;
    }
    (found, resumable)
}

/// The value of a line, if it is of this name.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

fn join(before: &[u8], line: &[u8]) -> Bytes {
    [before, b"\n", line].concat().into()
}

/// How long an event and one line of it may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct EventLimits {
    /// One event.
    pub event: usize,
    /// One line.
    pub line: usize,
}

/// An event or a line exceeded its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// The whole event.
    Event(usize),
    /// One of its lines.
    Line(usize),
}

/// Cuts a byte stream into events. Bytes come in as they arrive; an event comes out when its blank line has been seen,
/// so what a broken stream leaves unfinished is never shown to anybody.
#[derive(Debug)]
pub struct EventReader {
    limits: EventLimits,
    /// Bytes that have come and not gone out.
    held: Bytes,
    /// The beginning of an event whose end has not come.
    partial: BytesMut,
    scan: Scan,
    started: bool,
}

impl EventReader {
    /// Starts at the beginning of a stream.
    pub fn new(limits: EventLimits) -> Self {
        Self { limits, held: Bytes::new(), partial: BytesMut::new(), scan: Scan::default(), started: false }
    }

    /// Takes the next bytes. Call [`EventReader::next_event`] until it gives none before pushing more.
    pub fn push(&mut self, bytes: Bytes) {
        if self.partial.is_empty() {
            self.held = bytes;
        } else {
            self.partial.extend_from_slice(&bytes);
        }
    }

    /// The next whole event, if there is one.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLong> {
        if !self.partial.is_empty() {
            let Some(end) = self.scan.end_of_event(&self.partial, self.limits)? else { return Ok(None) };
            let event = self.partial.split_to(end).freeze();
            self.held = self.partial.split().freeze();
            return Ok(Some(self.emit(event)));
        }
        if let Some(end) = self.scan.end_of_event(&self.held, self.limits)? {
            let event = self.held.split_to(end);
            return Ok(Some(self.emit(event)));
        }
        self.partial.extend_from_slice(&std::mem::take(&mut self.held));
        Ok(None)
    }

    fn emit(&mut self, mut event: Bytes) -> Event {
        self.scan.restart(&event);
        if !std::mem::replace(&mut self.started, true) && event.starts_with(BYTE_ORDER_MARK) {
            event = event.slice(BYTE_ORDER_MARK.len()..);
        }
        Event::parse(event)
    }
}

/// Allowed once, at the beginning of a stream, where it means nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How far the search for the blank line has come, so that no byte is looked at twice.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    line: usize,
    /// The last event ended with CR: an LF now belongs to that line end.
    after_cr: bool,
    /// How many bytes at the beginning are that LF. They do not count, so that limits mean the same however the stream
    /// is cut.
    skipped: usize,
}

impl Scan {
    /// One past the end of the first event of `bytes`.
    fn end_of_event(&mut self, bytes: &[u8], limits: EventLimits) -> Result<Option<usize>, TooLong> {
        if self.after_cr && self.at == 0 && bytes.first() == Some(&b'\n') {
            (self.at, self.line, self.skipped) = (1, 1, 1);
        }
        while let Some(length) = memchr::memchr2(b'\n', b'\r', &bytes[self.at..]) {
            let end = self.at + length;
            let blank = end == self.line;
            if end - self.line > limits.line {
                return Err(TooLong::Line(limits.line));
            }
            let next = match bytes[end] {
                b'\r' if bytes.get(end + 1) == Some(&b'\n') => end + 2,
                // Whether an LF follows is not known yet. A blank line ends the event either way.
                b'\r' if end + 1 == bytes.len() && !blank => {
                    self.at = end;
                    return self.within(&bytes[..end], limits).map(|()| None);
                }
                _ => end + 1,
            };
            if blank {
                let length = end + 1 - self.skipped;
                return if length > limits.event { Err(TooLong::Event(limits.event)) } else { Ok(Some(next)) };
            }
            (self.at, self.line) = (next, next);
        }
        self.at = bytes.len();
        self.within(bytes, limits).map(|()| None)
    }

    fn within(&self, bytes: &[u8], limits: EventLimits) -> Result<(), TooLong> {
        if bytes.len() - self.line.min(bytes.len()) > limits.line {
            Err(TooLong::Line(limits.line))
        } else if bytes.len() - self.skipped > limits.event {
            Err(TooLong::Event(limits.event))
        } else {
            Ok(())
        }
    }

    fn restart(&mut self, event: &[u8]) {
        *self = Self { after_cr: event.ends_with(b"\r"), ..Self::default() };
    }
}
