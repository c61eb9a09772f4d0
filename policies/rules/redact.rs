//! Taking parts out of JSON, and leaving every other byte as it is.

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

/// The document with what is at these places replaced; none if there is nothing there.
pub(super) fn redacted(document: &str, paths: &[&Path]) -> Result<Option<String>, Flaw> {
    let mut reader = Reader::new(document, &Limits::ANSWER);
    let mut places = Vec::new();
    let steps: Vec<_> = paths.iter().map(|path| path.0.as_slice()).collect();
    find(&mut reader, &steps, &mut places)?;
    if places.is_empty() {
        return Ok(None);
    }
    let (mut text, mut copied) = (String::with_capacity(document.len()), 0);
    for place in places {
        text.push_str(document.get(copied..place.start()).unwrap_or_default());
        text.push_str(INSTEAD);
        copied = place.end();
    }
    text.push_str(document.get(copied..).unwrap_or_default());
    Ok(Some(text))
}

/// Steps over the next value; notes what in it is at the end of one of the paths. The reader bounds how deep this goes.
fn find(reader: &mut Reader<'_>, paths: &[&[Step]], places: &mut Vec<Span>) -> Result<(), Flaw> {
    if paths.iter().any(|path| path.is_empty()) {
        places.push(reader.value()?);
        return Ok(());
    }
    match reader.peek() {
        _ if paths.is_empty() => reader.value().map(drop),
        Some(b'{') => reader.object(|reader, key| {
            let name = key.text(reader.document());
            find(reader, &beyond(paths, &name), places)
        }),
        Some(b'[') => {
            let mut index = 0_usize;
            reader.array(|reader| {
                let rest = beyond(paths, &index.to_string());
                index += 1;
                find(reader, &rest, places)
            })
        }
        // Text that may be JSON once more: what is in it would be missed.
        Some(b'"') => {
            let start = reader.offset();
            let text = reader.string()?.text(reader.document());
            if text.trim_start().starts_with(['{', '[']) {
                places.push(reader.since(start));
            }
            Ok(())
        }
        _ => reader.value().map(drop),
    }
}

/// What is left of the paths that lead through a member or item of this name.
fn beyond<'a>(paths: &[&'a [Step]], name: &str) -> Vec<&'a [Step]> {
    let through = |path: &&'a [Step]| match path.split_first() {
        Some((Step::Every, rest)) => Some(rest),
        Some((Step::One(step), rest)) if step == name || is_like(name, step) => Some(rest),
        _ => None,
    };
    paths.iter().filter_map(through).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(document: &str, pointers: &[&str]) -> Option<String> {
        let paths: Vec<_> = pointers.iter().map(|pointer| Path::new(pointer).unwrap()).collect();
        redacted(document, &paths.iter().collect::<Vec<_>>()).unwrap()
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
    fn the_whole_is_no_part() {
        assert!(Path::new("").is_none() && Path::new("a").is_none());
    }
}
