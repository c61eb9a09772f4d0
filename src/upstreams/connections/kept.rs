//! What a connection's secrets are made of, and the credential that they make.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{AuthMode, KeyField, UpstreamCredential},
};
use secrecy::{ExposeSecret, SecretSlice, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};

use super::slot::Held;
use crate::{
    store::{ConnectionRecord, StoreError},
    upstreams::oauth::{Discovered, Registration, TokenSet, secret},
};

/// A connection's secrets, as they are sealed in its record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Kept {
    /// What an authorization server gave.
    Tokens(Box<Tokens>),
    /// What a person typed in, by field.
    Values(BTreeMap<String, Value>),
}

/// Tokens, with all that is needed to refresh and to revoke them where they are from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tokens {
    /// The tokens.
    pub(super) set: TokenSet,
    /// The scopes that the person was asked for.
    pub(super) asked: Vec<Box<str>>,
    /// Where they are from.
    pub(super) server: Discovered,
    /// Who the gateway was there.
    pub(super) registration: Registration,
}

/// One value that a person typed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Value(#[serde(with = "secret")] pub(super) SecretString);

impl Kept {
    /// As the record takes them.
    pub(super) fn seal(&self) -> Result<SecretSlice<u8>, StoreError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 << 10));
        serde_json::to_writer(&mut *bytes, self).map_err(StoreError::corrupt)?;
        Ok(SecretSlice::from(bytes.to_vec()))
    }

    /// From the record; none where there are none, or none that this version of the gateway knows.
    pub(super) fn open(record: &ConnectionRecord) -> Option<Self> {
        serde_json::from_slice(record.secrets.as_ref()?.expose_secret()).ok()
    }
}

/// The one header of a bearer token (RFC 6750 §2.1).
pub(super) fn bearer(set: &TokenSet) -> Vec<(HeaderName, HeaderValue)> {
    let text = Zeroizing::new(format!("Bearer {}", set.access_token.expose_secret()));
    HeaderValue::try_from(text.as_str()).into_iter().map(|value| (AUTHORIZATION, value)).collect()
}

/// The header that a typed value becomes. None, if it cannot stand in one.
pub(super) fn header(field: &KeyField, value: &SecretString) -> Option<(HeaderName, HeaderValue)> {
    let text = Zeroizing::new(format!("{}{}", field.prefix, value.expose_secret()));
    Some((field.header.clone(), HeaderValue::try_from(text.as_str()).ok()?))
}

/// How long before its end a token is replaced, at most: a tenth of its life if that is less.
const AHEAD: Duration = Duration::from_mins(1);

/// When to fetch the next token: some time before this one ends, and not at the same moment as everybody who got theirs
/// at the same moment.
pub(super) fn renewal(now: Timestamp, end: Timestamp, chance: u64) -> Timestamp {
    let ahead = AHEAD.min(end.since(now) / 10);
    let percent = u32::try_from(chance % 50).unwrap_or_default();
    end.minus(ahead + ahead * percent / 100)
}

/// A record as a credential at hand. None where the configuration now wants something else than was kept.
pub(super) fn held(
    record: &ConnectionRecord,
    kept: &Kept,
    mode: &AuthMode,
    configuration: u64,
    now: Timestamp,
) -> Option<Held> {
    match (kept, mode) {
        (Kept::Tokens(tokens), mode) => held_tokens(record, tokens, mode, configuration, now),
        (Kept::Values(values), AuthMode::UserKey(fields)) => {
            let headers = fields.iter().map(|field| header(field, &values.get(&field.name)?.0));
            let credential =
                UpstreamCredential::new(record.id.as_str(), record.version, headers.collect::<Option<_>>()?);
            Some(Held::new(credential, configuration, record.expires_at, None))
        }
        (Kept::Values(_), _) => None,
    }
}

/// The same of tokens.
pub(super) fn held_tokens(
    record: &ConnectionRecord,
    tokens: &Tokens,
    mode: &AuthMode,
    configuration: u64,
    now: Timestamp,
) -> Option<Held> {
    if !matches!(mode, AuthMode::UserOAuth(_) | AuthMode::SharedOAuth(_)) {
        return None;
    }
    let credential = UpstreamCredential::new(record.id.as_str(), record.version, bearer(&tokens.set));
    let can_be_renewed = tokens.set.refresh_token.is_some();
    let renew_at = record.expires_at.filter(|_| can_be_renewed).map(|end| renewal(now, end, chance(&record.id)));
    Some(Held::new(credential, configuration, record.expires_at, renew_at))
}

/// Ids are drawn by chance, so their letters spread as well as anything.
pub(super) fn chance(id: &str) -> u64 {
    id.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}
