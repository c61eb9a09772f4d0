//! Looking through a document, and taking out what was found.

use std::{borrow::Cow, fmt::Write, ops::Range, sync::Arc};

use super::{
    escapes::{Places, unescaped},
    patterns::{Pattern, Patterns},
};
use crate::kit::json::{Flaw, Limits, Reader, Str};

/// Text may hold JSON, and in it text that holds JSON: so often escapes are taken for what they mean.
const LEVELS: usize = 4;
/// The shortest number that is looked at.
const NUMBER: usize = 9;
/// Of so many finds the place is told; logs and refusals need one or two.
const TOLD: usize = 32;
/// How long a place may be, in bytes.
const POINTER: usize = 300;

/// Members of parameters and results in which servers keep state of their own, which clients give back to them.
const STATE: [&str; 3] = ["requestState", "cursor", "nextCursor"];

/// A secret in a document.
#[derive(Debug)]
pub(super) struct Find {
    /// Where it stands, as it is written.
    pub(super) span: Range<usize>,
    kind: Kind,
    pub(super) pattern: Arc<Pattern>,
    /// Its JSON pointer, without what is secret in it.
    pub(super) pointer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// In the name of a member, which must stay different from those of others.
    Key,
    /// A number, which becomes text.
    Number,
}

impl Find {
    /// In a header, which is told in the place of a pointer.
    pub(super) fn in_header(pattern: Arc<Pattern>, name: &str) -> Self {
        Self { span: 0..0, kind: Kind::Text, pattern, pointer: format!("header {name}") }
    }
}

/// Everything that the patterns find in a message. `but` is a member of it that is not looked at.
pub(super) fn look(document: &str, patterns: &Patterns, but: Option<&str>) -> Result<Vec<Find>, Flaw> {
    let mut looker = Looker { document, patterns, but, path: Vec::new(), finds: Vec::new() };
    looker.value(&mut Reader::new(document, &Limits::ANSWER))?;
    Ok(looker.finds)
}

/// The document with what was found replaced, and every other byte as it was.
pub(super) fn masked(document: &str, finds: &[Find]) -> String {
    let (mut text, mut copied, mut keys) = (String::with_capacity(document.len()), 0, 0);
    for Find { span, kind, pattern, .. } in finds {
        text.push_str(document.get(copied..span.start).unwrap_or_default());
        copied = span.end;
        keys += usize::from(*kind == Kind::Key);
        let _ = match kind {
            Kind::Text => write!(text, "{}", pattern.mask()),
            Kind::Key => write!(text, "[masked: {}, key {keys}]", pattern.name),
            Kind::Number => write!(text, "\"{}\"", pattern.mask()),
        };
    }
    text.push_str(document.get(copied..).unwrap_or_default());
    text
}

struct Looker<'a> {
    document: &'a str,
    patterns: &'a Patterns,
    but: Option<&'a str>,
    path: Vec<Step>,
    finds: Vec<Find>,
}

#[derive(Clone, Copy)]
enum Step {
    Member(Str),
    Item(usize),
}

impl Looker<'_> {
    /// Steps over the next value. The reader bounds how deep this goes.
    fn value(&mut self, reader: &mut Reader<'_>) -> Result<(), Flaw> {
        match reader.peek() {
            Some(b'{') => reader.object(|reader, key| self.member(reader, key)),
            Some(b'[') => {
                let mut index = 0;
                reader.array(|reader| {
                    self.path.push(Step::Item(index));
                    index += 1;
                    self.value(reader)?;
                    self.path.pop();
                    Ok(())
                })
            }
            Some(b'"') => {
                let text = reader.string()?;
                self.text(text.span.range(), Kind::Text);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = reader.value()?.range();
                if number.len() >= NUMBER {
                    self.text(number, Kind::Number);
                }
                Ok(())
            }
            _ => reader.value().map(drop),
        }
    }

    fn member(&mut self, reader: &mut Reader<'_>, key: Str) -> Result<(), Flaw> {
        if self.path.is_empty() && self.but.is_some_and(|but| key.text(self.document) == but) {
            return reader.value().map(drop);
        }
        self.text(key.span.range(), Kind::Key);
        self.path.push(Step::Member(key));
        self.value(reader)?;
        self.path.pop();
        Ok(())
    }

    /// Looks at what is written in this place, and at what it means, and at what that means where it has escapes once more.
    fn text(&mut self, written: Range<usize>, kind: Kind) {
        let mut text = Cow::Borrowed(self.document.get(written.clone()).unwrap_or_default());
        let mut levels: Vec<Places> = Vec::new();
        let mut found = Vec::new();
        // As it is written, nobody reads a text with escapes.
        let mut is_read = !text.contains('\\');
        loop {
            let next = unescaped(&text);
            if is_read {
                let place = |at| written.start + levels.iter().rev().fold(at, |at, level| level.before(at));
                self.patterns.find(&text, |range, pattern| {
                    let range = next.as_ref().map_or(range.clone(), |(_, places)| places.whole(range));
                    found.push((place(range.start)..place(range.end), pattern));
                });
            }
            let Some((next, places)) = next.filter(|_| levels.len() < LEVELS) else { break };
            levels.push(places);
            (text, is_read) = (Cow::Owned(next), true);
        }
        if !found.is_empty() {
            self.note(found, &written, kind);
        }
    }

    fn note(&mut self, mut found: Vec<(Range<usize>, &Arc<Pattern>)>, written: &Range<usize>, kind: Kind) {
        let is_state = self.is_state();
        found.retain(|(_, pattern)| !(is_state && pattern.state));
        found.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
        let first = self.finds.len();
        for (span, pattern) in found {
            let span = if kind == Kind::Number { written.clone() } else { span };
            match self.finds.get_mut(first..).and_then(<[_]>::last_mut) {
                Some(last) if span.start < last.span.end => last.span.end = last.span.end.max(span.end),
                _ => {
                    let pointer = if self.finds.len() < TOLD { self.pointer() } else { String::new() };
                    self.finds.push(Find { span, kind, pattern: Arc::clone(pattern), pointer });
                }
            }
        }
    }

    fn is_state(&self) -> bool {
        match self.path.as_slice() {
            [Step::Member(_), Step::Member(key)] => STATE.contains(&&*key.text(self.document)),
            _ => false,
        }
    }

    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.path {
            let _ = match step {
                Step::Item(index) => write!(pointer, "/{index}"),
                Step::Member(key) => {
                    let name = self.patterns.masked(&key.text(self.document));
                    write!(pointer, "/{}", name.replace('~', "~0").replace('/', "~1"))
                }
            };
        }
        if pointer.len() > POINTER {
            pointer.truncate(pointer.floor_char_boundary(POINTER));
            pointer.push('…');
        }
        pointer
    }
}
