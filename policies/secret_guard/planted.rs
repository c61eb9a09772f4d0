//! Secrets planted in messages of any form.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::{
    examples::{examples, made_out},
    look::{look, masked},
    tests::ALL_KINDS,
};

/// A document with secrets in its texts and in the names of its members.
#[derive(Clone, Debug)]
enum Document {
    Text(Vec<Part>),
    Number(i32),
    List(Vec<Document>),
    Map(Vec<(Vec<Part>, Document)>),
    /// Text that holds a document.
    Inside(Box<Document>),
}

#[derive(Clone, Debug)]
enum Part {
    Plain(String),
    /// The secret, and what stands before and after it.
    Secret(char, char),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let letters = prop::sample::select("abcué\"\\\n /{}[]:,\u{1f511}".chars().collect::<Vec<_>>());
    let plain = prop::collection::vec(letters, 0..8).prop_map(|letters| Part::Plain(letters.into_iter().collect()));
    let edges = || prop::sample::select(" \",\né\t{}".chars().collect::<Vec<_>>());
    let secret = (edges(), edges()).prop_map(|(before, after)| Part::Secret(before, after));
    prop::collection::vec(prop_oneof![plain, secret], 0..4)
}

fn documents() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![4 => parts().prop_map(Document::Text), 1 => any::<i32>().prop_map(Document::Number)];
    leaf.prop_recursive(5, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Document::List),
            prop::collection::vec((parts(), inner.clone()), 0..4).prop_map(Document::Map),
            inner.prop_map(|inner| Document::Inside(Box::new(inner))),
        ]
    })
}

/// Writes a document, once with the secret and once as it must be afterwards, and each letter the same way both times.
struct Writer<'a> {
    secret: &'a str,
    /// The name of the pattern, where it is to be masked.
    masked: Option<&'a str>,
    /// Which letters are written as escapes, by turns.
    escapes: &'a [bool],
    turn: usize,
    planted: usize,
    keys: usize,
}

/// How deep in text in text a secret is found: the levels that are looked at, without that of the message itself.
const DEEPEST: usize = 3;

impl Writer<'_> {
    fn document(&mut self, document: &Document, depth: usize) -> String {
        match document {
            Document::Text(parts) => self.text(parts, false),
            Document::Inside(inner) if depth == DEEPEST => self.document(inner, depth),
            Document::Inside(inner) => json!(self.document(inner, depth + 1)).to_string(),
            Document::Number(number) => number.to_string(),
            Document::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.document(item, depth)).collect();
                format!("[{} ]", items.join(" ,"))
            }
            Document::Map(members) => {
                let members = members.iter().enumerate().map(|(number, (key, value))| {
                    let named: Vec<_> =
                        [Part::Plain(format!("k{}", "x".repeat(number)))].into_iter().chain(key.clone()).collect();
                    format!("{}: {}", self.text(&named, depth == 0), self.document(value, depth))
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn text(&mut self, parts: &[Part], is_key: bool) -> String {
        let mut text = String::from("\"");
        for part in parts {
            match part {
                Part::Plain(plain) => text.extend(plain.chars().map(|letter| self.letter(letter)).collect::<Vec<_>>()),
                Part::Secret(before, after) => {
                    text.push_str(&self.letter(*before));
                    text.push_str(&self.secret(is_key));
                    text.push_str(&self.letter(*after));
                }
            }
        }
        text + "\""
    }

    fn secret(&mut self, is_key: bool) -> String {
        self.planted += 1;
        self.keys += usize::from(is_key);
        let written = self.secret.chars().map(|letter| self.letter(letter)).collect();
        match self.masked {
            None => written,
            Some(name) if is_key => format!("[masked: {name}, key {}]", self.keys),
            Some(name) => format!("[masked: {name}]"),
        }
    }

    fn letter(&mut self, letter: char) -> String {
        self.turn += 1;
        if self.escapes[self.turn % self.escapes.len()] {
            return escaped(letter);
        }
        let quoted = json!(letter).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    }
}

/// A letter as one or two escapes.
pub(super) fn escaped(letter: char) -> String {
    let units = letter.encode_utf16(&mut [0; 2]).to_vec();
    units.into_iter().fold(String::new(), |text, unit| format!("{text}\\u{unit:04x}"))
}

/// The examples of which nothing is left. What stands before an e-mail address, in text in text, may be an escape or its
/// beginning, and goes with it.
static WHOLE: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let all = examples().into_iter().map(|example| (example.name, example.finds[0].clone()));
    let is_whole = |(name, example): &(String, String)| {
        ALL_KINDS.masked(&made_out(example, 1)) == format!("[masked: {name}]") && name != "email"
    };
    all.filter(is_whole).collect()
});

#[test]
fn most_patterns_take_all_that_they_find() {
    assert!(WHOLE.len() > 50, "{}", WHOLE.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn sec_nothing_planted_survives_and_every_other_byte_is_unchanged(
        document in documents(),
        seed in any::<u64>(),
        which in any::<prop::sample::Index>(),
        escapes in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let (examples, patterns) = (&*WHOLE, &*ALL_KINDS);
        let (name, example) = which.get(examples);
        let secret = made_out(example, seed);
        let written = |masked| {
            let mut writer = Writer { secret: &secret, masked, escapes: &escapes, turn: 0, planted: 0, keys: 0 };
            (writer.document(&document, 0), writer.planted)
        };
        let (text, planted) = written(None);
        let finds = look(&text, patterns, None).unwrap();
        prop_assert_eq!(masked(&text, &finds), written(Some(name)).0, "{} in {}", name, text);
        prop_assert_eq!(finds.len(), planted);
        prop_assert!(finds.iter().all(|find| !find.pointer.contains(&secret)));
        if planted > 0 {
            prop_assert!(!patterns.rule_out(text.as_bytes()), "{}", text);
        }
    }
}
