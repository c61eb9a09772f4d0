//! Every requirement of the checklists is proven by a test that carries its id, or is an exception with a reason in
//! `tests/COVERAGE.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{read, root};

/// The ids of each list, by what stands before the number.
const LISTS: [(&str, u32); 9] = [
    ("tr", 32),
    ("pr", 10),
    ("as", 14),
    ("cl", 18),
    ("sb", 13),
    ("sec_a", 21),
    ("sec_b", 4),
    ("sec_c", 6),
    ("oauth", 96),
];

fn ids() -> Vec<String> {
    LISTS.iter().flat_map(|(list, last)| (1..=*last).map(|number| id(list, number))).collect()
}

/// `pr_03`, `sec_a3`, `oauth_27`.
fn id(list: &str, number: u32) -> String {
    if list.starts_with("sec") { format!("{list}{number}") } else { format!("{list}_{number:02}") }
}

/// Which tests prove which id.
fn proven() -> BTreeMap<String, BTreeSet<String>> {
    let ids: BTreeSet<_> = ids().into_iter().collect();
    let mut proven = BTreeMap::<_, BTreeSet<_>>::new();
    for file in ["policies", "src", "tests"].iter().flat_map(|folder| sources(&root().join(folder))) {
        for name in names(&read(&file)) {
            for id in ids_in(name).filter(|id| ids.contains(id)) {
                proven.entry(id).or_default().insert(name.to_owned());
            }
        }
    }
    proven
}

/// The Rust files of a folder.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() && !entry.ends_with("node_modules") {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found
}

/// The names of functions.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches("pub(super) ");
        let line = line.trim_start_matches("async ").strip_prefix("fn ")?;
        line.split(['(', '<']).next()
    })
}

/// What could be an id in a name: each two words.
fn ids_in(name: &str) -> impl Iterator<Item = String> {
    let words: Vec<_> = name.split('_').collect();
    (1..words.len()).map(move |at| format!("{}_{}", words[at - 1], words[at]))
}

/// The rows of the tables: the id in the first column, and what is said of it.
fn exceptions(page: &str) -> BTreeMap<String, String> {
    let part = page.split("## Exceptions").nth(1).expect("COVERAGE.md has a part about exceptions");
    let rows = part.lines().filter_map(row);
    rows.map(|(id, rest)| (id.to_owned(), rest.to_owned())).collect()
}

/// The id of a row in backticks, and the rest.
fn row(line: &str) -> Option<(&str, &str)> {
    let (id, rest) = line.strip_prefix("| `")?.split_once("` |")?;
    Some((id, rest.trim().trim_end_matches('|').trim()))
}

#[test]
fn every_requirement_is_proven_or_excepted_and_never_both() {
    let page = read(&root().join("tests/COVERAGE.md"));
    let (proven, exceptions) = (proven(), exceptions(&page));
    let mut wrong = Vec::new();
    for id in ids() {
        match (proven.get(&id), exceptions.get(&id)) {
            (None, None) => wrong.push(format!("{id}: no test has it in its name, and it is no exception")),
            (Some(tests), Some(_)) => wrong.push(format!("{id} is an exception, and proven by {tests:?}")),
            (None, Some(why)) if why.len() < 40 => wrong.push(format!("{id}: {why:?} is no reason")),
            _ => {}
        }
    }
    let known: BTreeSet<_> = ids().into_iter().collect();
    wrong.extend(exceptions.keys().filter(|id| !known.contains(*id)).map(|id| format!("{id} is on no list")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_requirement_is_explained() {
    let page = read(&root().join("tests/COVERAGE.md"));
    let meanings: BTreeMap<_, _> = page.split("## Exceptions").next().unwrap().lines().filter_map(row).collect();
    let explained: BTreeSet<_> = meanings.keys().map(|id| (*id).to_owned()).collect();
    assert_eq!(explained, ids().into_iter().collect());
    assert!(meanings.values().all(|meaning| meaning.len() >= 10), "{meanings:#?}");
}

#[test]
fn ids_are_found_in_names() {
    let text = "    pub(super) async fn oauth_27_sec_a2_a_code_is_bound(bench: Bench) {\nfn helper() {}";
    let names: Vec<_> = names(text).collect();
    assert_eq!(names, ["oauth_27_sec_a2_a_code_is_bound", "helper"]);
    let ids: BTreeSet<_> = ids_in(names[0]).collect();
    assert!(ids.contains("oauth_27") && ids.contains("sec_a2") && !ids.contains("sec_a20"));
    assert_eq!(row("| `pr_01` | the meaning |"), Some(("pr_01", "the meaning")));
}
