//! Keys that some servers take for one another.

use unicode_normalization::UnicodeNormalization;

/// Could a lenient parser take one for the other? Those of Go take keys in any case.
pub(super) fn is_like(key: &str, step: &str) -> bool {
    key.len().abs_diff(step.len()) <= 3 * step.len() && folded(key).eq(folded(step))
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfkc().flat_map(char::to_lowercase)
}
