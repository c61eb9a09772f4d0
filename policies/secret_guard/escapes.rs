//! Escapes of JSON, at whatever depth, and where in the document stands what they mean.

use std::ops::Range;

/// Where the parts of an unescaped text stand in the text that it was made of: by turns where an escape begins, and where the
/// text goes on after it.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<(usize, usize)>);

impl Places {
    /// The place in the text with escapes that this place in the one without comes from.
    pub(super) fn before(&self, at: usize) -> usize {
        let part = self.0.partition_point(|(start, _)| *start <= at);
        let (start, source) = part.checked_sub(1).and_then(|part| self.0.get(part)).copied().unwrap_or_default();
        source + (at - start)
    }

    /// The range of the text with escapes, and all of those that it cuts: half of one would mean something else.
    pub(super) fn whole(&self, range: Range<usize>) -> Range<usize> {
        let cut = |at: usize| {
            let next = self.0.partition_point(|(_, source)| *source < at);
            let inside = (next % 2 == 1).then(|| (self.0[next - 1].1, self.0[next].1));
            inside.filter(|(_, end)| at < *end)
        };
        let start = cut(range.start).map_or(range.start, |(start, _)| start);
        start..cut(range.end).map_or(range.end, |(_, end)| end)
    }
}

/// The text with its escapes taken for what they mean; none if it has none. What is no escape of JSON stays as it is: below the
/// first level this need not be JSON.
pub(super) fn unescaped(text: &str) -> Option<(String, Places)> {
    let (mut plain, mut places, mut copied) = (String::with_capacity(text.len()), Places::default(), 0);
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| memchr::memchr(b'\\', rest.as_bytes())) {
        let at = from + found;
        let Some((meant, length)) = meaning(&text.as_bytes()[at..]) else {
            from = at + 1;
            continue;
        };
        plain.push_str(&text[copied..at]);
        places.0.push((plain.len(), at));
        plain.push(meant);
        (copied, from) = (at + length, at + length);
        places.0.push((plain.len(), copied));
    }
    plain.push_str(&text[copied..]);
    (copied > 0).then_some((plain, places))
}

/// What the escape at the beginning means, and how long it is.
fn meaning(escape: &[u8]) -> Option<(char, usize)> {
    let plain = |meant| Some((meant, 2));
    match escape.get(1)? {
        b'b' => plain('\u{8}'),
        b'f' => plain('\u{c}'),
        b'n' => plain('\n'),
        b'r' => plain('\r'),
        b't' => plain('\t'),
        b'u' => unicode(escape),
        same @ (b'"' | b'\\' | b'/') => plain(char::from(*same)),
        _ => None,
    }
}

fn unicode(escape: &[u8]) -> Option<(char, usize)> {
    let high = unit(escape)?;
    if let Some(meant) = char::from_u32(high.into()) {
        return Some((meant, 6));
    }
    let low = unit(escape.get(6..)?)?;
    char::decode_utf16([high, low]).next()?.ok().map(|meant| (meant, 12))
}

/// The number in `\uXXXX`.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(br"\u")?.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
