//! Chance that nobody can guess, from the operating system.
//!
//! Straight from there: aws-lc has a generator of its own, whose first seed takes some 15 ms of the start.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// A fresh secret of 256 bits, in 43 characters that need no escaping anywhere.
pub fn secret() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// A fresh id of 128 bits, in 22 characters that need no escaping anywhere. Ids are not secrets.
pub fn id() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<16>())
}

/// A fresh seed, for chance that need not be secret.
pub fn seed() -> u64 {
    u64::from_ne_bytes(bytes())
}

/// Fresh bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills the place of a secret with fresh bytes.
///
/// # Panics
/// If the operating system has none: a process without them must not give out secrets.
pub fn fill(place: &mut [u8]) {
    getrandom::fill(place).expect("the operating system gives random bytes");
}
