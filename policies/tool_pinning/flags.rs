//! What is suspicious in a definition, however it came to be.
//!
//! Models read characters that people do not see. What writing systems and pictures need is no flag: one joiner or selector
//! between characters that are not Latin.

use std::fmt::Write;

use serde_json::Value;

/// Flags that are told of one definition.
const MOST: usize = 8;

/// What is suspicious in `definition`, each with its place.
pub(super) fn flags(definition: &Value, text_length: usize) -> Vec<String> {
    let mut look = Look { longest: text_length, flags: Vec::new() };
    look.value(definition, &mut String::new());
    look.flags
}

struct Look {
    longest: usize,
    flags: Vec<String>,
}

impl Look {
    fn value(&mut self, value: &Value, at: &mut String) {
        let length = at.len();
        match value {
            Value::String(text) => self.text(text, at),
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    let _ = write!(at, "/{place}");
                    self.value(item, at);
                    at.truncate(length);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.text(name, at);
                    let _ = write!(at, "/{}", visible(&name.replace('~', "~0").replace('/', "~1")));
                    self.value(member, at);
                    at.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, at: &str) {
        if self.flags.len() >= MOST {
            return;
        }
        if text.len() > self.longest {
            let length = text.chars().count();
            if length > self.longest {
                self.flags.push(format!("{at:?} is too long: {length} characters"));
            }
        }
        if text.is_ascii() && !text.bytes().any(is_control) {
            return;
        }
        if let Some((kind, hidden)) = hidden(text) {
            self.flags.push(format!("{at:?} has {kind}: U+{:04X}", u32::from(hidden)));
        }
    }
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7F
}

/// The first character that should not be there, and what it is.
fn hidden(text: &str) -> Option<(&'static str, char)> {
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match kind(character) {
            Some(Kind::Joining) if joins(before, characters.peek().copied()) => {}
            Some(Kind::Selecting) if before.is_some_and(|before| is_seen(before) && !before.is_ascii_alphabetic()) => {}
            Some(kind) => return Some((kind.name(), character)),
            None => {}
        }
        before = Some(character);
    }
    None
}

/// Does one joiner stand where Arabic, Indic scripts and composed pictures have it?
fn joins(before: Option<char>, after: Option<char>) -> bool {
    let may = |beside: char| beside >= '\u{0600}' && (is_seen(beside) || kind(beside) == Some(Kind::Selecting));
    before.is_some_and(may) && after.is_some_and(|after| may(after) && is_seen(after))
}

fn is_seen(character: char) -> bool {
    kind(character).is_none() && !character.is_whitespace()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Control,
    Bidirectional,
    Tag,
    Invisible,
    Joining,
    Selecting,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Control => "a control character",
            Self::Bidirectional => "a character that turns the direction of writing",
            Self::Tag => "a tag character",
            Self::Invisible | Self::Joining | Self::Selecting => "an invisible character",
        }
    }
}

fn kind(character: char) -> Option<Kind> {
    Some(match character {
        '\t' | '\n' | '\r' => return None,
        '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' => Kind::Control,
        '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => Kind::Bidirectional,
        '\u{E0000}'..='\u{E007F}' => Kind::Tag,
        '\u{200C}' | '\u{200D}' => Kind::Joining,
        '\u{FE00}'..='\u{FE0F}' => Kind::Selecting,
        '\u{AD}'
        | '\u{34F}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{17B4}'
        | '\u{17B5}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206A}'..='\u{206F}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{FEFF}'
        | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0080}'..='\u{E0FFF}' => Kind::Invisible,
        _ => return None,
    })
}

/// A text in which everything is seen that is in it.
pub fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for character in text.chars() {
        match kind(character) {
            None => seen.push(character),
            Some(_) => drop(write!(seen, "⟨U+{:04X}⟩", u32::from(character))),
        }
    }
    seen
}
