//! Taking parts out of JSON, and leaving every other byte as it is.

use std::sync::Arc;

use super::spelling::is_like;
use crate::kit::json::{Flaw, Limits, Reader, Span};

/// What stands in the place of what was taken out.
const INSTEAD: &str = r#""[redacted]""#;

/// A JSON pointer (RFC 6901) in which `*` stands for every member or item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Every,
    One(String),
}

impl Path {
    /// None where it is no pointer, or one to the whole.
    pub(super) fn new(pointer: &str) -> Option<Self> {
        let steps = pointer.strip_prefix('/')?.split('/');
        let step = |step: &str| match step {
            "*" => Step::Every,
            name => Step::One(name.replace("~1", "/").replace("~0", "~")),
        };
        Some(Self(steps.map(step).collect()))
    }

    /// The same place in a document that has this one there.
    pub(super) fn below(&self, names: &[&str]) -> Self {
        let above = names.iter().map(|name| Step::One((*name).to_owned()));
        Self(above.chain(self.0.iter().cloned()).collect())
    }
}

/// What one rule takes out.
#[derive(Clone, Debug)]
pub(super) struct Redaction {
    pub(super) rule: Arc<str>,
    pub(super) paths: Vec<Path>,
    /// Does it only say that it would?
    pub(super) is_tried_out: bool,
}

impl Redaction {
    /// The same in a document that has the one which is meant there.
    pub(super) fn below(&self, names: &[&str]) -> Self {
        Self { paths: self.paths.iter().map(|path| path.below(names)).collect(), ..self.clone() }
    }
}

/// What became of a document.
#[derive(Debug, std::default::Default)]
pub(super) struct Redacted {
    /// The document without what was taken out; none if nothing was.
    pub(super) text: Option<String>,
    /// Who took something out.
    pub(super) by: Vec<Arc<str>>,
    /// Who would have.
    pub(super) tried_out: Vec<Arc<str>>,
}

/// Takes out of a document what rules say.
pub(super) fn redacted(document: &str, redactions: &[Redaction]) -> Result<Redacted, Flaw> {
    let of = |is_tried_out: bool| redactions.iter().filter(move |redaction| redaction.is_tried_out == is_tried_out);
    let (places, by) = look(document, of(false))?;
    // What is only tried out stands in nobody's way, not even where it cannot be told.
    let (_, tried_out) = look(document, of(true)).unwrap_or_default();
    Ok(Redacted { text: (!places.is_empty()).then(|| without(document, &places)), by, tried_out })
}

fn without(document: &str, places: &[Span]) -> String {
    let (mut text, mut copied) = (String::with_capacity(document.len()), 0);
    for place in places {
        text.push_str(document.get(copied..place.start()).unwrap_or_default());
        text.push_str(INSTEAD);
        copied = place.end();
    }
    text.push_str(document.get(copied..).unwrap_or_default());
    text
}

/// What is at the places that rules name, and which rules named something that is there.
fn look<'a>(
    document: &str,
    redactions: impl Iterator<Item = &'a Redaction>,
) -> Result<(Vec<Span>, Vec<Arc<str>>), Flaw> {
    let ways = redactions.flat_map(|redaction| redaction.paths.iter().map(|path| Way { of: redaction, left: &path.0 }));
    let ways: Vec<_> = ways.collect();
    let mut found = Found::default();
    if !ways.is_empty() {
        find(&mut Reader::new(document, &Limits::ANSWER), &ways, &mut found)?;
    }
    Ok((found.places, found.by))
}

/// What is left of a path, and whose it is.
#[derive(Clone, Copy)]
struct Way<'a> {
    of: &'a Redaction,
    left: &'a [Step],
}

#[derive(std::default::Default)]
struct Found {
    places: Vec<Span>,
    by: Vec<Arc<str>>,
}

impl Found {
    fn note<'a>(&mut self, place: Span, ways: impl Iterator<Item = &'a Way<'a>>) {
        self.places.push(place);
        for rule in ways.map(|way| &way.of.rule) {
            if !self.by.contains(rule) {
                self.by.push(Arc::clone(rule));
            }
        }
    }
}

