//! What clients keep for the gateway: sealed, so that they can neither read nor change it, and any node can go on with it.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use portcullis_policies::kit::random;

/// Seals values for clients. All clones have the same keys.
///
/// It begins with a key of this process alone. Gateways that share a store are given one key, so that each opens what
/// another one sealed.
#[derive(Clone)]
pub struct Seal(Arc<RwLock<Keys>>);

/// The key that seals, and those of before.
struct Keys {
    current: Arc<LessSafeKey>,
    previous: Vec<Arc<LessSafeKey>>,
}

impl Seal {
    /// Seals with a key that is drawn now.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    pub fn new() -> Self {
        Self(Arc::new(RwLock::new(Keys { current: key(&random::bytes()), previous: Vec::new() })))
    }

    /// Seals with this key from now on. What was sealed before still opens.
    pub fn use_key(&self, secret: &[u8; 32]) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut keys.current, key(secret));
        keys.previous.push(before);
    }

    /// Seals `plain`, to be opened only for the same purpose at the same place. As a header's value may be.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    pub(super) fn seal(&self, purpose: &str, place: &[&str], plain: &[u8]) -> String {
        let nonce = random::bytes::<NONCE_LEN>();
        let key = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).current);
        let mut sealed = plain.to_vec();
        let done =
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to(purpose, place), &mut sealed);
        done.expect("AES-GCM seals anything that fits into memory");
        BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// Opens what [`seal`](Self::seal) made; none for anything else.
    pub(super) fn open(&self, purpose: &str, place: &[&str], sealed: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut candidates = std::iter::once(&keys.current).chain(&keys.previous);
        candidates.find_map(|key| open_with(key, nonce, bound_to(purpose, place), sealed).ok())
    }
}

impl Default for Seal {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// # Panics
/// Never: AES-256 takes any 32 bytes.
fn key(secret: &[u8; 32]) -> Arc<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, secret).expect("AES-256 takes any 32 bytes");
    Arc::new(LessSafeKey::new(key))
}

fn open_with(key: &LessSafeKey, nonce: &[u8], place: Aad<Vec<u8>>, sealed: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let nonce = Nonce::try_assume_unique_for_key(nonce)?;
    let mut text = sealed.to_vec();
    let length = key.open_in_place(nonce, place, &mut text)?.len();
    text.truncate(length);
    Ok(text)
}

/// Purpose and place, each part with its length, so that none can flow into its neighbour.
fn bound_to(purpose: &str, place: &[&str]) -> Aad<Vec<u8>> {
    let parts = std::iter::once(purpose).chain(place.iter().copied());
    Aad::from(parts.fold(Vec::new(), |mut bytes, part| {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
        bytes
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_only_for_its_purpose_at_its_place_and_unchanged() {
        let seal = Seal::new();
        let sealed = seal.seal("session", &["/mcp", "ada"], b"plain");
        assert_eq!(seal.open("session", &["/mcp", "ada"], &sealed).as_deref(), Some(&b"plain"[..]));
        assert_eq!(seal.open("state", &["/mcp", "ada"], &sealed), None);
        assert_eq!(seal.open("session", &["/mcp", "bob"], &sealed), None);
        assert_eq!(seal.open("session", &["/mcpa", "da"], &sealed), None);
        assert_eq!(seal.open("session", &["/mcp", "ada"], &sealed[..sealed.len() - 2]), None);
        assert_eq!(seal.open("session", &["/mcp", "ada"], ""), None);
        assert_eq!(Seal::new().open("session", &["/mcp", "ada"], &sealed), None);
    }

    #[test]
    fn nodes_with_one_key_open_what_the_others_sealed_and_nothing_is_lost_when_it_comes() {
        let (one, other) = (Seal::new(), Seal::new());
        let before = one.seal("session", &[], b"early");
        one.use_key(&[7; 32]);
        other.use_key(&[7; 32]);
        assert_eq!(other.open("session", &[], &one.seal("session", &[], b"late")).as_deref(), Some(&b"late"[..]));
        assert_eq!(one.open("session", &[], &before).as_deref(), Some(&b"early"[..]));
    }
}
