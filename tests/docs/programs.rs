//! The commands of the README by which a program uses the API, run for real.

use std::{fs, path::Path, process::Command};

use crate::{first_edit::Gateway, read, root};

/// A configuration in which something is kept.
const ROUTES: &str = r#"{ "compatibilityDate": "2026-11-20",
  "routes": { "/mcp/demo": { "upstream": { "demo": true }, "policies": ["audit-log"] } } }"#;
const HERE: &str = "http://127.0.0.1:8080";

#[test]
fn a_program_reads_what_the_readme_shows_with_the_key_that_it_makes() {
    let readme = read(&root().join("README.md"));
    let (_, block) = readme.split_once("$ KEY=$(portcullis keys create").expect("the README shows other commands now");
    let block = format!("$ KEY=$(portcullis keys create{}", block.split_once("```").unwrap().0);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.json"), ROUTES).unwrap();
    let gateway = Gateway::start(&folder.path().join("routes.json"));
    let commands = block.lines().filter_map(|line| line.strip_prefix("$ ")).collect::<Vec<_>>().join("\n");
    let said = run(&commands.replace(HERE, &gateway.url()), folder.path());
    let shown = block.lines().last().unwrap();
    assert!(said.ends_with(shown), "the README shows {shown}, and it is {said}");
    assert!(said.starts_with(r#"{"items":["#) && !said.contains("problem"), "{said}");
}

/// What a shell writes that runs these commands, in which `portcullis` is this program.
fn run(commands: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let shell = Command::new("sh").args(["-euc", commands]).current_dir(folder).env("PATH", path).output().unwrap();
    assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
    String::from_utf8(shell.stdout).unwrap()
}
