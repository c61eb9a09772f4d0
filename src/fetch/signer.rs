//! Signatures by which whoever gets a message knows that it is the gateway's (Standard Webhooks, `v1`).

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_policies::kit::clock::Timestamp;

/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs messages. Printing it does not show the key.
#[derive(Clone)]
pub struct Signer(hmac::Key);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// From a secret as it is written: 24 to 64 bytes in Base64, after `whsec_` or without.
    pub fn parse(secret: &str) -> Option<Self> {
        let bytes = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret)).ok()?;
        BYTES.contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.0, &signed)))
    }
}

/// The headers of a message that is sent now: its id, which is the same each time it is tried, when that is, and the signature
/// of whoever has a key.
pub fn message_headers(signer: Option<&Signer>, id: &str, now: Timestamp, body: &[u8]) -> HeaderMap {
    let seconds = now.as_seconds();
    let signature = signer.map(|signer| ("webhook-signature", signer.sign(id, seconds, body)));
    let named = [("webhook-id", id.to_owned()), ("webhook-timestamp", seconds.to_string())];
    let headers = named.into_iter().chain(signature);
    let header = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
    };
    headers.filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The example that the libraries of Standard Webhooks are tested with.
    #[test]
    fn a_message_is_signed_as_others_verify_it() {
        let signer = Signer::parse(SECRET).unwrap();
        let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signer.sign(id, at, body), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let headers = message_headers(Some(&signer), id, Timestamp::from_millis(at * 1000), body);
        assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(
            (&headers["webhook-id"], &headers["webhook-timestamp"]),
            (&id.parse().unwrap(), &"1614265330".parse().unwrap())
        );
        assert!(!message_headers(None, id, Timestamp::default(), body).contains_key("webhook-signature"));
    }

    #[test]
    fn a_secret_is_long_enough_and_not_printed() {
        assert!(Signer::parse("whsec_dG9vIHNob3J0").is_none() && Signer::parse("not base64").is_none());
        assert!(Signer::parse(SECRET.trim_start_matches(PREFIX)).is_some());
        assert_eq!(format!("{:?}", Signer::parse(SECRET).unwrap()), "Signer");
    }
}
