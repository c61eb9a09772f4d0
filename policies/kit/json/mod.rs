//! Strict JSON, read in place.
//!
//! A gateway judges one reading of a document and lets another parser act on the same bytes. Every place where two
//! parsers could differ is therefore a flaw, not a matter of taste: duplicate keys at any depth, lone surrogates,
//! numbers that do not fit a double, trailing data, raw control characters. What passes can be forwarded untouched.
//!
//! Nothing is built: [`Reader`] walks every byte once and hands out [`Span`]s.

mod lookalike;
mod reader;
mod steps;
#[cfg(test)]
mod tests;
mod text;

use std::{fmt, ops::Range};

pub use self::{lookalike::lookalike, reader::Reader, text::Str};

/// Where a value stands in the text it was read from, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Documents are bounded far below 4 GiB, so offsets are kept small; a longer one saturates and reads as empty.
    fn new(start: usize, end: usize) -> Self {
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    /// The first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// One past the last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// As a range for slicing.
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }

    /// The bytes themselves; empty when the span belongs to another text.
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.range()).unwrap_or_default()
    }
}

/// How large and how deep a document may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nested objects and arrays.
    pub depth: u16,
    /// Values in all: every scalar, object and array counts one.
    pub nodes: u32,
    /// Keys of one object.
    pub keys: u32,
    /// Bytes of one string, as written.
    pub string: u32,
}

impl Limits {
    /// For messages from clients.
    pub const MESSAGE: Self = Self { depth: 64, nodes: 10_000, keys: 256, string: 512 << 10 };
    /// For answers from upstreams, which are bounded by their size in bytes.
    pub const ANSWER: Self = Self { depth: 128, nodes: u32::MAX, keys: u32::MAX, string: u32::MAX };
}

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong.
    pub kind: FlawKind,
    /// Byte offset in the document.
    pub at: usize,
}

/// The ways in which a document can be unfit to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// Not JSON: what was expected instead.
    Syntax(&'static str),
    /// The bytes are not UTF-8.
    NotUtf8,
    /// A key appears twice in one object.
    DuplicateKey(Box<str>),
    /// A key is another spelling of a key that MCP gives a meaning.
    ReservedKey {
        /// The key as sent, decoded.
        found: Box<str>,
        /// The key it could be mistaken for.
        reserved: &'static str,
    },
    /// A `\u` escape that is half of a surrogate pair.
    LoneSurrogate,
    /// A number that a double cannot hold.
    NumberRange,
    /// More nesting than allowed.
    TooDeep(u16),
    /// More values than allowed.
    TooManyNodes(u32),
    /// More keys in one object than allowed.
    TooManyKeys(u32),
    /// A longer string than allowed.
    StringTooLong(u32),
}

impl FlawKind {
    /// Is the document JSON that exceeds a limit, rather than not JSON or ambiguous?
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::TooDeep(_) | Self::TooManyNodes(_) | Self::TooManyKeys(_) | Self::StringTooLong(_))
    }

    /// Is the document JSON that two parsers could read differently?
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::DuplicateKey(_) | Self::ReservedKey { .. } | Self::LoneSurrogate | Self::NumberRange)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FlawKind::Syntax(expected) => write!(f, "expected {expected}")?,
            FlawKind::NotUtf8 => write!(f, "not UTF-8")?,
            FlawKind::DuplicateKey(key) => write!(f, "key {key:?} appears twice in one object")?,
            FlawKind::ReservedKey { found, reserved } => {
                write!(f, "key {found:?} could be read as {reserved:?} by another parser")?;
            }
            FlawKind::LoneSurrogate => write!(f, "a \\u escape is half of a surrogate pair")?,
            FlawKind::NumberRange => write!(f, "a number does not fit a double")?,
            FlawKind::TooDeep(limit) => write!(f, "more than {limit} nested objects and arrays")?,
            FlawKind::TooManyNodes(limit) => write!(f, "more than {limit} values")?,
            FlawKind::TooManyKeys(limit) => write!(f, "more than {limit} keys in one object")?,
            FlawKind::StringTooLong(limit) => write!(f, "a string of more than {limit} bytes")?,
        }
        write!(f, " (byte {})", self.at)
    }
}

impl std::error::Error for Flaw {}
