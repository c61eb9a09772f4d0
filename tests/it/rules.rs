//! Rules that the code keeps about itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The levels of `src`, top first. A part uses parts on levels below its own, and none beside it.
const LEVELS: &[&[&str]] = &[
    &["cli"],
    &["server", "doctor"],
    &["console", "api"],
    &["api_keys", "approvals", "oauth", "pins", "pipeline"],
    &["proxy", "upstreams", "audit"],
    &["store", "fetch", "config"],
    &["fault", "wire"],
];

/// Neighbours of which one may use the other all the same. `upstreams::demo` is a server that `proxy` calls, so it has
/// `proxy`'s type. What is wrong with an OAuth client of the configuration is `oauth`'s to say.
const ALLOWED: &[(&str, &str)] = &[("upstreams", "proxy"), ("pipeline", "oauth")];

#[test]
fn arrows_inside_src_point_down() {
    let mut wrong = Vec::new();
    for (part, file, used) in uses(&root().join("src"), "crate::") {
        let level = |part: &str| LEVELS.iter().position(|level| level.contains(&part));
        match (level(&part), level(&used)) {
            _ if part == used || ALLOWED.contains(&(&part, &used)) => {}
            (Some(from), Some(to)) if from < to => {}
            (Some(_), Some(_)) => wrong.push(format!("{}: {part} uses {used}", file.display())),
            _ => wrong.push(format!("{}: {part} or {used} has no level in tests/it/rules.rs", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_part_of_src_has_a_level() {
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        assert!(["main", "lib"].contains(&name) || LEVELS.iter().any(|level| level.contains(&name)), "{name}");
    }
}

#[test]
fn policies_know_nothing_of_the_gateway() {
    let used = uses(&root().join("policies"), "portcullis::");
    assert!(used.is_empty(), "{used:#?}");
    let manifest = fs::read_to_string(root().join("policies/Cargo.toml")).unwrap();
    assert!(!manifest.contains("path = \".."), "{manifest}");
}

#[test]
fn policies_share_nothing_but_the_kit() {
    let mut wrong = Vec::new();
    for (part, file, used) in uses(&root().join("policies"), "crate::") {
        let of_tests = file.ends_with("tests.rs") || file.iter().any(|part| part == "tests" || part == "bench");
        let list = part == "lib" || used.chars().all(char::is_uppercase);
        if part != used && used != "kit" && !list && !of_tests {
            wrong.push(format!("{}: {part} uses {used}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Which part uses which, by the paths that begin with `prefix` in its code.
fn uses(folder: &Path, prefix: &str) -> BTreeSet<(String, PathBuf, String)> {
    let mut found = BTreeSet::new();
    for file in rust_files(folder) {
        let part = file.strip_prefix(folder).unwrap().iter().next().unwrap().to_str().unwrap();
        let part = part.trim_end_matches(".rs").to_owned();
        for used in named_after(&code(&fs::read_to_string(&file).unwrap()), prefix) {
            found.insert((part.clone(), file.clone(), used));
        }
    }
    assert!(rust_files(folder).len() > 10, "the sources are not where this test looks");
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Without comments, and on one line: `use` may be spread over many.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    lines.collect::<Vec<_>>().join(" ")
}

/// The names that follow `prefix`, also in braces.
fn named_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | ':' | '$')) {
            continue;
        }
        let rest = code[at + prefix.len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(list) => names.extend(first_names(list)),
            None => names.extend(name(rest)),
        }
    }
    names
}

/// The first name of each member of a list in braces, up to its closing one.
fn first_names(list: &str) -> Vec<String> {
    let (mut names, mut depth, mut expected) = (Vec::new(), 0, true);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            ' ' => {}
            _ if expected => {
                names.extend(name(&list[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[test]
fn the_reader_of_use_lines_reads_them() {
    let text =
        "use crate::{a::{b, c}, d,\n    e::F}; // crate::comment\nlet x = crate::g::h(); portcullis_crate::no();";
    assert_eq!(named_after(&code(text), "crate::").into_iter().collect::<Vec<_>>(), ["a", "d", "e", "g"]);
}

/// Versions below which a crate has a known hole, if it is used at all.
const FLOORS: &[(&str, &str)] = &[
    ("ammonia", "4.1.4"),
    ("aws-lc-sys", "0.39.0"),
    ("bytes", "1.11.1"),
    ("h2", "0.4.16"),
    ("idna", "1.0.0"),
    ("jsonwebtoken", "10.3.0"),
    ("lru", "0.18.2"),
    ("rmcp", "1.4.0"),
    ("rustls", "0.23.18"),
    ("rustls-webpki", "0.103.13"),
    ("sqlx", "0.8.1"),
    ("time", "0.3.47"),
    ("tokio", "1.44.2"),
    ("tracing-subscriber", "0.3.20"),
    ("tungstenite", "0.20.1"),
];

/// Crates with a known hole and no version without it.
const BANNED: &[&str] = &["hickory-proto", "pingora", "rsa", "openssl-sys", "native-tls"];

#[test]
fn sec_1f_no_dependency_is_below_its_floor() {
    let locked = locked();
    assert!(locked.len() > 100, "Cargo.lock was not understood");
    for (name, floor) in FLOORS {
        for version in locked.get(*name).into_iter().flatten() {
            assert!(numbers(version) >= numbers(floor), "{name} {version} is below {floor}");
        }
    }
    for name in BANNED {
        assert!(!locked.contains_key(*name), "{name} is in Cargo.lock");
    }
}

fn locked() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut locked = BTreeMap::<_, Vec<_>>::new();
    for package in text.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            line.unwrap().trim_end_matches('"').to_owned()
        };
        locked.entry(value("name")).or_default().push(value("version"));
    }
    locked
}

fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release.split('.').map(|number| number.parse().unwrap()).collect()
}

#[test]
fn stories_that_prove_an_id_say_so_once_in_their_name() {
    let mut names = BTreeMap::<String, PathBuf>::new();
    for file in rust_files(&root().join("tests/it")) {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for pair in
            lines.windows(2).filter(|pair| pair[0].starts_with("#[test]") || pair[0].starts_with("#[tokio::test"))
        {
            let name = pair[1].trim_start_matches("async ").trim_start_matches("fn ");
            let name = name.split('(').next().unwrap_or_default().to_owned();
            let earlier = names.insert(name.clone(), file.clone());
            assert!(earlier.is_none(), "{name} is there twice");
        }
    }
    let with_id = |id: &str| names.keys().filter(|name| name.starts_with(id)).count();
    for id in ["tr_01_", "tr_02_", "tr_15_", "tr_20_", "vec_14_", "vec_15_", "vec_16_", "sec_d1_", "fault_", "trap_1_"]
    {
        assert!(with_id(id) > 0, "no story proves {id}");
    }
}
