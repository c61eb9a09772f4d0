//! What is kept of a secret, or of what nobody should guess: enough to know it again.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// The SHA-256 of a secret. Codes, tokens and cookies are random enough that nobody finds them from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(sum)
    }

    /// Under a key, made by [`Sealer::prf`](super::Sealer::prf): of what could be guessed.
    pub const fn keyed(sum: [u8; 32]) -> Self {
        Self(sum)
    }

    /// The sum itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) const fn from_bytes(sum: [u8; 32]) -> Self {
        Self(sum)
    }
}

/// In hexadecimal.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
