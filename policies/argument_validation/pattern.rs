//! How much work a regular expression is.
//!
//! The engine takes time in proportion to the text and, at worst, to what the expression becomes when its counts are written
//! out: `(ab){100}` is 200 characters.

/// A class of characters, and one that Unicode defines, may take this much.
const CLASS: u64 = 2;
const UNICODE: u64 = 200;
/// So much of an expression costs one step for each byte of text.
const OF_STEP: u64 = 32;

/// The steps that it takes at worst to apply `pattern` to `text`.
pub(super) fn steps(pattern: &str, text: &str) -> u64 {
    (1 + text.len() as u64).saturating_mul(1 + size(pattern) / OF_STEP)
}

/// How long `pattern` is when its counts are written out, about.
pub(super) fn size(pattern: &str) -> u64 {
    let (mut sums, mut last, mut rest) = (vec![0_u64], 0_u64, pattern.chars());
    while let Some(c) = rest.next() {
        let (more, now) = match c {
            '\\' => once(escape(&mut rest)),
            '[' => once(class(&mut rest)),
            '.' => once(CLASS),
            '(' => {
                sums.push(0);
                continue;
            }
            ')' if sums.len() > 1 => once(sums.pop().unwrap_or(0) + 1),
            '{' => {
                let written_out = last.saturating_mul(count(&mut rest));
                (written_out.saturating_sub(last), written_out)
            }
            '*' | '+' | '?' => (1, last),
            _ => once(1),
        };
        last = now;
        if let Some(sum) = sums.last_mut() {
            *sum = sum.saturating_add(more);
        }
    }
    sums.into_iter().fold(0, u64::saturating_add)
}

/// Something that stands there once, and may be followed by a count.
fn once(size: u64) -> (u64, u64) {
    (size, size)
}

/// What follows a backslash.
fn escape(rest: &mut impl Iterator<Item = char>) -> u64 {
    match rest.next() {
        Some('p' | 'P') => {
            count(rest);
            UNICODE
        }
        Some('d' | 'D' | 's' | 'S' | 'w' | 'W') => CLASS,
        _ => 1,
    }
}

/// To the end of `[…]`.
fn class(rest: &mut impl Iterator<Item = char>) -> u64 {
    let mut size = CLASS;
    while let Some(c) = rest.next() {
        match c {
            '\\' => size = size.max(escape(rest)),
            ']' => break,
            _ => {}
        }
    }
    size
}

/// The larger number of `{…}`.
fn count(rest: &mut impl Iterator<Item = char>) -> u64 {
    let inside: String = rest.take_while(|c| *c != '}').collect();
    inside.split(',').filter_map(|number| number.trim().parse().ok()).max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_out() {
        for (pattern, long) in [
            ("abc", 3),
            ("^[a-z]{2,10}$", 22),
            (r"a{3}\{9", 5),
            ("(ab){10}c", 31),
            ("((a{10}){10}){10}", 1110),
            (r"\p{L}{3}[\p{L}x]", 800),
            ("a{2}{2}{2}{2}", 16),
            ("a{99999999999}{99999999999}{99999999999}", u64::MAX),
        ] {
            assert_eq!(size(pattern), long, "{pattern}");
        }
        assert_eq!(steps("^[a-z]+$", "seven77"), 8);
        assert_eq!(steps("^.{1,320}$", "seven77"), 8 * 21);
    }
}
