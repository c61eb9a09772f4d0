use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use jsonwebtoken::{
    EncodingKey, Header, encode,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use secrecy::SecretSlice;
use serde::Serialize;
use serde_json::Value;

use super::Algorithm;

/// A key pair for signing tokens: ES256, which every client can verify, or `EdDSA`.
pub struct SigningKey {
    algorithm: Algorithm,
    pkcs8: SecretSlice<u8>,
    key: EncodingKey,
    kid: String,
    jwk: Value,
}

/// Why there is no key or no token. Says nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningError {
    /// Signing is done with ES256 and `EdDSA` only.
    Unsupported(Algorithm),
    /// These bytes are not a private key for the algorithm, in PKCS#8.
    NotAKey(Algorithm),
    /// The machine gave no randomness.
    NoRandomness,
    /// The claims cannot be written as a JSON object.
    Claims,
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(algorithm) => {
                write!(f, "tokens are not signed with {}; use ES256 or EdDSA", algorithm.name())
            }
            Self::NotAKey(algorithm) => write!(f, "this is not a private key for {} in PKCS#8", algorithm.name()),
            Self::NoRandomness => f.write_str("the machine gave no randomness for a new key"),
            Self::Claims => f.write_str("the claims cannot be written as JSON"),
        }
    }
}

impl std::error::Error for SigningError {}

impl SigningKey {
    /// Makes a new key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            // Version 1: `Jwk` takes no other.
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8v1(&random),
            other => return Err(SigningError::Unsupported(other)),
        };
        Self::from_pkcs8(algorithm, pkcs8.map_err(|_| SigningError::NoRandomness)?.as_ref())
    }

    /// Takes a key that [`Self::to_pkcs8`] gave out.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        let key = match algorithm {
            Algorithm::Es256 => EncodingKey::from_ec_der(pkcs8),
            Algorithm::EdDsa => EncodingKey::from_ed_der(pkcs8),
            other => return Err(SigningError::Unsupported(other)),
        };
        let (kid, jwk) = public(&key, algorithm).ok_or(SigningError::NotAKey(algorithm))?;
        Ok(Self { algorithm, pkcs8: pkcs8.to_vec().into(), key, kid, jwk })
    }

    /// The private key, to be sealed and stored.
    pub fn to_pkcs8(&self) -> &SecretSlice<u8> {
        &self.pkcs8
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its thumbprint (RFC 7638), which names it in tokens and key sets.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half (RFC 7517), for a key set.
    pub fn public_jwk(&self) -> &Value {
        &self.jwk
    }

    /// Makes a token of the type `typ` (such as `at+jwt`) in compact form.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let mut header = Header::new(self.algorithm.into());
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.key).map_err(|_| SigningError::Claims)
    }
}

fn public(key: &EncodingKey, algorithm: Algorithm) -> Option<(String, Value)> {
    let mut jwk = Jwk::from_encoding_key(key, algorithm.into()).ok()?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Some((kid, serde_json::to_value(jwk).ok()?))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}
