use std::fmt;

use serde_json::{Map, Value};

use super::JwtError;
use crate::kit::clock::Timestamp;

/// 9999-12-31T23:59:59Z: a time beyond it is a mistake, or milliseconds.
const LAST_SECOND: f64 = 253_402_300_799.0;
/// RFC 7519 §4.1 and RFC 9068 §2.2, which are text if they are there.
const TEXTS: &[&str] = &["iss", "sub", "jti", "client_id", "azp", "nonce"];
/// Those that are a `NumericDate` (RFC 7519 §2) if they are there.
const TIMES: &[&str] = &["exp", "nbf", "iat", "auth_time"];

/// What a verified token says. The registered claims have the types that they must have.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// A registered claim of a wrong type is an error, and never the same as one that is not there.
    pub(super) fn new(claims: Map<String, Value>) -> Result<Self, JwtError> {
        let present = |name: &str| claims.get(name);
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let is_audience = |value: &Value| match value {
            Value::Array(list) => !list.is_empty() && list.iter().all(is_text),
            one => is_text(one),
        };
        let wrong_text = TEXTS.iter().find(|name| present(name).is_some_and(|value| !is_text(value)));
        let wrong_time = TIMES.iter().find(|name| present(name).is_some_and(|value| moment(value).is_none()));
        match wrong_text.or(wrong_time) {
            Some(name) => Err(JwtError::Claim(name)),
            None if present("aud").is_some_and(|value| !is_audience(value)) => Err(JwtError::Claim("aud")),
            None => Ok(Self(claims)),
        }
    }

    /// `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `exp`.
    pub fn expires(&self) -> Option<Timestamp> {
        self.time("exp")
    }

    /// `aud`, one or many.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        texts(self.0.get("aud"))
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.at(name)?.as_str()
    }

    /// A claim that is a `NumericDate` (RFC 7519 §2).
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        moment(self.0.get(name)?)
    }

    /// A claim that is one text or a list of texts, such as groups. Other members of the list are passed over.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        texts(self.at(name))
    }

    /// A claim of scopes: one text with blanks between them (RFC 9068 §2.2.3) or a list, as some issuers write it.
    pub fn scopes(&self, name: &str) -> impl Iterator<Item = &str> {
        self.list(name).flat_map(|scopes| scopes.split(' ')).filter(|scope| !scope.is_empty())
    }

    /// The claim of this name, or, where there is none, the one at this path: `realm_access.roles`.
    pub fn at(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| {
            let (first, rest) = name.split_once('.')?;
            rest.split('.').try_fold(self.0.get(first)?, |value, step| value.get(step))
        })
    }

    /// All of them.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All of them.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

/// Claims are about people: they do not go into logs by accident.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let many = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    value.and_then(Value::as_str).into_iter().chain(many)
}

/// RFC 7519 §2 allows fractions of a second.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
fn moment(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds))?;
    Some(Timestamp::from_millis((seconds * 1000.0) as i64))
}
