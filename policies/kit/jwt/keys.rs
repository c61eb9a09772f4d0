use std::{fmt, str};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, crypto};
use serde_json::{Map, Value};

use super::{Algorithm, JwtError, object};
use crate::kit::json::Limits;

/// Bytes of a document at most.
pub(super) const LARGEST: usize = 256 << 10;
/// Keys of a document at most, usable or not.
const MOST_KEYS: usize = 64;
/// Bits of an RSA key: fewer can be broken, more take too long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The public keys of an issuer (RFC 7517 §5), of which each knows the algorithms that it may be used with.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    left_out: Vec<LeftOut>,
}

/// A key of the document that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// Why not.
    pub why: &'static str,
}

/// Why a document gives no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// It is longer than 256 KiB.
    TooLarge,
    /// It is not JSON, or JSON that can be read in two ways: what is wrong.
    Json(String),
    /// It is not an object with the list `keys`.
    NotAKeySet,
    /// It has more than 64 keys.
    TooMany,
    /// Two keys have this `kid`.
    DuplicateKid(String),
    /// None of its keys can be used.
    NoneUsable(Vec<LeftOut>),
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the key set is larger than {} KiB", LARGEST >> 10),
            Self::Json(flaw) => write!(f, "the key set is not good JSON: {flaw}"),
            Self::NotAKeySet => f.write_str("the key set is not an object with a list `keys` (RFC 7517)"),
            Self::TooMany => write!(f, "the key set has more than {MOST_KEYS} keys"),
            Self::DuplicateKid(kid) => write!(f, "two keys of the set have the kid {kid:?}"),
            Self::NoneUsable(left_out) => {
                let why = left_out.first().map_or("it is empty", |left_out| left_out.why);
                write!(f, "the key set has no key that can verify signatures: {why}")
            }
        }
    }
}

impl std::error::Error for KeySetError {}

impl KeySet {
    /// Reads a document. Keys that are not for verifying signatures are left out, private and shared ones too.
    pub fn read(document: &[u8]) -> Result<Self, KeySetError> {
        if document.len() > LARGEST {
            return Err(KeySetError::TooLarge);
        }
        let text = str::from_utf8(document).map_err(|error| KeySetError::Json(error.to_string()))?;
        let set = object(text, &Limits::MESSAGE).map_err(|flaw| KeySetError::Json(flaw.to_string()))?;
        let jwks = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::NotAKeySet)?;
        if jwks.len() > MOST_KEYS {
            return Err(KeySetError::TooMany);
        }
        Self::of(jwks)
    }

    /// Takes the usable ones of these keys.
    pub fn of<'a>(jwks: impl IntoIterator<Item = &'a Value>) -> Result<Self, KeySetError> {
        let (mut keys, mut left_out) = (Vec::<Key>::new(), Vec::new());
        for jwk in jwks {
            match Key::read(jwk) {
                Ok(key) => match key.kid.as_deref() {
                    Some(kid) if keys.iter().any(|other| other.kid.as_deref() == Some(kid)) => {
                        return Err(KeySetError::DuplicateKid(kid.to_owned()));
                    }
                    _ => keys.push(key),
                },
                Err(why) => left_out.push(LeftOut { kid: jwk["kid"].as_str().map(str::to_owned), why }),
            }
        }
        if keys.is_empty() { Err(KeySetError::NoneUsable(left_out)) } else { Ok(Self { keys, left_out }) }
    }

    /// Is there a key of this `kid`?
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Keys of the document that are not used.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The one key that a token means. Without a `kid` there must be no choice.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, JwtError> {
        let mut fitting = self.keys.iter().filter(|key| match kid {
            Some(kid) => key.kid.as_deref() == Some(kid),
            None => key.may_use(algorithm),
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(JwtError::UnknownKey),
        }
    }
}

/// One key, and the algorithms that it may be used with.
pub(super) struct Key {
    kid: Option<Box<str>>,
    algorithms: Vec<Algorithm>,
    material: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

impl Key {
    fn read(jwk: &Value) -> Result<Self, &'static str> {
        let jwk = jwk.as_object().ok_or("it is not an object")?;
        check_purpose(jwk)?;
        let (material, all) = material(jwk)?;
        let algorithms = match jwk.get("alg") {
            None => all.to_vec(),
            Some(alg) => {
                let alg = alg.as_str().and_then(Algorithm::named).filter(|alg| all.contains(alg));
                vec![alg.ok_or("its alg is not one of its type's")?]
            }
        };
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().filter(|kid| !kid.is_empty()).ok_or("its kid is not text")?.into()),
        };
        Ok(Self { kid, algorithms, material })
    }

    pub(super) fn may_use(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    pub(super) fn verifies(&self, signed: &str, signature: &str, algorithm: Algorithm) -> bool {
        crypto::verify(signature, signed.as_bytes(), &self.material, algorithm.into()).unwrap_or(false)
    }
}

fn check_purpose(jwk: &Map<String, Value>) -> Result<(), &'static str> {
    if ["d", "k", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|secret| jwk.contains_key(*secret)) {
        return Err("it holds a private or shared key, which must never be published");
    }
    if jwk.get("use").is_some_and(|purpose| purpose != "sig") {
        return Err("its use is not `sig`");
    }
    let verifies = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(|item| item == "verify"));
    if jwk.get("key_ops").is_some_and(|list| !verifies(list)) {
        return Err("its key_ops are without `verify`");
    }
    Ok(())
}

type Material = (DecodingKey, &'static [Algorithm]);

/// The key itself, checked to be one: what is no point of its curve is no key.
fn material(jwk: &Map<String, Value>) -> Result<Material, &'static str> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    match (text("kty"), text("crv")) {
        ("RSA", _) => rsa(&bytes(text("n"))?, &bytes(text("e"))?),
        ("EC", "P-256") => ec(&bytes(text("x"))?, &bytes(text("y"))?, &[Algorithm::Es256]),
        ("EC", "P-384") => ec(&bytes(text("x"))?, &bytes(text("y"))?, &[Algorithm::Es384]),
        ("OKP", "Ed25519") => ed(&bytes(text("x"))?),
        _ => Err("its type is not RSA, EC on P-256 or P-384, or Ed25519"),
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "its numbers are not in base64url")
}

fn rsa(n: &[u8], e: &[u8]) -> Result<Material, &'static str> {
    let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err("an RSA key must have 2048 to 8192 bits");
    }
    // 1 would make every message its own signature; an even number is no exponent.
    let is_exponent = (1..=4).contains(&e.len()) && e.last().is_some_and(|last| last % 2 == 1) && e != [1];
    if !is_exponent {
        return Err("its exponent is not one of RSA");
    }
    Ok((DecodingKey::from_rsa_raw_components(n, e), Algorithm::RSA))
}

fn ec(x: &[u8], y: &[u8], algorithms: &'static [Algorithm]) -> Result<Material, &'static str> {
    let point = [&[4], x, y].concat();
    let curve = if algorithms == [Algorithm::Es256] { &ECDSA_P256_SHA256_FIXED } else { &ECDSA_P384_SHA384_FIXED };
    ParsedPublicKey::new(curve, &point).map_err(|_| "it is not a point of its curve")?;
    Ok((DecodingKey::from_ec_der(&point), algorithms))
}

fn ed(x: &[u8]) -> Result<Material, &'static str> {
    ParsedPublicKey::new(&ED25519, x).map_err(|_| "it is not an Ed25519 key")?;
    Ok((DecodingKey::from_ed_der(x), &[Algorithm::EdDsa]))
}
