//! JWTs as nobody should make them.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::jwt::SigningKey;
use serde_json::Value;

/// Signs as it should be.
pub(crate) fn sign(key: &SigningKey, claims: &Value) -> String {
    key.sign("JWT", claims).unwrap()
}

/// A JWT with any header and any signature.
pub(crate) fn forge(header: &Value, claims: &Value, signature: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(signature(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// HMAC with SHA-256, as `HS256` has it.
pub(crate) fn hs256(secret: &[u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    move |bytes| hmac::sign(&key, bytes).as_ref().to_vec()
}
