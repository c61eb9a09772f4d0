//! Request ids and progress tokens: opaque to the server, echoed exactly as sent.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::value::RawValue;

/// A string or an integer, kept as the text that the client wrote.
///
/// Through a `serde_json::Value` an integer of 30 digits would come back as a rounded float, and
/// `"\u0041"` as `"A"`; a gateway in between compares bytes, and so may the client.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(super) struct Id(Box<RawValue>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if is_string_or_integer(raw.get()) {
            Ok(Self(raw))
        } else {
            Err(D::Error::custom("expected a string or an integer"))
        }
    }
}

/// The text is known to be valid JSON, so its characters alone tell which kind it is.
fn is_string_or_integer(json: &str) -> bool {
    json.starts_with('"') || json.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit())
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.get())
    }
}
