//! The walk over a document.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::{Flaw, FlawKind, Limits, Span, Str, text};

/// Keys of one object up to which comparing with each is cheaper than hashing.
const FEW_KEYS: usize = 24;

/// Walks one document. Callers step through the parts that they want to see ([`Reader::object`]) and skip the rest
/// ([`Reader::value`]); both check everything they pass.
#[derive(Debug)]
pub struct Reader<'a> {
    document: &'a str,
    input: &'a [u8],
    at: usize,
    depth: u16,
    nodes: u32,
    limits: &'a Limits,
    /// Fingerprints of the keys of every object that is open, innermost last.
    keys: SmallVec<[u64; 64]>,
}

type Result<T> = std::result::Result<T, Flaw>;

impl<'a> Reader<'a> {
    /// Starts at the beginning of `document`.
    pub fn new(document: &'a str, limits: &'a Limits) -> Self {
        Self { document, input: document.as_bytes(), at: 0, depth: 0, nodes: 0, limits, keys: SmallVec::new() }
    }

    /// The document being read.
    pub fn document(&self) -> &'a str {
        self.document
    }

    /// The first byte of the next value, without stepping over it.
    pub fn peek(&mut self) -> Option<u8> {
        self.skip_blank();
        self.input.get(self.at).copied()
    }

    /// The byte offset reached.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// From `start` to the place reached.
    pub fn since(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    /// Steps over the next value, whatever it is.
    pub fn value(&mut self) -> Result<Span> {
        self.skip_blank();
        let start = self.at;
        match self.input.get(start) {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{') => self.object(|reader, _| reader.value().map(drop))?,
            Some(b'[') => self.array(|reader| reader.value().map(drop))?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(self.syntax("a value")),
        }
        Ok(Span::new(start, self.at))
    }

    /// Reads an object; `member` is called after each key and must step over that key's value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Str) -> Result<()>) -> Result<()> {
        self.open(b'{', "an object")?;
        let first_key = self.keys.len();
        let mut many = None;
        let mut next = self.peek();
        while next != Some(b'}') {
            let key = self.key()?;
            self.unique(key, first_key, &mut many)?;
            self.colon()?;
            member(self, key)?;
            next = self.after_member(b'}')?;
        }
        self.keys.truncate(first_key);
        self.close();
        Ok(())
    }

    /// Reads an array; `item` must step over one value each time.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.open(b'[', "an array")?;
        let mut next = self.peek();
        while next != Some(b']') {
            item(self)?;
            next = self.after_member(b']')?;
        }
        self.close();
        Ok(())
    }

    /// Reads a string.
    #[inline]
    pub fn string(&mut self) -> Result<Str> {
        self.skip_blank();
        self.count_node()?;
        self.string_content()
    }

    /// Checks that nothing but white space follows.
    pub fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax("the end of the document")),
        }
    }

    /// A flaw at the place reached.
    pub fn flaw(&self, kind: FlawKind) -> Flaw {
        Flaw { kind, at: self.at }
    }

    #[inline]
    fn key(&mut self) -> Result<Str> {
        if self.peek() == Some(b'"') { self.string_content() } else { Err(self.syntax("a key")) }
    }

    #[inline]
    fn string_content(&mut self) -> Result<Str> {
        if self.input.get(self.at) != Some(&b'"') {
            return Err(self.syntax("a string"));
        }
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            at = text::plain_until(self.input, at);
            match self.input.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = text::escape(self.input, at)?;
                }
                Some(_) => return Err(Flaw { kind: FlawKind::Syntax("no raw control character in a string"), at }),
                None => return Err(Flaw { kind: FlawKind::Syntax("the end of a string"), at }),
            }
        }
        if at - start > self.limits.string as usize {
            return Err(self.flaw(FlawKind::StringTooLong(self.limits.string)));
        }
        self.at = at + 1;
        Ok(Str { span: Span::new(start, at), escaped })
    }

    /// Refuses a key that its object already has, comparing what keys *mean*: `"n\u0061me"` is `"name"`.
    #[inline]
    fn unique(&mut self, key: Str, first_key: usize, many: &mut Option<HashSet<u64>>) -> Result<()> {
        let print = fingerprint(key.text(self.document).as_bytes());
        let siblings = &self.keys[first_key..];
        if siblings.len() >= self.limits.keys as usize {
            return Err(self.flaw(FlawKind::TooManyKeys(self.limits.keys)));
        }
        let duplicate = if siblings.len() < FEW_KEYS {
            siblings.contains(&print)
        } else {
            !many.get_or_insert_with(|| siblings.iter().copied().collect()).insert(print)
        };
        if duplicate {
            return Err(self.flaw(FlawKind::DuplicateKey(key.text(self.document).into())));
        }
        self.keys.push(print);
        Ok(())
    }

    #[inline]
    fn colon(&mut self) -> Result<()> {
        if self.peek() != Some(b':') {
            return Err(self.syntax("a colon"));
        }
        self.at += 1;
        Ok(())
    }

    /// After a member: steps over the comma, or over nothing before the end. Says what stands next.
    #[inline]
    fn after_member(&mut self, end: u8) -> Result<Option<u8>> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                match self.peek() {
                    Some(next) if next != end => Ok(Some(next)),
                    _ => Err(self.syntax("a value after the comma")),
                }
            }
            Some(next) if next == end => Ok(Some(next)),
            _ => Err(self.syntax("a comma or the end")),
        }
    }

    #[inline]
    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<()> {
        if self.peek() != Some(bracket) {
            return Err(self.syntax(expected));
        }
        self.count_node()?;
        if self.depth == self.limits.depth {
            return Err(self.flaw(FlawKind::TooDeep(self.limits.depth)));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    #[inline]
    fn count_node(&mut self) -> Result<()> {
        if self.nodes == self.limits.nodes {
            return Err(self.flaw(FlawKind::TooManyNodes(self.limits.nodes)));
        }
        self.nodes += 1;
        Ok(())
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<()> {
        self.count_node()?;
        let end = self.at + word.len();
        if self.input.get(self.at..end) != Some(word) {
            return Err(self.syntax("a value"));
        }
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        self.count_node()?;
        let start = self.at;
        self.at += usize::from(self.input[start] == b'-');
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.input[self.at - whole] == b'0') {
            return Err(self.syntax("a number without leading zeros"));
        }
        let fraction = self.input.get(self.at) == Some(&b'.');
        if fraction {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.syntax("a digit after the point"));
            }
        }
        let exponent = matches!(self.input.get(self.at), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.input.get(self.at), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(self.syntax("a digit in the exponent"));
            }
        }
        if exponent || whole > 300 { self.finite(start) } else { Ok(()) }
    }

    /// Only an exponent, or hundreds of digits, can leave the range of a double.
    fn finite(&self, start: usize) -> Result<()> {
        let value: Option<f64> = self.document.get(start..self.at).and_then(|number| number.parse().ok());
        match value {
            Some(value) if value.is_finite() => Ok(()),
            _ => Err(Flaw { kind: FlawKind::NumberRange, at: start }),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.input.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    #[inline]
    fn skip_blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.input.get(self.at) {
            self.at += 1;
        }
    }

    fn syntax(&self, expected: &'static str) -> Flaw {
        self.flaw(FlawKind::Syntax(expected))
    }
}

/// A key's identity within one object. Equal keys have equal fingerprints; keys of up to seven bytes are told apart
/// exactly, longer ones but for a chance of 2⁻⁶⁴, and then a sender only gets its own odd message refused.
#[inline]
fn fingerprint(key: &[u8]) -> u64 {
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut words = key.chunks_exact(8);
    let mut print = key.len() as u64;
    for word in words.by_ref() {
        let word = word.try_into().map(u64::from_le_bytes).unwrap_or_default();
        print = (print.rotate_left(23) ^ word).wrapping_mul(MIX);
    }
    let mut last = 0;
    for &byte in words.remainder() {
        last = last << 8 | u64::from(byte);
    }
    if key.len() < 8 { print << 56 | last } else { (print.rotate_left(23) ^ last).wrapping_mul(MIX) }
}
