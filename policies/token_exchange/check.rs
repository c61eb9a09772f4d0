//! What can be wrong with a value, whichever option it is of.

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::kit::{chain::carries_message, challenge::is_scope, fetch::is_loopback, policy::Problem};

/// Gathers problems.
#[derive(Default)]
pub(super) struct Check {
    problems: Vec<Problem>,
}

impl Check {
    pub(super) fn problem(&mut self, at: impl Into<String>, why: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(at, why).hint(hint));
    }

    pub(super) fn done<T>(self, meaning: impl FnOnce() -> Option<T>) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() { meaning().ok_or_else(Vec::new) } else { Err(self.problems) }
    }

    /// Shown to people and to agents, as one line.
    pub(super) fn words(&mut self, at: &str, text: &str, most: usize) {
        if text.trim().is_empty() {
            self.problem(at, "nothing is written here", "write what people call it, such as \"Linear\"");
        } else if text.chars().count() > most || text.chars().any(char::is_control) {
            self.problem(at, format!("longer than {most} characters, or more than one line"), "write less");
        }
    }

    pub(super) fn header<'a>(
        &mut self,
        at: &str,
        name: &str,
        mut earlier: impl Iterator<Item = &'a HeaderName>,
    ) -> Option<HeaderName> {
        match name.parse::<HeaderName>() {
            Err(_) => self.problem(at, format!("{name:?} is not a header's name"), "write it like \"X-Api-Key\""),
            Ok(name) if carries_message(&name) => {
                self.problem(
                    at,
                    format!("the gateway itself sets {name}"),
                    "use the header that the upstream's page names",
                );
            }
            Ok(name) if earlier.any(|other| *other == name) => {
                self.problem(at, format!("{name} is there twice"), "write each header once");
            }
            Ok(name) => return Some(name),
        }
        None
    }

    /// The value is a secret: it is not repeated.
    pub(super) fn header_value(&mut self, at: &str, value: &SecretString) -> Option<HeaderValue> {
        let text = value.expose_secret();
        match HeaderValue::from_str(text) {
            Ok(value) if !text.trim().is_empty() => return Some(value),
            Ok(_) => self.problem(at, "the value is empty", "give the key, for instance as `$env(NAME)`"),
            Err(_) => {
                let hint = "look for line breaks and other control characters";
                self.problem(at, "the value has characters that no header may have", hint);
            }
        }
        None
    }

    pub(super) fn delimiter(&mut self, at: &str, given: Option<&str>) -> String {
        let delimiter = given.unwrap_or(" ");
        let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if !(1..=2).contains(&delimiter.len())
            || !delimiter.bytes().all(printable)
            || delimiter.bytes().any(|byte| byte.is_ascii_alphanumeric())
        {
            self.problem(at, format!("{delimiter:?} cannot stand between scopes"), "write it like \",\"");
        }
        delimiter.to_owned()
    }

    pub(super) fn scopes(&mut self, at: &str, scopes: &[String], delimiter: &str) -> Vec<Box<str>> {
        for (index, scope) in scopes.iter().enumerate() {
            if !is_scope(scope) || scope.contains(delimiter) {
                let hint = "write each scope by itself, without blanks, quotes and backslashes";
                self.problem(format!("{at}/{index}"), format!("{scope:?} is not one scope"), hint);
            }
        }
        scopes.iter().map(|scope| scope.as_str().into()).collect()
    }

    pub(super) fn optional_url(&mut self, at: &str, value: Option<&String>) -> Option<Url> {
        self.url(at, value?)
    }

    /// An https URL, or an http one on this machine.
    pub(super) fn url(&mut self, at: &str, value: &str) -> Option<Url> {
        let Some(url) = Url::parse(value).ok().filter(Url::has_host) else {
            self.problem(at, format!("{value:?} is not a URL"), "write it whole, with https://");
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            self.problem(at, "the URL carries a user name or password", "remove it");
        } else if url.fragment().is_some() {
            self.problem(at, format!("{value:?} has a fragment"), "leave out what begins with `#`");
        } else if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) {
            return Some(url);
        } else {
            let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
            self.problem(at, format!("{value:?} is not encrypted"), format!("write \"https://{rest}\""));
        }
        None
    }
}

/// Good in a path, in a tool's name and in a log.
pub(super) fn is_id(id: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&id.len())
        && id.bytes().next().is_some_and(word)
        && id.bytes().all(|byte| word(byte) || byte == b'-')
}

pub(super) fn is_field_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
