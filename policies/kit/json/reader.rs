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
    nodes: u32,
    limits: Limits,
    /// The objects and arrays that are open, innermost last.
    open: SmallVec<[Open; 32]>,
    /// Fingerprints of the keys of every object that is open, innermost last.
    keys: SmallVec<[u64; 64]>,
    /// The same once more for the open objects with many keys, each with its place in `open`.
    many: Vec<(usize, HashSet<u64>)>,
    /// Did the last string have escapes?
    escaped: bool,
    /// Why the last step failed.
    flaw: Option<Flaw>,
}

/// An object or array whose end has not come.
#[derive(Clone, Copy, Debug)]
enum Open {
    /// Its keys begin here in `Reader::keys`.
    Object(u32),
    Array,
}

type Result<T> = std::result::Result<T, Flaw>;

impl<'a> Reader<'a> {
    /// Starts at the beginning of `document`.
    pub fn new(document: &'a str, limits: &Limits) -> Self {
        Self {
            document,
            input: document.as_bytes(),
            at: 0,
            nodes: 0,
            limits: *limits,
            open: SmallVec::new(),
            keys: SmallVec::new(),
            many: Vec::new(),
            escaped: false,
            flaw: None,
        }
    }

    /// The document being read.
    pub fn document(&self) -> &'a str {
        self.document
    }

    /// The first byte of the next value, without stepping over it.
    pub fn peek(&mut self) -> Option<u8> {
        self.at = self.blank(self.at);
        self.byte(self.at)
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
        let start = self.blank(self.at);
        let end = self.step_over(start);
        self.arrive(end)?;
        Ok(self.since(start))
    }

    /// Reads an object; `member` is called after each key and must step over that key's value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Str) -> Result<()>) -> Result<()> {
        let mut more = self.enter(b'{', "an object")?;
        while more {
            let start = self.at + 1;
            let key = self.key(self.at);
            self.arrive(key)?;
            let key = Str { span: Span::new(start, self.at - 1), escaped: self.escaped };
            let value = self.colon(self.at);
            self.arrive(value)?;
            member(self, key)?;
            more = self.another(b'}')?;
        }
        Ok(())
    }

    /// Reads an array; `item` must step over one value each time.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let mut more = self.enter(b'[', "an array")?;
        while more {
            item(self)?;
            more = self.another(b']')?;
        }
        Ok(())
    }

    /// Reads a string.
    pub fn string(&mut self) -> Result<Str> {
        let start = self.blank(self.at);
        let end = self.node(start).and_then(|()| self.content(start));
        self.arrive(end)?;
        Ok(Str { span: Span::new(start + 1, self.at - 1), escaped: self.escaped })
    }

    /// Checks that nothing but white space follows.
    pub fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.flaw(FlawKind::Syntax("the end of the document"))),
        }
    }

    /// A flaw at the place reached.
    pub fn flaw(&self, kind: FlawKind) -> Flaw {
        Flaw { kind, at: self.at }
    }

    /// Opens an object or an array. Is there something in it?
    fn enter(&mut self, bracket: u8, expected: &'static str) -> Result<bool> {
        let start = self.blank(self.at);
        let inside = if self.byte(start) == Some(bracket) {
            self.open(start, bracket)
        } else {
            self.fail(start, FlawKind::Syntax(expected))
        };
        let outside = self.open.len() - usize::from(inside.is_some());
        let inside = inside.and_then(|at| self.skip_end(at, bracket + BRACKETS));
        self.arrive(inside)?;
        Ok(self.open.len() > outside)
    }

    /// After a member or an item. Is there another one?
    fn another(&mut self, end: u8) -> Result<bool> {
        let inside = self.open.len();
        let next = self.next(self.at, end);
        self.arrive(next)?;
        Ok(self.open.len() == inside)
    }

    fn arrive(&mut self, place: Option<usize>) -> Result<()> {
        match place {
            Some(at) => {
                self.at = at;
                Ok(())
            }
            None => Err(self.flaw.take().unwrap_or(self.flaw(FlawKind::Syntax("a value")))),
        }
    }
}

/// In ASCII, closing brackets and braces stand two after their opening ones.
const BRACKETS: u8 = 2;

