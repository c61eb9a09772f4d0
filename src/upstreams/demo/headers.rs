//! The request headers that MCP gives a meaning, and their agreement with the body.
//!
//! Source: 2026-07-28 `basic/transports/streamable-http.mdx`, "Request Metadata" and "Server Validation".
//! The body is the source of truth; a header that says something else is refused, because something in between
//! may have decided by the header.

use std::borrow::Cow;

use http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::{
    base64,
    fault::Fault,
    message::Meta,
    version::{self, Era},
};

const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// Whether the content type is `application/json`, whatever its parameters.
pub(super) fn says_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The era that a message opens, from its header and, where it has one, its `_meta`.
///
/// A version in `_meta` is what makes a message modern, and the header must repeat it. Without either
/// the client is one that knew no such header yet (before 2025-06-18).
pub(super) fn era(headers: &HeaderMap, meta: &Meta) -> Result<Era, Fault> {
    let in_header = single(headers, PROTOCOL_VERSION)?;
    let in_body = meta.protocol_version.as_deref();
    if in_body.is_some() && in_header != in_body {
        return Err(Fault::header_mismatch("MCP-Protocol-Version must be the version in params._meta"));
    }
    match in_header {
        None => Ok(Era::Legacy),
        Some(version::MODERN) => Ok(Era::Modern),
        Some(known) if version::SUPPORTED.contains(&known) => Ok(Era::Legacy),
        Some(unknown) => Err(Fault::unsupported_version(unknown)),
    }
}

/// The value of a header that may stand there once. Two lines are two opinions, so they are refused.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Fault::header_mismatch(format_args!("{name} is there twice"))),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.trim_matches([' ', '\t']))),
            Err(_) => Err(Fault::header_mismatch(format_args!("{name} has invalid characters"))),
        },
    }
}

/// Holds `Mcp-Method` and `Mcp-Name` of a modern request against its body.
pub(super) fn agree(headers: &HeaderMap, method: &str, params: &Map<String, Value>) -> Result<(), Fault> {
    if single(headers, METHOD)? != Some(method) {
        return Err(Fault::header_mismatch("Mcp-Method must be the method of the body"));
    }
    let Some(source) = name_source(method) else {
        return Ok(());
    };
    let in_header = single(headers, NAME)?.map(decode).transpose()?;
    // A body without the name is the method's to refuse, and with a better message.
    let in_body = params.get(source).and_then(Value::as_str);
    if in_body.is_some() && in_header.as_deref() != in_body {
        return Err(Fault::header_mismatch(format_args!("Mcp-Name must be params.{source} of the body")));
    }
    Ok(())
}

/// The member of the params that `Mcp-Name` repeats.
fn name_source(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        _ => None,
    }
}

/// Undoes `=?base64?…?=`, the wrapping for what is not plain ASCII. The markers are case-sensitive.
fn decode(value: &str) -> Result<Cow<'_, str>, Fault> {
    let wrapped = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let Some(encoded) = wrapped else {
        return Ok(Cow::Borrowed(value));
    };
    base64::decode(encoded)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Cow::Owned)
        .ok_or_else(|| Fault::header_mismatch("Mcp-Name is not Base64 of UTF-8"))
}
