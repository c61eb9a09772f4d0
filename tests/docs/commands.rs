//! Commands in `console` blocks that only look print what is shown.

use std::{path::Path, process::Command};

use crate::{blocks, name, pages, read, root};

/// Those that end by themselves and touch nothing.
const LOOKING: [&str; 5] = ["check", "explain", "schema", "--help", "--version"];

#[test]
fn commands_print_what_is_shown() {
    let mut run = 0;
    for page in pages() {
        for block in blocks::blocks(&read(&page)).iter().filter(|block| block.language == "console") {
            for (command, shown) in sessions(&block.text) {
                run += usize::from(compare(&page, block.line, &command, &shown));
            }
        }
    }
    assert!(run >= 3, "only {run} commands were run");
}

/// Each command of a block with the lines under it.
fn sessions(block: &str) -> Vec<(String, Vec<&str>)> {
    let mut sessions: Vec<(String, Vec<&str>)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), sessions.last_mut()) {
            (Some(command), _) => sessions.push((command.to_owned(), Vec::new())),
            (None, Some((_, shown))) => shown.push(line),
            (None, None) => panic!("{line:?} stands before the first command"),
        }
    }
    sessions
}

/// Was it one that can be run?
fn compare(page: &Path, line: usize, command: &str, shown: &[&str]) -> bool {
    let mut words = command.split(' ');
    if words.next() != Some("portcullis") || !words.clone().any(|word| LOOKING.contains(&word)) {
        return false;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(words)
        .current_dir(root())
        .env_remove("PORTCULLIS_CONFIG")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let place = format!("{}:{line}: $ {command}", name(page));
    assert!(is_shown(shown, &printed), "{place}\n-- shown\n{}\n-- printed\n{printed}", shown.join("\n"));
    true
}

/// A line with just `…` stands for any lines; a command with nothing under it is only run.
fn is_shown(shown: &[&str], printed: &str) -> bool {
    let shown = format!("{}\n", shown.join("\n"));
    let (begin, others) = shown.split_once("…\n").unwrap_or((&shown, ""));
    let Some(mut rest) = printed.trim().strip_prefix(begin.trim()) else { return false };
    for part in others.split("…\n").map(str::trim) {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.trim().is_empty() || shown.ends_with("…\n") || shown.trim().is_empty()
}
