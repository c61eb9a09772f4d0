//! Reading what a token endpoint answers (RFC 6749 §5).

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use portcullis_policies::kit::headers::media_type;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{GrantError, exchange::ID_JAG, secret};

/// What a token endpoint gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenSet {
    /// The token for the upstream: a bearer token that can stand in a header as it is.
    #[serde(with = "secret")]
    pub access_token: SecretString,
    /// With what to ask for the next one. None: the one before stays good.
    #[serde(with = "secret::optional")]
    pub refresh_token: Option<SecretString>,
    /// How long it is good. None: the server did not say anything that could be believed.
    pub expires_in: Option<Duration>,
    /// What it is good for, as the server says it. None: what was asked for.
    pub scope: Option<String>,
}

/// What kind of token was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenType {
    /// One that whoever holds it may use (RFC 6750).
    Bearer,
    /// An assertion, which is no token for an upstream.
    IdJag,
}

/// The members of an answer. Servers of no two vendors agree about the types of some.
#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    token_type: Option<String>,
    issued_token_type: Option<String>,
    refresh_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    scope: Value,
}

/// A refusal (RFC 6749 §5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

/// Bytes of a token at most: it must fit into a request's headers.
const LONGEST: usize = 16 << 10;
/// How long a token is believed to be good at most.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 365);

/// Reads the tokens of an answer. `secrets` are what was sent: no error quotes them.
pub(super) fn tokens(
    answer: &Response<Bytes>,
    token_type: TokenType,
    secrets: &[SecretString],
) -> Result<TokenSet, GrantError> {
    let nonsense = |why: &str| Err(GrantError::Nonsense(why.to_owned()));
    if !answer.status().is_success() {
        return Err(refusal(answer, secrets));
    }
    if !is_json(answer) {
        return nonsense("it is not JSON");
    }
    let Ok(read) = serde_json::from_slice::<Answer>(answer.body()) else { return Err(refusal(answer, secrets)) };
    if !is_of_type(&read, token_type) {
        return nonsense("its token is of another type than was asked for");
    }
    if !is_token(&read.access_token) || !read.refresh_token.as_ref().is_none_or(is_token_or_empty) {
        return nonsense("its token could not be sent in a header");
    }
    Ok(TokenSet {
        access_token: read.access_token,
        refresh_token: read.refresh_token.filter(is_token),
        expires_in: lifetime(&read.expires_in),
        scope: scope(&read.scope),
    })
}

/// Why there is nothing in an answer. One vendor refuses with status 200.
pub(super) fn refusal(answer: &Response<Bytes>, secrets: &[SecretString]) -> GrantError {
    let status = answer.status();
    let told = serde_json::from_slice::<Refusal>(answer.body()).ok().filter(|_| is_json(answer));
    match told {
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            GrantError::Unreachable(format!("it has status {status}"))
        }
        Some(Refusal { error, error_description }) => {
            let words = error_description.map(|words| without(&words, secrets));
            GrantError::refused(&without(&error, secrets), words.as_deref())
        }
        None if status.is_success() => GrantError::Nonsense("it has neither tokens nor a refusal".to_owned()),
        None => GrantError::Nonsense(format!("it has status {status}, and does not say why")),
    }
}

fn without(words: &str, secrets: &[SecretString]) -> String {
    let secrets = secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty());
    secrets.fold(words.to_owned(), |words, secret| words.replace(secret, "…"))
}

fn is_json(answer: &Response<Bytes>) -> bool {
    let kind = media_type(answer.headers()).to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json") || !answer.headers().contains_key(CONTENT_TYPE)
}

/// A token that is bound to a key (`DPoP`, `mac`) would have to be shown in another way than a bearer token. Servers
/// that leave the type out mean a bearer token.
fn is_of_type(answer: &Answer, wanted: TokenType) -> bool {
    let named = answer.token_type.as_deref();
    match wanted {
        TokenType::Bearer => named.is_none_or(|named| named.eq_ignore_ascii_case("bearer")),
        TokenType::IdJag => {
            let is_none = named.is_some_and(|named| named.eq_ignore_ascii_case("N_A"));
            is_none && answer.issued_token_type.as_deref() == Some(ID_JAG)
        }
    }
}

fn is_token(token: &SecretString) -> bool {
    !token.expose_secret().is_empty() && is_token_or_empty(token)
}

fn is_token_or_empty(token: &SecretString) -> bool {
    let token = token.expose_secret();
    token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Seconds, as a number or a text of one. What is not above zero would have the token renewed before each call, so it
/// counts as not said: the token is used until the upstream refuses it.
fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let whole = seconds >= 1.0;
    whole.then(|| Duration::try_from_secs_f64(seconds.floor()).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE))
}

/// A text, or a list of texts.
fn scope(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => return None,
    };
    let is_plain = text.len() <= LONGEST && text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    (is_plain && !text.is_empty()).then_some(text)
}
