//! What an upstream asks for in its `WWW-Authenticate` headers (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).
//!
//! A header may hold several challenges and there may be several headers, so all of them are read. Whoever writes them
//! is not trusted: what cannot be read to its end counts for nothing, and neither does an attribute that is there
//! twice.

use std::collections::HashMap;

use portcullis_policies::kit::{challenge::is_scope, credential::UpstreamChallenge};
use url::Url;

/// What a challenge says that matters to a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Where the metadata of the resource are.
    pub(super) resource_metadata: Option<Url>,
    /// What a token must be good for.
    pub(super) scopes: Vec<Box<str>>,
}

/// Challenges that are read at most.
const MOST: usize = 16;

impl Asked {
    /// Reads the challenges: what the first one for bearer tokens says, and where another one says where the metadata
    /// are (they may be told in any), that too.
    pub(super) fn of(challenge: &UpstreamChallenge) -> Self {
        let texts: Vec<_> =
            challenge.challenges.iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        let all: Vec<_> = texts.iter().flat_map(|text| challenges(text)).take(MOST).collect();
        let bearer = all.iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"));
        let mut asked = bearer.map(Challenge::asked).unwrap_or_default();
        if asked.resource_metadata.is_none() {
            asked.resource_metadata = all.iter().find_map(Challenge::resource_metadata);
        }
        asked
    }
}

/// What to ask for after a challenge (step-up): all that was asked for before, and what the challenge names. None, if
/// it asks for nothing more, as asking again would then give the same.
pub fn step_up(asked: &[Box<str>], challenge: &UpstreamChallenge) -> Option<Vec<Box<str>>> {
    let wanted = union(asked, &Asked::of(challenge).scopes);
    (wanted.len() > asked.len()).then_some(wanted)
}

/// The scopes of both lists, each once, in their order.
pub(super) fn union(first: &[Box<str>], second: &[Box<str>]) -> Vec<Box<str>> {
    let more = second.iter().filter(|scope| !first.contains(scope));
    first.iter().chain(more).cloned().collect()
}

/// The scopes in a list of them, each once.
pub(super) fn scopes(list: &str) -> Vec<Box<str>> {
    let mut scopes: Vec<Box<str>> = Vec::new();
    for scope in list.split(' ').filter(|scope| is_scope(scope)) {
        if !scopes.iter().any(|known| **known == *scope) {
            scopes.push(scope.into());
        }
    }
    scopes
}

struct Challenge<'a> {
    scheme: &'a str,
    /// By name in lower case; None if it was there more than once.
    attributes: HashMap<String, Option<String>>,
}

impl Challenge<'_> {
    fn asked(&self) -> Asked {
        Asked {
            resource_metadata: self.resource_metadata(),
            scopes: self.attribute("scope").map(scopes).unwrap_or_default(),
        }
    }

    fn resource_metadata(&self) -> Option<Url> {
        Url::parse(self.attribute("resource_metadata")?).ok()
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_deref()
    }
}

/// The challenges in one header, up to where it cannot be read any more.
fn challenges(header: &str) -> Vec<Challenge<'_>> {
    let mut reader = Reader(header);
    let mut found: Vec<Challenge<'_>> = Vec::new();
    loop {
        reader.skip(|c| matches!(c, ' ' | '\t' | ','));
        let Some(word) = reader.token() else { return found };
        match (reader.value(), found.last_mut()) {
            (Value::Absent, _) => {
                found.push(Challenge { scheme: word, attributes: HashMap::new() });
                reader.skip_token68();
            }
            (Value::Is(value), Some(challenge)) => {
                let attribute = challenge.attributes.entry(word.to_ascii_lowercase());
                attribute.and_modify(|value| *value = None).or_insert(Some(value));
            }
            (Value::Is(_), None) | (Value::Broken, _) => return found,
        }
    }
}

struct Reader<'a>(&'a str);

enum Value {
    Absent,
    Is(String),
    Broken,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, fits: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(fits);
    }

    fn take(&mut self, fits: impl Fn(char) -> bool) -> Option<&'a str> {
        let end = self.0.find(|c| !fits(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        (!taken.is_empty()).then_some(taken)
    }

    fn token(&mut self) -> Option<&'a str> {
        self.take(is_token)
    }

    /// What stands behind a name: `=` and a token or a quoted string.
    fn value(&mut self) -> Value {
        let rest = self.0.trim_start_matches([' ', '\t']);
        let Some(rest) = rest.strip_prefix('=') else { return Value::Absent };
        self.0 = rest.trim_start_matches([' ', '\t']);
        match self.0.strip_prefix('"') {
            Some(rest) => {
                self.0 = rest;
                self.quoted().map_or(Value::Broken, Value::Is)
            }
            // Some write URLs without quotes, although no token can hold one.
            None => match self.take(|c| !matches!(c, ' ' | '\t' | ',' | '"')) {
                Some(value) => Value::Is(value.to_owned()),
                None => Value::Broken,
            },
        }
    }

    /// The rest of a quoted string. None, if it does not end.
    fn quoted(&mut self) -> Option<String> {
        let (mut text, mut letters) = (String::new(), self.0.char_indices());
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(letters.next()?.1),
                letter => text.push(letter),
            }
        }
        None
    }

    /// Credentials in one word behind a scheme, as in `Negotiate YII=`: they end at a comma, and no attribute does so
    /// without a value.
    fn skip_token68(&mut self) {
        let rest = self.0.trim_start_matches([' ', '\t']);
        let end = rest.find([',', ' ', '\t', '"']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let ends = behind.trim_start().is_empty() || behind.trim_start().starts_with(',');
        if ends && !word.trim_end_matches('=').contains('=') {
            self.0 = behind;
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
