//! Chance that nobody can guess, from the operating system.

use aws_lc_rs::rand;
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

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // A process without the operating system's generator must not give out secrets.
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
