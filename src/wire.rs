//! How values are written for programs, and read back: moments, and names that stand in URLs.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::clock::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment, as in RFC 3339.
pub fn date(at: Timestamp) -> String {
    exact_date(Timestamp::from_seconds(at.as_seconds()))
}

/// The same with milliseconds.
pub fn exact_date(at: Timestamp) -> String {
    let nanoseconds = i128::from(at.as_millis()) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&Rfc3339).unwrap_or_default()
}

/// The moment that somebody wrote; otherwise how to write one.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let moment =
        OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("{error}; write 2026-11-20T08:00:00Z"))?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000)
        .map(Timestamp::from_millis)
        .map_err(|error| error.to_string())
}

/// An id of what has several names, or of a place in a list, in letters that URLs do not escape. It hides nothing.
pub fn id_of(parts: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(parts).unwrap_or_default())
}

/// What such an id was made of.
pub fn parts_of<T: DeserializeOwned>(id: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(id).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        let at = Timestamp::from_millis(1_790_000_000_123);
        assert_eq!(
            (date(at), exact_date(at)),
            ("2026-09-21T14:13:20Z".to_owned(), "2026-09-21T14:13:20.123Z".to_owned())
        );
        assert_eq!(moment(&exact_date(at)), Ok(at));
        assert!(moment("yesterday").unwrap_err().ends_with("write 2026-11-20T08:00:00Z"));
    }

    #[test]
    fn ids_stand_in_urls_whatever_they_are_made_of() {
        let parts = ("https://notes.example/mcp?a=b", "del\u{202e}ete/../#");
        let id = id_of(&parts);
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{id}");
        assert_eq!(parts_of::<(String, String)>(&id), Some((parts.0.to_owned(), parts.1.to_owned())));
        assert_eq!(parts_of::<(String, String)>("nonsense"), None);
    }
}
