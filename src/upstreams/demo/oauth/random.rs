//! Chance that nobody can guess, and comparing what was made of it.

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::denied::Denied;

/// 192 bits, in 32 characters that need no escaping anywhere.
pub(super) fn secret() -> Result<String, Denied> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).map_err(|_| Denied::busy("the operating system gave no random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Compares in the same time wherever the difference is.
pub(super) fn is_same(shown: &str, expected: &str) -> bool {
    verify_slices_are_equal(shown.as_bytes(), expected.as_bytes()).is_ok()
}
