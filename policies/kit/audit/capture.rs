//! What is kept of arguments and results.

use serde_json::{Map, Value, value::RawValue};

use crate::kit::{canonical::Fingerprint, chain::Request, message::Message};

/// Members and items of one value of which the kinds are kept.
const MEMBERS: usize = 100;
/// What is longer is not taken apart: it would hold up the answer.
const TAKEN_APART: usize = 256 << 10;

/// What is kept of a value, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// What.
    pub detail: Detail,
    /// Bytes at most.
    pub most: usize,
}

/// What is kept of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    Off,
    /// Its SHA-256.
    Digest,
    /// The names of its members, and the kinds of its values.
    Redacted,
    /// All of it.
    Full,
}

/// What was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// How long the whole was.
    pub bytes: usize,
    /// What of it.
    pub kept: Kept,
}

/// What was kept of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The SHA-256 of its text.
    Digest(Fingerprint),
    /// JSON on one line.
    Json(Box<str>),
    /// The beginning of its text; the rest was too long.
    Cut(Box<str>),
}

impl Capture {
    /// What is kept of the arguments of a call.
    pub fn of_arguments(self, request: &Request) -> Option<Captured> {
        #[derive(serde::Deserialize)]
        struct Params<'a> {
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
        }
        if self.detail == Detail::Off {
            return None;
        }
        let params = request.body().message().and_then(Message::params)?;
        let params: Params<'_> = serde_json::from_str(params).ok()?;
        self.of(params.arguments?.get())
    }

    /// What is kept of a JSON text.
    pub fn of(self, json: &str) -> Option<Captured> {
        let kept = match self.detail {
            Detail::Off => return None,
            Detail::Digest => Kept::Digest(Fingerprint::of_bytes(json.as_bytes())),
            Detail::Full => self.bounded(json),
            Detail::Redacted if json.len() > TAKEN_APART => Kept::Cut("".into()),
            Detail::Redacted => match serde_json::from_str(json) {
                Ok(value) => self.bounded(&masked(&value).to_string()),
                Err(_) => Kept::Cut("".into()),
            },
        };
        Some(Captured { bytes: json.len(), kept })
    }

    fn bounded(self, json: &str) -> Kept {
        if json.len() <= self.most {
            // Line breaks stand between values only: within text they are escaped.
            return Kept::Json(json.replace(['\n', '\r'], " ").into());
        }
        let end = (0..=self.most).rev().find(|end| json.is_char_boundary(*end)).unwrap_or(0);
        Kept::Cut(json[..end].into())
    }
}

impl Captured {
    /// How much room it takes.
    pub fn size(&self) -> usize {
        match &self.kept {
            Kept::Digest(sum) => sum.as_bytes().len(),
            Kept::Json(text) | Kept::Cut(text) => text.len(),
        }
    }
}

/// The value's shape: names stay, values become the names of their kinds.
fn masked(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => items.iter().take(MEMBERS).map(masked).collect(),
        Value::Object(members) => {
            let members = members.iter().take(MEMBERS);
            Value::Object(members.map(|(name, value)| (name.clone(), masked(value))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(detail: Detail, most: usize, json: &str) -> Option<Kept> {
        Capture { detail, most }.of(json).map(|captured| captured.kept)
    }

    #[test]
    fn a_value_is_kept_as_its_digest_its_shape_or_whole() {
        let json = "{\"to\":\"ada\",\n\"lines\":[1,true,null],\"more\":{\"a\":1.5}}";
        assert_eq!(kept(Detail::Off, 100, json), None);
        assert!(matches!(kept(Detail::Digest, 100, json), Some(Kept::Digest(_))));
        let shape = r#"{"to":"string","lines":["number","boolean","null"],"more":{"a":"number"}}"#;
        assert_eq!(kept(Detail::Redacted, 100, json), Some(Kept::Json(shape.into())));
        assert_eq!(kept(Detail::Full, 100, json), Some(Kept::Json(json.replace('\n', " ").into())));
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_says_so() {
        assert_eq!(kept(Detail::Full, 3, "\"a\u{e9}\u{e9}\""), Some(Kept::Cut("\"a".into())));
        assert_eq!(kept(Detail::Redacted, 9, &format!("\"{}\"", "x".repeat(300 << 10))), Some(Kept::Cut("".into())));
    }
}
