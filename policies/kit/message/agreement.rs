//! Headers that repeat the body must repeat it truthfully (MCP 2026-07-28, "Standard Request Headers").
//!
//! The body is what is judged and what the upstream runs. A proxy or a log that trusts `Mcp-Method` must not be told
//! something else, whatever the revision.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};

use super::{FIRST_MODERN, Kind, Message, Method};
use crate::kit::headers::values;

const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";
const SESSION: &str = "mcp-session-id";
const PARAM_PREFIX: &str = "mcp-param-";

/// How headers and body differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// A header is missing, repeated, malformed or different: JSON-RPC -32020.
    Header(String),
    /// The headers speak of a revision that demands `_meta`, and the body has none: JSON-RPC -32602.
    MissingMeta,
}

/// Does the sender speak 2026-07-28 or later, as far as its message and its headers tell?
pub fn speaks_modern(message: &Message, headers: &HeaderMap) -> bool {
    let is_modern =
        |value: &http::HeaderValue| value.to_str().is_ok_and(|version| is_revision(version) && version >= FIRST_MODERN);
    message.is_modern() || values(headers, &HeaderName::from_static(VERSION)).any(is_modern)
}

/// Checks every `Mcp-*` header against the message.
pub fn check_headers(message: &Message, headers: &HeaderMap) -> Result<(), Disagreement> {
    let said = Said::read(headers)?;
    check_version(message, said.version)?;
    let modern_request = message.is_modern() && matches!(message.kind(), Kind::Request(_));
    agree(METHOD, said.method, message.method().map(Method::name), modern_request)?;
    if let Some(method) = message.method()
        && method.has_name_header()
        && (said.name.is_some() || modern_request)
    {
        let target = message.target().map(|(_, target)| target);
        agree(NAME, said.name, target, modern_request)?;
    }
    Ok(())
}

/// What the headers say, decoded; read in one pass, because most requests have many headers and few of these.
#[derive(Default)]
struct Said<'a> {
    version: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
}

impl<'a> Said<'a> {
    /// Each at most once and well-formed, `Mcp-Param-*` and the session's id too.
    fn read(headers: &'a HeaderMap) -> Result<Self, Disagreement> {
        let mut said = Self::default();
        for (header, value) in headers {
            let name = header.as_str();
            if !name.starts_with("mcp-") {
                continue;
            }
            let decoded = || decode(name, value);
            let again = match name {
                VERSION => said.version.replace(decoded()?).is_some(),
                METHOD => said.method.replace(decoded()?).is_some(),
                NAME => said.name.replace(decoded()?).is_some(),
                _ if name == SESSION || name.starts_with(PARAM_PREFIX) => {
                    decoded()?;
                    values(headers, header).nth(1).is_some()
                }
                _ => continue,
            };
            if again {
                return Err(different(format!("`{name}` is there more than once")));
            }
        }
        Ok(said)
    }
}

fn check_version(message: &Message, header: Option<Cow<'_, str>>) -> Result<(), Disagreement> {
    let modern_header = header.as_deref().is_some_and(|version| version >= FIRST_MODERN);
    match message.version() {
        // Whether there is such a revision is for those to say who speak some.
        Some(version) => agree(VERSION, header, Some(version), matches!(message.kind(), Kind::Request(_))),
        None if header.as_deref().is_some_and(|version| !is_revision(version)) => {
            Err(different(format!("`{VERSION}` is not a revision such as {FIRST_MODERN}")))
        }
        None if modern_header && matches!(message.kind(), Kind::Request(_)) => Err(Disagreement::MissingMeta),
        None => Ok(()),
    }
}

fn agree(name: &str, header: Option<Cow<'_, str>>, body: Option<&str>, required: bool) -> Result<(), Disagreement> {
    match (header, body) {
        (Some(header), Some(body)) if header == body => Ok(()),
        (Some(_), _) => Err(different(format!("`{name}` differs from the message"))),
        (None, Some(body)) if required => Err(different(format!("`{name}` is missing; the message says {body:?}"))),
        (None, _) => Ok(()),
    }
}

/// What a header says that may have been encoded to fit one; none if it is malformed.
pub fn header_text(value: &http::HeaderValue) -> Option<Cow<'_, str>> {
    decode("", value).ok()
}

/// Values that do not fit a header travel as `=?base64?…?=`; the marker is matched in exact lower case.
fn decode<'a>(name: &str, value: &'a http::HeaderValue) -> Result<Cow<'a, str>, Disagreement> {
    let malformed = || different(format!("`{name}` is malformed"));
    let value = value.to_str().map_err(|_| malformed())?.trim_matches([' ', '\t']);
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Cow::Borrowed(value));
    };
    let decoded = STANDARD.decode(encoded).map_err(|_| malformed())?;
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| malformed())
}

fn is_revision(version: &str) -> bool {
    version.len() == 10
        && version.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

fn different(why: String) -> Disagreement {
    Disagreement::Header(why)
}
