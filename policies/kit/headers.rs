//! Looking for one header among few.

use http::{HeaderMap, HeaderName, HeaderValue};

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
