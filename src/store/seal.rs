//! Encryption at rest.
//!
//! A sealed value is a version byte, the id of the master key, a random nonce, and the AES-256-GCM ciphertext. The key is
//! derived for one purpose, and the place where the value stands is authenticated with it: moved to another row, column or
//! tenant, it does not open.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Prk, Salt},
    hmac,
};
use portcullis_policies::kit::random;
use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroizing};

use super::master_key::MasterKey;

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// Names a master key.
pub(super) type KeyId = [u8; KEY_ID_LEN];

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// It is too short, or of a version that is not known here.
    #[error("it is not a sealed value that this version of the gateway knows")]
    Malformed,
    /// None of the keys at hand has its id.
    #[error("it was sealed with a master key that is not at hand; give that key too, after the present one")]
    UnknownKey,
    /// It was changed, or belongs somewhere else.
    #[error("it was changed, or moved here from another row")]
    Forged,
}

/// Seals and opens values, and derives others, with keys that nobody can print.
pub struct Sealer {
    current: Root,
    previous: Vec<Root>,
}

/// What all keys of one master key are derived from.
struct Root {
    id: KeyId,
    secret: Prk,
}

impl Sealer {
    pub(super) fn new(master: &MasterKey) -> Self {
        let root = |key: &SecretBox<[u8; 32]>| Root::new(key.expose_secret());
        Self { current: root(&master.current), previous: master.previous.iter().map(root).collect() }
    }

    /// Seals `plain` for one purpose, to be opened only in the same context.
    ///
    /// # Panics
    /// If the operating system has no random bytes, or if `plain` is longer than AES-GCM allows (64 GB).
    pub fn seal(&self, purpose: &str, context: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = random::bytes::<NONCE_LEN>();
        let (mut head, mut text) = (Vec::with_capacity(HEADER_LEN + plain.len() + 16), plain.to_vec());
        head.push(VERSION);
        head.extend(self.current.id);
        head.extend(nonce);
        let sealed = self.current.aead(purpose).and_then(|key| {
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place(purpose, context), &mut text)
        });
        sealed.expect("AES-GCM seals anything that fits into memory");
        head.append(&mut text);
        head
    }

    /// Opens what [`seal`](Self::seal) made for the same purpose in the same context.
    pub fn open(&self, purpose: &str, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let (head, text) = sealed.split_at_checked(HEADER_LEN).ok_or(Unsealable::Malformed)?;
        let (id, nonce) = head[1..].split_at(KEY_ID_LEN);
        if head[0] != VERSION {
            return Err(Unsealable::Malformed);
        }
        let root = self.root(id).ok_or(Unsealable::UnknownKey)?;
        let forged = |_: Unspecified| Unsealable::Forged;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(forged)?;
        let mut text = Zeroizing::new(text.to_vec());
        let key = root.aead(purpose).map_err(forged)?;
        let length = key.open_in_place(nonce, place(purpose, context), &mut text).map_err(forged)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// The ids of the keys at hand, the current one first.
    pub(super) fn key_ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        std::iter::once(&self.current).chain(&self.previous).map(|root| root.id)
    }

    /// Was this sealed with the key that seals now?
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=KEY_ID_LEN) == Some(&self.current.id)
    }

    /// HMAC-SHA256 of `input` under a key derived for `label`: the same on every node with the same master key, and to
    /// everybody else like chance.
    pub fn prf(&self, label: &str, input: &[u8]) -> [u8; 32] {
        self.current.prf(label, input)
    }

    /// The same under each key at hand, the current one first.
    pub fn prfs(&self, label: &str, input: &[u8]) -> impl Iterator<Item = [u8; 32]> {
        std::iter::once(&self.current).chain(&self.previous).map(move |root| root.prf(label, input))
    }

    fn root(&self, id: &[u8]) -> Option<&Root> {
        std::iter::once(&self.current).chain(&self.previous).find(|root| root.id == id)
    }
}

impl Root {
    fn new(master: &[u8; 32]) -> Self {
        let secret = Salt::new(HKDF_SHA256, b"portcullis store 1").extract(master);
        let mut root = Self { id: [0; KEY_ID_LEN], secret };
        let name = hmac::sign(&root.mac("key id"), b"");
        root.id.copy_from_slice(&name.as_ref()[..KEY_ID_LEN]);
        root
    }

    fn aead(&self, purpose: &str) -> Result<LessSafeKey, Unspecified> {
        let info = [b"seal ".as_slice(), purpose.as_bytes()];
        self.secret.expand(&info, &AES_256_GCM).map(|okm| LessSafeKey::new(UnboundKey::from(okm)))
    }

    fn prf(&self, label: &str, input: &[u8]) -> [u8; 32] {
        let mut output = [0; 32];
        output.copy_from_slice(hmac::sign(&self.mac(label), input).as_ref());
        output
    }

    fn mac(&self, label: &str) -> hmac::Key {
        let info = [b"prf ".as_slice(), label.as_bytes()];
        let okm = self.secret.expand(&info, hmac::HMAC_SHA256);
        hmac::Key::from(okm.expect("HKDF gives 32 bytes for any label"))
    }
}

/// A row, named by some of its columns. With its length before each but the last, no two rows look the same.
pub(super) fn row(names: &[&str]) -> String {
    let Some((last, first)) = names.split_last() else { return String::new() };
    first.iter().fold(String::new(), |row, name| format!("{row}{}:{name}:", name.len())) + last
}

/// The purpose and the context; with the length between them, no two pairs look the same.
pub(super) fn place(purpose: &str, context: &str) -> Aad<Vec<u8>> {
    let mut bytes = (purpose.len() as u64).to_be_bytes().to_vec();
    bytes.extend(purpose.as_bytes());
    bytes.extend(context.as_bytes());
    Aad::from(bytes)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}
