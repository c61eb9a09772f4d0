//! Every symptom of `tests/SYMPTOMS.md` is answered by codes that exist and provoked by tests that exist, or says why not.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::fault::Fault;
use portcullis_policies::kit::refusal::Reason;

use crate::{
    coverage::{names, sources},
    read, root,
};

/// Codes of pages, which the two lists do not have.
const OF_PAGES: [&str; 2] = ["unknown_client", "bad_client_document"];

struct Row {
    symptom: String,
    answer: String,
    proof: String,
}

fn rows(page: &str) -> Vec<Row> {
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let lines = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| symptom |"));
    lines
        .map(|line| match <[String; 3]>::try_from(cells(line)) {
            Ok([symptom, answer, proof]) => Row { symptom, answer, proof },
            Err(cells) => panic!("{cells:?} are not three cells"),
        })
        .collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// In an answer, one word of small letters is a code; names of metrics have the program's name before them.
fn codes(answer: &str) -> impl Iterator<Item = &str> {
    let is_code =
        |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && word.contains('_');
    quoted(answer).filter(is_code).filter(|word| !word.starts_with("portcullis_"))
}

fn tests() -> BTreeSet<String> {
    let files = ["policies", "src", "tests"].iter().flat_map(|folder| sources(&root().join(folder)));
    files.flat_map(|file| names(&read(&file)).map(ToOwned::to_owned).collect::<Vec<_>>()).collect()
}

/// What a test consists of: its own text, and that of whatever it names in its file.
struct Sources(Vec<BTreeMap<String, String>>);

impl Sources {
    fn read() -> Self {
        let files = ["policies", "src", "tests"].iter().flat_map(|folder| sources(&root().join(folder)));
        Self(files.map(|file| parts(&read(&file))).collect())
    }

    fn of_test(&self, name: &str) -> String {
        let file = self.0.iter().find(|parts| parts.contains_key(name)).unwrap_or_else(|| panic!("no test {name}"));
        let (mut text, mut waiting, mut seen) = (String::new(), vec![name.to_owned()], BTreeSet::new());
        while let Some(name) = waiting.pop() {
            if let Some(part) = file.get(&name).filter(|_| seen.insert(name.clone())) {
                waiting.extend(words(part).filter(|word| file.contains_key(*word)).map(ToOwned::to_owned));
                text += part;
            }
        }
        text
    }
}

/// The functions and constants of a file, up to the line on which they end.
fn parts(text: &str) -> BTreeMap<String, String> {
    let lines: Vec<_> = text.lines().collect();
    let named = lines.iter().enumerate().filter_map(|(at, line)| Some((at, part_name(line)?)));
    let part = |at: usize| {
        let indent = lines[at].len() - lines[at].trim_start().len();
        let ends = |line: &&&str| matches!(line.get(indent..), Some("}" | "]" | "];" | "};" | "});"));
        let length =
            if lines[at].ends_with(';') { 0 } else { lines[at..].iter().take_while(|line| !ends(line)).count() };
        lines[at..lines.len().min(at + length + 1)].join("\n")
    };
    named.map(|(at, name)| (name.to_owned(), part(at))).collect()
}

fn part_name(line: &str) -> Option<&str> {
    let line = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
    let line = line.trim_start_matches("async ");
    let rest = ["fn ", "const ", "static "].iter().find_map(|word| line.strip_prefix(word))?;
    words(rest).next()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// A code as tests write it: itself, or the name of its variant.
fn stands_in(text: &str, code: &str) -> bool {
    let fault = Fault::ALL.iter().find(|fault| fault.code() == code).map(|fault| format!("{fault:?}"));
    let reason = Reason::ALL.iter().find(|reason| reason.code() == code).map(|reason| format!("{reason:?}"));
    words(text).any(|word| word == code || Some(word) == fault.as_deref() || Some(word) == reason.as_deref())
}

#[test]
fn each_code_of_an_answer_stands_in_one_of_the_tests_that_prove_it() {
    let sources = Sources::read();
    let mut wrong = Vec::new();
    for Row { symptom, answer, proof } in rows(&read(&root().join("tests/SYMPTOMS.md"))) {
        if reason_why(&proof, "pending").or(reason_why(&proof, "not ours")).is_some() {
            continue;
        }
        let tests: String = quoted(&proof).map(|name| sources.of_test(name)).collect();
        wrong.extend(codes(&answer).filter(|code| !stands_in(&tests, code)).map(|code| format!("{symptom}: {code}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn reason_why<'a>(proof: &'a str, word: &str) -> Option<&'a str> {
    proof.strip_prefix(word)?.strip_prefix(": ")
}

#[test]
fn every_symptom_has_an_answer_and_a_proof_or_a_reason_why_not() {
    let rows = rows(&read(&root().join("tests/SYMPTOMS.md")));
    assert!(rows.len() >= 60, "only {} rows were read", rows.len());
    let known: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
    let known: BTreeSet<_> =
        known.into_iter().chain(Reason::ALL.iter().map(|reason| reason.code())).chain(OF_PAGES).collect();
    let tests = tests();
    let mut wrong = Vec::new();
    for Row { symptom, answer, proof } in &rows {
        wrong.extend(
            codes(answer).filter(|code| !known.contains(code)).map(|code| format!("{symptom}: no code {code}")),
        );
        match reason_why(proof, "pending").or(reason_why(proof, "not ours")) {
            Some(why) if why.len() < 30 => wrong.push(format!("{symptom}: {why:?} is no reason")),
            Some(_) => {}
            None if answer.is_empty() => wrong.push(format!("{symptom}: nothing answers it")),
            None if quoted(proof).next().is_none() => wrong.push(format!("{symptom}: nothing proves it")),
            None => {
                wrong.extend(
                    quoted(proof)
                        .filter(|name| !tests.contains(*name))
                        .map(|name| format!("{symptom}: no test {name}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
