//! JSON Web Tokens (RFC 7519), judged without giving the token a say in how.
//!
//! ```text
//! Token::parse      form, header and claims; nothing is believed yet
//! KeySet            the issuer's public keys (RFC 7517), each with the algorithms that it may be used with
//! Rules             issuer, audience, type, times, claims that must be there
//! Token::verify     header → kid → one key → algorithm of that key → signature → rules → Claims
//! ```
//!
//! [`Claims`] exist only of tokens that passed all of it. [`RemoteKeys`] keeps the keys of an issuer somewhere else;
//! [`SigningKey`] makes tokens.

mod algorithm;
mod claims;
mod discovery;
mod error;
mod keys;
mod remote;
mod rules;
mod signing;
#[cfg(test)]
pub(crate) mod tests;
mod token;

use serde_json::{Map, Value};

pub use self::{
    algorithm::Algorithm,
    claims::Claims,
    error::JwtError,
    keys::{KeySet, KeySetError, LeftOut},
    remote::{KEYS_UNAVAILABLE, RemoteKeys, Unavailable},
    rules::Rules,
    signing::{SigningError, SigningKey},
    token::Token,
};
use crate::kit::{
    clock::Timestamp,
    json::{Flaw, Limits, Reader},
};

/// Verifies a JWT in its compact form (RFC 7515 §7.1).
pub fn verify(token: &str, keys: &KeySet, rules: &Rules, now: Timestamp) -> Result<Claims, JwtError> {
    Token::parse(token)?.verify(keys, rules, now)
}

/// One JSON object, in which nothing can be read in two ways.
fn object(text: &str, limits: &Limits) -> Result<Map<String, Value>, Flaw> {
    let mut reader = Reader::new(text, limits);
    reader.object(|reader, _| reader.value().map(drop))?;
    reader.end()?;
    Ok(serde_json::from_str(text).unwrap_or_default())
}