/// Steps over the next value; notes what in it is at the end of one of the ways. The reader bounds how deep this goes.
fn find(reader: &mut Reader<'_>, ways: &[Way<'_>], found: &mut Found) -> Result<(), Flaw> {
    if ways.iter().any(|way| way.left.is_empty()) {
        let place = reader.value()?;
        found.note(place, ways.iter().filter(|way| way.left.is_empty()));
        return Ok(());
    }
    match reader.peek() {
        _ if ways.is_empty() => reader.value().map(drop),
        Some(b'{') => reader.object(|reader, key| {
            let name = key.text(reader.document());
            find(reader, &beyond(ways, &name), found)
        }),
        Some(b'[') => {
            let mut index = 0_usize;
            reader.array(|reader| {
                let rest = beyond(ways, &index.to_string());
                index += 1;
                find(reader, &rest, found)
            })
        }
        // Text that may be JSON once more: what is in it would be missed.
        Some(b'"') => {
            let start = reader.offset();
            let text = reader.string()?.text(reader.document());
            if text.trim_start().starts_with(['{', '[']) {
                found.note(reader.since(start), ways.iter());
            }
            Ok(())
        }
        _ => reader.value().map(drop),
    }
}

/// What is left of the ways that lead through a member or item of this name.
fn beyond<'a>(ways: &[Way<'a>], name: &str) -> Vec<Way<'a>> {
    let through = |way: &Way<'a>| match way.left.split_first() {
        Some((Step::Every, left)) => Some(Way { left, ..*way }),
        Some((Step::One(step), left)) if step == name || is_like(name, step) => Some(Way { left, ..*way }),
        _ => None,
    };
    ways.iter().filter_map(through).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(rule: &str, is_tried_out: bool, pointers: &[&str]) -> Redaction {
        let paths = pointers.iter().map(|pointer| Path::new(pointer).unwrap()).collect();
        Redaction { rule: rule.into(), paths, is_tried_out }
    }

    fn without(document: &str, pointers: &[&str]) -> Option<String> {
        redacted(document, &[redaction("one", false, pointers)]).unwrap().text
    }

    #[test]
    fn what_is_named_goes_and_every_other_byte_stays() {
        let text =
            r#"{ "id": 123456789012345678901234567890, "p\u0061ss": {"x":1}, "list":[ {"k":1,"z":2}, {"k":"a"} ] }"#;
        assert_eq!(
            without(text, &["/pass", "/list/*/k"]).unwrap(),
            r#"{ "id": 123456789012345678901234567890, "p\u0061ss": "[redacted]", "list":[ {"k":"[redacted]","z":2}, {"k":"[redacted]"} ] }"#
        );
        assert_eq!(without(text, &["/list/1", "/list/1/k"]).unwrap().matches("[redacted]").count(), 1);
        assert_eq!(without(text, &["/nothing", "/id/deeper", "/list/9"]), None);
        assert_eq!(without(r#"{"a/b":{"~":1}}"#, &["/a~1b/~0"]).unwrap(), r#"{"a/b":{"~":"[redacted]"}}"#);
    }

    #[test]
    fn sec_other_spellings_and_json_in_text_hide_nothing() {
        let text = r#"{"Card":{"NUMBER":"4111"},"card":"{\"number\":\"4111\"}","card2":"{}"}"#;
        assert_eq!(
            without(text, &["/card/number"]).unwrap(),
            r#"{"Card":{"NUMBER":"[redacted]"},"card":"[redacted]","card2":"{}"}"#
        );
    }

    #[test]
    fn it_is_told_who_took_something_out_and_who_only_would_have() {
        let text = r#"{"pass":1,"card":{"n":2},"notes":"{\"pass\":1}"}"#;
        let rules = [
            redaction("pass", false, &["/pass", "/nothing"]),
            redaction("idle", false, &["/nothing"]),
            redaction("text", false, &["/notes/pass"]),
            redaction("card", true, &["/card"]),
            redaction("idle too", true, &["/nothing"]),
        ];
        let Redacted { text, by, tried_out } = redacted(text, &rules).unwrap();
        assert_eq!(text.unwrap(), r#"{"pass":"[redacted]","card":{"n":2},"notes":"[redacted]"}"#);
        assert_eq!((by, tried_out), (vec!["pass".into(), "text".into()], vec!["card".into()]));
    }

    #[test]
    fn what_cannot_be_read_is_nothing_to_a_rule_that_is_tried_out() {
        let text = r#"{"pass":1,"pass":"#;
        let tried = redacted(text, &[redaction("one", true, &["/pass"])]).unwrap();
        assert!(tried.text.is_none() && tried.by.is_empty() && tried.tried_out.is_empty());
        assert!(redacted(text, &[redaction("one", false, &["/pass"])]).is_err());
    }

    #[test]
    fn the_whole_is_no_part() {
        assert!(Path::new("").is_none() && Path::new("a").is_none());
    }
}
