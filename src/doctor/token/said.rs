//! What a token says, read without believing any of it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::clock::Timestamp;
use serde_json::{Map, Value};

/// Bytes of a token that are read at most.
const LONGEST: usize = 64 << 10;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: f64 = 253_402_300_799.0;
/// Characters of a claim that matters here, and of any other.
const LONG: usize = 160;
const SHORT: usize = 24;

/// What a token says.
pub(super) struct Said {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
}

impl Said {
    /// None of what does not have the three parts of a JWT.
    pub(super) fn read(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if token.len() > LONGEST || parts.next().is_some() {
            return None;
        }
        Some(Self { header: object(header)?, claims: object(claims)? })
    }

    /// A claim that is a moment. Milliseconds are none: they name a year that does not exist.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
    pub(super) fn moment(&self, name: &str) -> Option<Timestamp> {
        let seconds = self.claims.get(name)?.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds))?;
        Some(Timestamp::from_seconds(seconds as i64))
    }

    /// The scopes in these claims, of which each is one text with blanks or a list. Names with dots are tried as paths.
    pub(super) fn scopes(&self, names: &[String]) -> Vec<&str> {
        let values = names.iter().filter_map(|name| self.at(name));
        let texts = values.flat_map(|value| match value {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect::<Vec<_>>(),
        });
        texts.flat_map(|text| text.split(' ')).filter(|scope| !scope.is_empty()).collect()
    }

    fn at(&self, name: &str) -> Option<&Value> {
        self.claims.get(name).or_else(|| {
            let (first, rest) = name.split_once('.')?;
            rest.split('.').try_fold(self.claims.get(first)?, |value, step| value.get(step))
        })
    }

    /// Those of these claims that there are.
    pub(super) fn shown(&self, names: &[&str]) -> String {
        let given = names.iter().filter_map(|name| Some((*name, self.claims.get(*name)?)));
        given.map(|(name, value)| format!("{name} {}", cut(value, LONG))).collect::<Vec<_>>().join(", ")
    }

    /// The groups, in whichever claim an issuer puts them (`groups`, `cognito:groups`, `https://idp.example/groups`): people look
    /// for one of many.
    pub(super) fn groups(&self) -> String {
        let groups = self.claims.iter().filter(|(name, _)| is_of_groups(name));
        groups.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// All others, shortened: they may say more of a person than a terminal should show.
    pub(super) fn others(&self, names: &[&str]) -> String {
        let is_other = |name: &str| !names.contains(&name) && !is_of_groups(name);
        let others = self.claims.iter().filter(|(name, _)| is_other(name));
        let others: Vec<_> = others.map(|(name, value)| format!("{name} {}", cut(value, SHORT))).collect();
        if others.is_empty() { String::new() } else { format!("and: {}", others.join(", ")) }
    }
}

fn is_of_groups(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("groups")
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
}

fn cut(value: &Value, longest: usize) -> String {
    let text = value.to_string();
    if text.chars().count() <= longest { text } else { text.chars().take(longest).chain(['…']).collect() }
}

/// A moment as people read it, in UTC.
pub(super) fn read_as(at: Timestamp) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at.as_seconds()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02}:{:02} UTC", at.date(), at.hour(), at.minute(), at.second())
}
