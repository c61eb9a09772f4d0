//! Reading the challenges of somebody else (RFC 9110 §11.6.1).
//!
//! A header may hold several challenges and there may be several headers, so all of them are read. Whoever writes them
//! is not trusted: what cannot be read to its end counts for nothing, and neither does an attribute that is there
//! twice.

use std::collections::HashMap;

use http::HeaderValue;

/// A challenge that came in a `WWW-Authenticate` header.
#[derive(Clone, Debug)]
pub struct Received {
    scheme: String,
    /// By name in lower case; None if it was there more than once.
    attributes: HashMap<String, Option<String>>,
}

/// Challenges that are read at most.
const MOST: usize = 16;

impl Received {
    /// The challenges in these headers, in their order; the first 16 of them.
    pub fn all<'a>(headers: impl IntoIterator<Item = &'a HeaderValue>) -> Vec<Self> {
        let read = |header: &HeaderValue| in_one(&String::from_utf8_lossy(header.as_bytes()));
        headers.into_iter().flat_map(read).take(MOST).collect()
    }

    /// Does it ask for a bearer token (RFC 6750 §3)?
    pub fn is_bearer(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("bearer")
    }

    /// What it says under this name, which is to be given in lower case.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_deref()
    }
}

/// The challenges in one header, up to where it cannot be read any more.
fn in_one(header: &str) -> Vec<Received> {
    let mut reader = Reader(header);
    let mut found: Vec<Received> = Vec::new();
    loop {
        reader.skip(|c| matches!(c, ' ' | '\t' | ','));
        let Some(word) = reader.token() else { return found };
        match (reader.value(), found.last_mut()) {
            (Value::Absent, _) => {
                found.push(Received { scheme: word.to_owned(), attributes: HashMap::new() });
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
