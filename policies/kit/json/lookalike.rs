//! Keys that another parser could take for one that has a meaning.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::{Flaw, FlawKind, Reader, Str};
use crate::kit::words::is_invisible;

impl<'a> Reader<'a> {
    /// The key's text, unless it is another spelling of a reserved one, in case or in a compatibility form: a lenient
    /// parser could take it for that one (CVE-2026-27896).
    pub fn unambiguous(&self, key: Str, reserved: &[&'static str]) -> Result<Cow<'a, str>, Flaw> {
        let text = key.text(self.document());
        match lookalike(&text, reserved) {
            None => Ok(text),
            Some(reserved) => Err(self.flaw(FlawKind::ReservedKey { found: (&*text).into(), reserved })),
        }
    }
}

/// The one of `reserved` (ASCII all) that `key` is not, but could be read as.
pub fn lookalike(key: &str, reserved: &[&'static str]) -> Option<&'static str> {
    // Mostly it is one of them, and comparing bytes is faster than comparing letters.
    if reserved.contains(&key) {
        return None;
    }
    let like = |key: &str| reserved.iter().copied().find(|known| known.eq_ignore_ascii_case(key));
    if key.is_ascii() { like(key) } else { like(&fold(key)) }
}

/// Compatibility composition, lower case, and without the characters that no reader sees: close enough to Unicode's
/// `NFKC_Casefold` to find every key that a folding parser would take for an ASCII one. Of the letters that only some
/// parsers fold to ASCII, the Turkish ones come apart into an `i`, and the sharp s into two.
fn fold(key: &str) -> String {
    let lower = key.nfkc().flat_map(char::to_lowercase).nfkc().filter(|c| !is_invisible(*c) && *c != '\u{307}');
    let mut folded = String::with_capacity(key.len());
    for c in lower {
        match c {
            'ß' => folded.push_str("ss"),
            'ı' => folded.push('i'),
            other => folded.push(other),
        }
    }
    folded
}
