//! Asking for a bearer token, and finding the one that came.
//!
//! A [`Challenge`] is what a resource server answers when the token is missing, bad or too weak: RFC 6750 §3 with the
//! `resource_metadata` of RFC 9728 §5.1, by which an MCP client finds out where to sign in. [`bearer`] reads the token.
//! [`Received`] is the challenge of somebody else.

mod received;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, time::Duration};

use http::{
    HeaderMap, HeaderValue, Uri,
    header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
};

pub use self::received::Received;
use crate::kit::refusal::{Reason, Refusal};

/// What a token for this resource needs. Each of the three methods makes a refusal of it.
///
/// A value that cannot stand in a header as it is (printable ASCII without `"` and `\`) is left out, because a client
/// would act on a mended one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Challenge<'a> {
    /// Where the protected-resource metadata are (RFC 9728), if the resource has any.
    pub resource_metadata: Option<&'a str>,
    /// All scopes that the operation needs.
    pub scopes: &'a [Box<str>],
}

impl Challenge<'_> {
    /// 401 for a request without a token. There is no error code in it (RFC 6750 §3.1): nothing went wrong yet.
    pub fn none_presented(self) -> Refusal {
        let header = self.header(None, "");
        Refusal::from(Reason::SignInRequired).with_header(WWW_AUTHENTICATE, header)
    }

    /// 401 for a token that is not good here. `description` says why.
    pub fn invalid_token(self, description: &str) -> Refusal {
        let header = self.header(Some("invalid_token"), description);
        let message = format!("The access token is not accepted: {}.", printable(description));
        Refusal::new(Reason::InvalidToken, message).with_header(WWW_AUTHENTICATE, header)
    }

    /// 403 for a good token that lacks some of the scopes. Names all of them, so that the client asks once.
    pub fn insufficient_scope(self) -> Refusal {
        let scope = self.scope();
        let header = self.header(Some("insufficient_scope"), "the token lacks a scope that this call needs");
        Refusal::new(Reason::InsufficientScope, format!("This call needs the scopes: {scope}."))
            .with_data("scope", scope)
            .with_header(WWW_AUTHENTICATE, header)
    }

    fn header(self, error: Option<&str>, description: &str) -> HeaderValue {
        let (description, scope) = (printable(description), self.scope());
        let attributes = [
            ("error", error.unwrap_or_default()),
            ("error_description", &*description),
            ("resource_metadata", self.resource_metadata.filter(|url| is_printable(url)).unwrap_or_default()),
            ("scope", &*scope),
        ];
        let given = attributes.iter().filter(|(_, value)| !value.is_empty());
        let list = given.map(|(name, value)| format!(r#"{name}="{value}""#)).collect::<Vec<_>>().join(", ");
        let text = if list.is_empty() { "Bearer".to_owned() } else { format!("Bearer {list}") };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    fn scope(self) -> String {
        let scopes: Vec<_> = self.scopes.iter().map(|scope| &**scope).filter(|scope| is_scope(scope)).collect();
        scopes.join(" ")
    }
}

/// Is `scope` one scope, as RFC 6749 §3.3 writes it?
pub fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && is_printable(scope) && !scope.contains(' ')
}

fn is_printable(value: &str) -> bool {
    value.bytes().all(fits)
}

fn fits(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// Words for people keep their sense when a letter is replaced.
fn printable(words: &str) -> Cow<'_, str> {
    if is_printable(words) {
        return Cow::Borrowed(words);
    }
    let letter = |letter: char| u8::try_from(letter).ok().filter(|byte| fits(*byte)).map_or('?', char::from);
    Cow::Owned(words.chars().map(letter).collect())
}

/// 503 for a token that cannot be judged at present.
pub fn unavailable(retry_after: Duration) -> Refusal {
    let seconds = retry_after.as_secs().max(1);
    Refusal::from(Reason::SignInUnavailable).with_header(RETRY_AFTER, HeaderValue::from(seconds))
}

/// The bearer token of a request, if it has one (RFC 6750 §2.1).
///
/// The scheme's case does not matter. A header of another scheme is no bearer token, and neither is `Bearer` with
/// nothing behind it, which is what a client with an unset variable sends.
///
/// # Errors
///
/// 400 for more than one `Authorization` header, or for one that holds something else than one token.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ambiguous("The request has more than one Authorization header."));
    }
    let value = value.as_bytes().trim_ascii();
    let (scheme, token) = value.split_at(value.iter().position(|byte| *byte == b' ').unwrap_or(value.len()));
    let token = token.trim_ascii_start();
    if !scheme.eq_ignore_ascii_case(b"bearer") || token.is_empty() {
        return Ok(None);
    }
    match std::str::from_utf8(token) {
        Ok(token) if is_token68(token) => Ok(Some(token)),
        _ => Err(ambiguous("The Authorization header holds something else than `Bearer` and one token.")),
    }
}

/// The same as [`bearer`], and refuses a request that shows another token in its URL (RFC 6750 §2: one method only). A
/// token in the URL alone counts for nothing: URLs are written to logs.
pub fn bearer_only<'a>(headers: &'a HeaderMap, uri: &Uri) -> Result<Option<&'a str>, Refusal> {
    let token = bearer(headers)?;
    let mut parameters = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    if headers.contains_key(AUTHORIZATION) && parameters.any(|(name, _)| name == "access_token") {
        return Err(ambiguous("The request has a token in its Authorization header and another one in its URL."));
    }
    Ok(token)
}

/// RFC 9110 §11.2. Looks at all of it whatever it finds, which takes a third of the time: many bytes at a time.
fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let fits = |byte: u8| matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/') | byte.is_ascii_alphanumeric();
    !body.is_empty() && body.bytes().fold(true, |all, byte| all & fits(byte))
}

fn ambiguous(message: &'static str) -> Refusal {
    let header = HeaderValue::from_static(r#"Bearer error="invalid_request""#);
    Refusal::new(Reason::AmbiguousCredentials, message).with_header(WWW_AUTHENTICATE, header)
}