/// The steps. Each goes on from a place and gives the place reached, or none, and then `flaw` says why: what passes from
/// step to step fits into registers, which makes reading half again as fast.
impl Reader<'_> {
    /// Over one value. A loop and not a recursion: most bytes of most messages pass here.
    fn step_over(&mut self, mut at: usize) -> Option<usize> {
        let outer = self.open.len();
        loop {
            let inside = self.open.len();
            at = match self.byte(at) {
                Some(b'"') => {
                    self.node(at)?;
                    self.content(at)?
                }
                Some(b'{') => {
                    at = self.open(at, b'{')?;
                    self.skip_end(at, b'}')?
                }
                Some(b'[') => {
                    at = self.open(at, b'[')?;
                    self.skip_end(at, b']')?
                }
                Some(b'-' | b'0'..=b'9') => self.number(at)?,
                Some(b't') => self.literal(at, b"true")?,
                Some(b'f') => self.literal(at, b"false")?,
                Some(b'n') => self.literal(at, b"null")?,
                _ => return self.fail(at, FlawKind::Syntax("a value")),
            };
            if self.open.len() > inside {
                at = self.member(at)?;
            } else {
                at = self.leave(at, outer)?;
                if self.open.len() == outer {
                    return Some(at);
                }
            }
        }
    }

    /// After a value: out of everything that ends here, down to `outer`, and before the next value if there is one.
    #[inline]
    fn leave(&mut self, mut at: usize, outer: usize) -> Option<usize> {
        loop {
            let inside = self.open.len();
            if inside == outer {
                return Some(at);
            }
            let end = if let Some(Open::Object(_)) = self.open.last() { b'}' } else { b']' };
            at = self.next(at, end)?;
            if self.open.len() == inside {
                return self.member(at);
            }
        }
    }

    /// Into an object or an array, before whatever is in it.
    #[inline]
    fn open(&mut self, at: usize, bracket: u8) -> Option<usize> {
        self.node(at)?;
        if self.open.len() >= usize::from(self.limits.depth) {
            return self.fail(at, FlawKind::TooDeep(self.limits.depth));
        }
        // Fewer keys than bytes, and documents of 4 GiB are not read.
        let first_key = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.open.push(if bracket == b'{' { Open::Object(first_key) } else { Open::Array });
        Some(self.blank(at + 1))
    }

    /// Out of an object or an array, if it ends here.
    #[inline]
    fn skip_end(&mut self, at: usize, end: u8) -> Option<usize> {
        if self.byte(at) != Some(end) {
            return Some(at);
        }
        if self.many.last().is_some_and(|(of, _)| *of == self.open.len()) {
            self.many.pop();
        }
        if let Some(Open::Object(first_key)) = self.open.pop() {
            self.keys.truncate(first_key as usize);
        }
        Some(at + 1)
    }

    /// After a member or an item: before the next one, or out of what ends here.
    #[inline]
    fn next(&mut self, at: usize, end: u8) -> Option<usize> {
        let at = self.blank(at);
        match self.byte(at) {
            Some(b',') => {
                let at = self.blank(at + 1);
                match self.byte(at) {
                    Some(next) if next != end => Some(at),
                    _ => self.fail(at, FlawKind::Syntax("a value after the comma")),
                }
            }
            Some(next) if next == end => self.skip_end(at, end),
            _ => self.fail(at, FlawKind::Syntax("a comma or the end")),
        }
    }

    /// Before the value of the next member; in an array that is where we are.
    #[inline]
    fn member(&mut self, at: usize) -> Option<usize> {
        if let Some(Open::Object(_)) = self.open.last() {
            let at = self.key(at)?;
            self.colon(at)
        } else {
            Some(at)
        }
    }

    /// Over a key that its object does not have yet.
    #[inline]
    fn key(&mut self, at: usize) -> Option<usize> {
        if self.byte(at) != Some(b'"') {
            return self.fail(at, FlawKind::Syntax("a key"));
        }
        let after = self.content(at)?;
        let (start, end) = (at + 1, after - 1);
        // What a key *means* counts: `"n\u0061me"` is `"name"`.
        let print = if self.escaped {
            let text = Str { span: Span::new(start, end), escaped: true }.text(self.document);
            fingerprint(text.as_bytes(), 0, text.len())
        } else {
            fingerprint(self.input, start, end)
        };
        if self.is_known(print, after)? {
            let key = Str { span: Span::new(start, end), escaped: self.escaped }.text(self.document).into();
            return self.fail(after, FlawKind::DuplicateKey(key));
        }
        Some(after)
    }

    /// Notes a key of the innermost object. Was it there before?
    #[inline]
    fn is_known(&mut self, print: u64, at: usize) -> Option<bool> {
        let Some(&Open::Object(first_key)) = self.open.last() else { return Some(false) };
        let siblings = &self.keys[first_key as usize..];
        if siblings.len() >= self.limits.keys as usize {
            return self.fail(at, FlawKind::TooManyKeys(self.limits.keys));
        }
        let known =
            if siblings.len() < FEW_KEYS { siblings.contains(&print) } else { self.is_among_many(first_key, print) };
        self.keys.push(print);
        Some(known)
    }

    fn is_among_many(&mut self, first_key: u32, print: u64) -> bool {
        let place = self.open.len();
        if self.many.last().is_none_or(|(of, _)| *of != place) {
            self.many.push((place, self.keys[first_key as usize..].iter().copied().collect()));
        }
        self.many.last_mut().is_some_and(|(_, keys)| !keys.insert(print))
    }

    /// Over the colon, before the value.
    #[inline]
    fn colon(&mut self, at: usize) -> Option<usize> {
        let at = self.blank(at);
        if self.byte(at) == Some(b':') { Some(self.blank(at + 1)) } else { self.fail(at, FlawKind::Syntax("a colon")) }
    }

    /// Over a string, quotes included.
    #[inline]
    fn content(&mut self, at: usize) -> Option<usize> {
        if self.byte(at) != Some(b'"') {
            return self.fail(at, FlawKind::Syntax("a string"));
        }
        self.escaped = false;
        match text::short(self.input, at + 1) {
            Some(length) if length <= self.limits.string as usize => Some(at + length + 2),
            _ => self.long_content(at + 1),
        }
    }

    /// Over the rest of a string of any length.
    fn long_content(&mut self, start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            at = text::plain_until(self.input, at);
            match self.input.get(at) {
                Some(b'"') => break,
                Some(b'\\') => match text::escape(self.input, at) {
                    Ok(after) => (self.escaped, at) = (true, after),
                    Err(kind) => return self.fail(at, kind),
                },
                Some(_) => return self.fail(at, FlawKind::Syntax("no raw control character in a string")),
                None => return self.fail(at, FlawKind::Syntax("the end of a string")),
            }
        }
        if at - start > self.limits.string as usize {
            return self.fail(start, FlawKind::StringTooLong(self.limits.string));
        }
        Some(at + 1)
    }

    fn literal(&mut self, at: usize, word: &'static [u8]) -> Option<usize> {
        self.node(at)?;
        let end = at + word.len();
        if self.input.get(at..end) == Some(word) { Some(end) } else { self.fail(at, FlawKind::Syntax("a value")) }
    }

    #[inline]
    fn number(&mut self, start: usize) -> Option<usize> {
        self.node(start)?;
        let first = start + usize::from(self.byte(start) == Some(b'-'));
        let mut at = self.digits(first);
        let whole = at - first;
        if whole == 0 || (whole > 1 && self.byte(first) == Some(b'0')) {
            return self.fail(at, FlawKind::Syntax("a number without leading zeros"));
        }
        if self.byte(at) == Some(b'.') {
            let point = at + 1;
            at = self.digits(point);
            if at == point {
                return self.fail(at, FlawKind::Syntax("a digit after the point"));
            }
        }
        let exponent = matches!(self.byte(at), Some(b'e' | b'E'));
        if exponent {
            at = self.exponent(at + 1)?;
        }
        if exponent || whole > 300 { self.finite(start, at) } else { Some(at) }
    }

    fn exponent(&mut self, at: usize) -> Option<usize> {
        let first = at + usize::from(matches!(self.byte(at), Some(b'+' | b'-')));
        let at = self.digits(first);
        if at > first { Some(at) } else { self.fail(at, FlawKind::Syntax("a digit in the exponent")) }
    }

    /// Only an exponent, or hundreds of digits, can leave the range of a double.
    fn finite(&mut self, start: usize, end: usize) -> Option<usize> {
        let value: Option<f64> = self.document.get(start..end).and_then(|number| number.parse().ok());
        match value {
            Some(value) if value.is_finite() => Some(end),
            _ => self.fail(start, FlawKind::NumberRange),
        }
    }

    #[inline]
    fn digits(&self, mut at: usize) -> usize {
        while self.input.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    }

    #[inline]
    fn node(&mut self, at: usize) -> Option<()> {
        if self.nodes == self.limits.nodes {
            return self.fail(at, FlawKind::TooManyNodes(self.limits.nodes));
        }
        self.nodes += 1;
        Some(())
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.input.get(at).copied()
    }

    #[inline]
    fn blank(&self, mut at: usize) -> usize {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.input.get(at) {
            at += 1;
        }
        at
    }

    #[cold]
    fn fail<T>(&mut self, at: usize, kind: FlawKind) -> Option<T> {
        self.flaw = Some(Flaw { kind, at });
        None
    }
}

/// The identity of the key that stands in `text` from `start` to `end`, within one object. Equal keys have equal
/// fingerprints; keys of up to seven bytes are told apart exactly, longer ones but for a chance of 2⁻⁶⁴, and then a
/// sender only gets its own odd message refused.
#[inline]
fn fingerprint(text: &[u8], start: usize, end: usize) -> u64 {
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let word = |at: usize| text.get(at..).and_then(<[u8]>::first_chunk).map(|word| u64::from_le_bytes(*word));
    let length = end - start;
    if length < 8 {
        // What follows the key is read with it and masked out, unless the document ends there.
        let key = word(start).map(|word| word & ((1 << (8 * length)) - 1));
        return (length as u64) << 56 | key.unwrap_or_else(|| little_endian(&text[start..end]));
    }
    let step = |print: u64, word: Option<u64>| (print.rotate_left(23) ^ word.unwrap_or_default()).wrapping_mul(MIX);
    let whole = (start..end - 8).step_by(8).fold(length as u64, |print, at| step(print, word(at)));
    step(whole, word(end - 8))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
