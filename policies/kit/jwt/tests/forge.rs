//! Keys of each type, and tokens put together by hand: this side shares nothing with the code that it tests.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

pub(super) const ISSUER: &str = "https://as.example";
pub(super) const AUDIENCE: &str = "https://gw.example/mcp";
pub(super) const NOW: i64 = 1_800_000_000;

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs a message.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key pair with all that a forger knows about it, and the means to sign.
pub(super) struct Signer {
    pub(super) alg: &'static str,
    pub(super) jwk: Value,
    pub(super) der: Vec<u8>,
    pub(super) raw: Vec<u8>,
    pub(super) sign: Sign,
    /// The same signature in DER.
    pub(super) sign_der: Sign,
}

impl Signer {
    pub(super) fn kid(&self) -> &str {
        self.jwk["kid"].as_str().unwrap()
    }

    /// Header and claims, in base64url and with a good signature.
    pub(super) fn token(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let signature = base64url((self.sign)(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub(super) fn header(&self) -> Map<String, Value> {
        object(json!({ "alg": self.alg, "typ": "at+jwt", "kid": self.kid() }))
    }

    pub(super) fn honest(&self) -> String {
        self.token(Value::Object(self.header()).to_string(), Value::Object(claims()).to_string())
    }
}

/// What an honest token says. The name is written with both letters in which base64url differs from base64.
pub(super) fn claims() -> Map<String, Value> {
    object(json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "client_id": "app", "jti": "1", "name": "???>>>???",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 900, "scope": "mcp:tools" }))
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value} is not an object") };
    map
}

/// One of each type.
pub(super) fn signers() -> Vec<Signer> {
    vec![
        rsa("RS256", &RSA_PKCS1_SHA256),
        rsa("PS256", &RSA_PSS_SHA256),
        ec("ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_ASN1_SIGNING),
        ec("ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING),
        ed(),
    ]
}

fn jwk(alg: &str, own: Value) -> Value {
    let mut jwk = object(json!({ "kid": format!("key-{}", alg.to_lowercase()), "alg": alg, "use": "sig" }));
    jwk.extend(object(own));
    jwk.into()
}

fn x509(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
    key.as_der().unwrap().as_ref().to_vec()
}

/// Bytes wrapped in an OCTET STRING of up to 64 KiB.
fn octet_string(bytes: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[4, 0x82, high, low], bytes].concat()
}

fn rsa(alg: &'static str, encoding: &'static dyn RsaEncoding) -> Signer {
    let pair = std::sync::Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let public = pair.public_key();
    let own = json!({ "kty": "RSA", "n": base64url(public.modulus().big_endian_without_leading_zero()),
        "e": base64url(public.exponent().big_endian_without_leading_zero()) });
    let (der, raw) = (x509(public), public.as_ref().to_vec());
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    let again = sign.clone();
    let sign_der = Box::new(move |message: &[u8]| octet_string(&again(message)));
    Signer { alg, jwk: jwk(alg, own), der, raw, sign: Box::new(sign), sign_der }
}

fn ec(
    alg: &'static str,
    curve: &str,
    fixed: &'static EcdsaSigningAlgorithm,
    asn1: &'static EcdsaSigningAlgorithm,
) -> Signer {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(fixed, &SystemRandom::new()).unwrap();
    let load = |format| EcdsaKeyPair::from_pkcs8(format, pkcs8.as_ref()).unwrap();
    let (pair, pair_der) = (load(fixed), load(asn1));
    let raw = pair.public_key().as_ref().to_vec();
    let (x, y) = raw[1..].split_at(raw.len() / 2);
    let own = json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) });
    let der = x509(pair.public_key());
    let signing = |pair: EcdsaKeyPair| {
        Box::new(move |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    };
    Signer { alg, jwk: jwk(alg, own), der, raw, sign: signing(pair), sign_der: signing(pair_der) }
}

fn ed() -> Signer {
    let pair = std::sync::Arc::new(Ed25519KeyPair::generate().unwrap());
    let raw = pair.public_key().as_ref().to_vec();
    let own = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&raw) });
    let der = x509(pair.public_key());
    let sign = move |message: &[u8]| pair.sign(message).as_ref().to_vec();
    let again = sign.clone();
    let sign_der = Box::new(move |message: &[u8]| octet_string(&again(message)));
    Signer { alg: "EdDSA", jwk: jwk("EdDSA", own), der, raw, sign: Box::new(sign), sign_der }
}
