//! Strings: the fast scan to their end, and decoding for the few that carry escapes.

use std::borrow::Cow;

use super::{FlawKind, Span};

/// A JSON string found in the text.
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// Its content, without the quotes.
    pub span: Span,
    /// Does it carry escapes, so that its content is not its text?
    pub escaped: bool,
}

impl Str {
    /// The string's text; borrows unless there is an escape to decode.
    #[inline]
    pub fn text(self, document: &str) -> Cow<'_, str> {
        let content = document.get(self.span.range()).unwrap_or_default();
        if self.escaped { Cow::Owned(decode(content)) } else { Cow::Borrowed(content) }
    }
}

/// The length of the string that begins at `at`, if it is short and ends before anything special: most strings do.
#[inline]
pub(super) fn short(input: &[u8], at: usize) -> Option<usize> {
    let bytes: &[u8; 16] = input.get(at..)?.first_chunk()?;
    // Wide, so that no branch depends on which half the string ends in, and byte by byte: that becomes vector instructions.
    let marks = bytes.map(|byte| if is_special(byte) { 0xFF } else { 0 });
    let length = (u128::from_le_bytes(marks).trailing_zeros() / 8) as usize;
    (bytes.get(length) == Some(&b'"')).then_some(length)
}

/// The offset of the first `"`, `\` or control character at or after `at`; the length of the input if there is none.
///
/// Long strings are where the bytes of a large message are, so they are looked at 64 bytes at a time in a form that
/// the compiler turns into vector instructions; the exact place is then found 8 bytes at a time.
#[inline]
pub(super) fn plain_until(input: &[u8], mut at: usize) -> usize {
    let mut short = 4;
    while let Some(word) = input.get(at..).and_then(<[u8]>::first_chunk) {
        let found = specials_of_8(u64::from_le_bytes(*word));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
        short -= 1;
        if short == 0 {
            at = skip_plain_blocks(input, at);
            short = u32::MAX;
        }
    }
    input[at..].iter().position(|&byte| is_special(byte)).map_or(input.len(), |found| at + found)
}

fn skip_plain_blocks(input: &[u8], mut at: usize) -> usize {
    while let Some(block) = input.get(at..).and_then(<[u8]>::first_chunk::<64>) {
        if block.iter().fold(false, |any, &byte| any | is_special(byte)) {
            break;
        }
        at += 64;
    }
    at
}

#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches, a block of bytes becomes a few vector instructions"
)]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// Marks (with the high bit of its byte) each byte of `word` that ends a plain run. Bytes above the first marked one may be
/// marked in error by the borrow; only the lowest mark is used.
#[inline]
fn specials_of_8(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    let zero_bytes = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    let quote = zero_bytes(word ^ (ONES * u64::from(b'"')));
    let backslash = zero_bytes(word ^ (ONES * u64::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    quote | backslash | control
}

/// Steps over the escape that begins at `at`, checking it.
pub(super) fn escape(input: &[u8], at: usize) -> Result<usize, FlawKind> {
    match input.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let unit = hex4(input, at + 2).ok_or(FlawKind::Syntax("four hexadecimal digits"))?;
            match unit {
                0xD800..=0xDBFF => {
                    let low = (input.get(at + 6..at + 8) == Some(b"\\u")).then(|| hex4(input, at + 8)).flatten();
                    match low {
                        Some(0xDC00..=0xDFFF) => Ok(at + 12),
                        _ => Err(FlawKind::LoneSurrogate),
                    }
                }
                0xDC00..=0xDFFF => Err(FlawKind::LoneSurrogate),
                _ => Ok(at + 6),
            }
        }
        _ => Err(FlawKind::Syntax("a valid escape")),
    }
}

fn hex4(input: &[u8], at: usize) -> Option<u16> {
    input.get(at..at + 4)?.iter().try_fold(0u16, |value, &digit| {
        let digit = (digit as char).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}

/// Decodes the escapes of content that [`escape`] has already accepted.
#[cold]
fn decode(content: &str) -> String {
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let (decoded, used) = decode_one(&rest.as_bytes()[at..]);
        text.push(decoded);
        rest = rest.get(at + used..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

fn decode_one(escape: &[u8]) -> (char, usize) {
    let plain = |c| (c, 2);
    match escape.get(1) {
        Some(b'b') => plain('\u{8}'),
        Some(b'f') => plain('\u{c}'),
        Some(b'n') => plain('\n'),
        Some(b'r') => plain('\r'),
        Some(b't') => plain('\t'),
        Some(b'u') => decode_unit(escape),
        Some(&other) => plain(other as char),
        None => (char::REPLACEMENT_CHARACTER, escape.len()),
    }
}

fn decode_unit(escape: &[u8]) -> (char, usize) {
    let units = [hex4(escape, 2), hex4(escape, 8)];
    let used = if units[0].is_some_and(|unit| (0xD800..0xDC00).contains(&unit)) { 12 } else { 6 };
    let units = units.into_iter().take(used / 6).flatten();
    let decoded = char::decode_utf16(units).next().and_then(Result::ok);
    (decoded.unwrap_or(char::REPLACEMENT_CHARACTER), used)
}
