//! Looking for headers, and reading them.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

/// The values of one header, in order. Most messages have so few headers that comparing each name takes less than hashing
/// one: a third, with five of them.
#[inline]
pub fn values<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a HeaderValue> {
    headers.iter().filter(move |(found, _)| *found == name).map(|(_, value)| value)
}

/// Is the header there?
#[inline]
pub fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.keys().any(|found| found == name)
}

/// The media type of a body, without its parameters (RFC 9110 §8.3.1), in upper or lower case as written. Empty if the
/// headers do not say it.
pub fn media_type(headers: &HeaderMap) -> &str {
    let written = headers.get(CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or_default();
    written.split(';').next().unwrap_or_default().trim()
}
