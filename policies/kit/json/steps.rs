//! The steps of the walk.
//!
//! Each goes on from a place and gives the place reached, or none, and then `Reader::flaw` says why. What passes from
//! step to step fits into registers: that, and no recursion, makes reading half again as fast.

use std::mem;

use super::{
    Flaw, FlawKind, Span, Str,
    reader::{Open, Reader},
    text,
};

/// Keys of one object up to which comparing with each is cheaper than hashing.
const FEW_KEYS: usize = 24;

impl Reader<'_> {
    /// Over one value. A loop and not a recursion: most bytes of most messages pass here.
    pub(super) fn step_over(&mut self, mut at: usize) -> Option<usize> {
        let outer = self.depth;
        loop {
            let inside = self.depth;
            at = match self.byte(at) {
                Some(b'"') => {
                    self.node(at)?;
                    self.content(at)?
                }
                Some(b'{') => {
                    at = self.open(at, b'{')?;
                    self.skip_end(at, b'}')
                }
                Some(b'[') => {
                    at = self.open(at, b'[')?;
                    self.skip_end(at, b']')
                }
                Some(b'-' | b'0'..=b'9') => self.number(at)?,
                Some(b't') => self.literal(at, b"true")?,
                Some(b'f') => self.literal(at, b"false")?,
                Some(b'n') => self.literal(at, b"null")?,
                _ => return self.fail(at, FlawKind::Syntax("a value")),
            };
            if self.depth > inside {
                at = self.member(at)?;
            } else {
                at = self.leave(at, outer)?;
                if self.depth == outer {
                    return Some(at);
                }
            }
        }
    }

    /// After a value: out of everything that ends here, down to `outer`, and before the next value if there is one.
    #[inline]
    fn leave(&mut self, mut at: usize, outer: usize) -> Option<usize> {
        loop {
            let inside = self.depth;
            if inside == outer {
                return Some(at);
            }
            let end = if let Open::Object(_) = self.innermost { b'}' } else { b']' };
            at = self.next(at, end)?;
            if self.depth == inside {
                return self.member(at);
            }
        }
    }

    /// Into an object or an array, before whatever is in it.
    #[inline]
    pub(super) fn open(&mut self, at: usize, bracket: u8) -> Option<usize> {
        self.node(at)?;
        if self.depth >= usize::from(self.limits.depth) {
            return self.fail(at, FlawKind::TooDeep(self.limits.depth));
        }
        // Fewer keys than bytes, and documents of 4 GiB are not read.
        let first_key = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let inside = if bracket == b'{' { Open::Object(first_key) } else { Open::Array };
        self.around.push(mem::replace(&mut self.innermost, inside));
        self.depth += 1;
        Some(self.blank(at + 1))
    }

    /// Out of an object or an array, if it ends here.
    #[inline]
    pub(super) fn skip_end(&mut self, at: usize, end: u8) -> usize {
        if self.byte(at) != Some(end) {
            return at;
        }
        if self.many.last().is_some_and(|(of, _)| *of == self.depth) {
            self.many.pop();
        }
        if let Open::Object(first_key) = self.innermost {
            self.keys.truncate(first_key as usize);
        }
        self.innermost = self.around.pop().unwrap_or(Open::Document);
        self.depth = self.around.len();
        at + 1
    }

    /// After a member or an item: before the next one, or out of what ends here.
    #[inline]
    pub(super) fn next(&mut self, at: usize, end: u8) -> Option<usize> {
        let at = self.blank(at);
        match self.byte(at) {
            Some(b',') => {
                let at = self.blank(at + 1);
                match self.byte(at) {
                    Some(next) if next != end => Some(at),
                    _ => self.fail(at, FlawKind::Syntax("a value after the comma")),
                }
            }
            Some(next) if next == end => Some(self.skip_end(at, end)),
            _ => self.fail(at, FlawKind::Syntax("a comma or the end")),
        }
    }

    /// Before the value of the next member; in an array that is where we are.
    #[inline]
    fn member(&mut self, at: usize) -> Option<usize> {
        if let Open::Object(_) = self.innermost {
            let at = self.key(at)?;
            self.colon(at)
        } else {
            Some(at)
        }
    }

    /// Over a key that its object does not have yet.
    #[inline]
    pub(super) fn key(&mut self, at: usize) -> Option<usize> {
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
        let Open::Object(first_key) = self.innermost else { return Some(false) };
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
        let place = self.depth;
        if self.many.last().is_none_or(|(of, _)| *of != place) {
            self.many.push((place, self.keys[first_key as usize..].iter().copied().collect()));
        }
        self.many.last_mut().is_some_and(|(_, keys)| !keys.insert(print))
    }

    /// Over the colon, before the value.
    #[inline]
    pub(super) fn colon(&mut self, at: usize) -> Option<usize> {
        let at = self.blank(at);
        if self.byte(at) == Some(b':') { Some(self.blank(at + 1)) } else { self.fail(at, FlawKind::Syntax("a colon")) }
    }

    /// Over a string, quotes included.
    #[inline]
    pub(super) fn content(&mut self, at: usize) -> Option<usize> {
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
    pub(super) fn node(&mut self, at: usize) -> Option<()> {
        if self.nodes == self.limits.nodes {
            return self.fail(at, FlawKind::TooManyNodes(self.limits.nodes));
        }
        self.nodes += 1;
        Some(())
    }

    #[inline]
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.input.get(at).copied()
    }

    #[inline]
    pub(super) fn blank(&self, mut at: usize) -> usize {
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
    let step = |print: u64, at: usize| (print.rotate_left(23) ^ word(at).unwrap_or_default()).wrapping_mul(MIX);
    let (mut print, mut at) = (length as u64, start);
    while at < end - 8 {
        print = step(print, at);
        at += 8;
    }
    step(print, end - 8)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
