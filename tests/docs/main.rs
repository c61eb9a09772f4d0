//! What the documentation says is so: configurations check clean, generated tables are fresh, commands print what is
//! shown. `UPDATE=1 cargo test --test docs` writes what is generated again.

mod blocks;
mod commands;
mod configurations;
mod coverage;
mod examples;
mod first_edit;
mod generated;
mod programs;
mod symptoms;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use portcullis::{
    config::{Document, Surroundings},
    pipeline,
    server::Services,
};
use portcullis_policies::{STANDARD, kit::clock::SystemClock};
use serde_json::Value;

/// The project's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A file's path as the documentation would write it.
fn name(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

/// Every file with this name in the folders of `folder`, in order.
fn in_each_folder_of(folder: &str, file: &str) -> Vec<PathBuf> {
    let folders = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = folders.map(|folder| folder.join(file)).filter(|file| file.is_file()).collect();
    files.sort();
    files
}

/// Every page that users read.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![
        root().join("README.md"),
        root().join("CONTRIBUTING.md"),
        root().join("policies/README.md"),
        root().join("TROUBLESHOOTING.md"),
    ];
    pages.extend(in_each_folder_of("policies", "README.md"));
    pages.extend(in_each_folder_of("examples", "README.md"));
    pages
}

/// Plans a configuration in an environment that has every variable and every file.
fn plan(name: &str, text: &str) -> pipeline::Plan {
    pipeline::plan(name, text, &EVERYTHING, &tools())
}

/// What a text means, if it is JSON with comments.
fn value(text: &str) -> Option<Value> {
    let (document, problems) = Document::parse("text", text, &EVERYTHING);
    problems.is_empty().then_some(document.value)
}

const EVERYTHING: Surroundings<'static> = Surroundings {
    variable: &|name| Some(format!("value-of-{name}")),
    variables: &Vec::new,
    file: &|path| Ok(format!("content of {}\n", path.display())),
};

fn tools() -> pipeline::Toolbox {
    pipeline::Toolbox {
        kinds: STANDARD.to_vec(),
        demo: portcullis::upstreams::demo_server(),
        host: Services::new(Arc::new(SystemClock)).host(0),
        shared: portcullis::proxy::Shared::new(),
        listen: None,
    }
}

/// Writes what is generated if it is asked to, and says if the file is not as it should be.
fn keep_fresh(file: &Path, wanted: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(file, wanted).unwrap();
    }
    assert!(
        fs::read_to_string(file).unwrap_or_default() == wanted,
        "{} is not fresh: UPDATE=1 cargo test --test docs writes it again",
        name(file)
    );
}
