//! Tables and files that are made from declarations.

use std::{fmt::Write, path::Path};

use portcullis_policies::{
    STANDARD,
    kit::{policy::Fact, refusal::Reason},
};

use crate::{in_each_folder_of, keep_fresh, read, root, tools};

#[test]
fn the_schema_is_fresh() {
    let schema = portcullis::config::json_schema(&tools().kinds);
    let wanted = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    keep_fresh(&root().join("routes.schema.json"), &wanted);
}

#[test]
fn the_table_of_policies_is_fresh() {
    let mut table = "| policy | what it does | needs | gives |\n|---|---|---|---|\n".to_owned();
    for kind in STANDARD {
        let (name, summary) = (kind.name, kind.summary);
        let page = format!("policies/{}/README.md", folder(name));
        writeln!(table, "| [`{name}`]({page}) | {summary} | {} | {} |", facts(kind.needs), facts(kind.gives)).unwrap();
    }
    keep_part_fresh(&root().join("README.md"), "policies", &table);
}

#[test]
fn the_table_of_reasons_is_fresh() {
    let mut table = "| reason | HTTP | JSON-RPC | what happened | what to do |\n|---|---|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let (code, status, error) = (reason.code(), reason.status().as_u16(), reason.json_rpc_code());
        let (meaning, remedy) = (reason.meaning(), reason.remedy());
        writeln!(table, "| `{code}` | {status} | {error} | {meaning} | {remedy} |").unwrap();
    }
    keep_part_fresh(&root().join("policies/README.md"), "reasons", &table);
}

#[test]
fn the_page_of_troubleshooting_is_fresh() {
    keep_fresh(&root().join("TROUBLESHOOTING.md"), &portcullis::fault::page::markdown());
}

/// The part of a page between `<!-- name -->` and `<!-- /name -->`.
fn keep_part_fresh(page: &Path, name: &str, wanted: &str) {
    let text = read(page);
    let (before, rest) = text.split_once(&format!("<!-- {name} -->\n")).expect("the part has no beginning");
    let (_, after) = rest.split_once(&format!("<!-- /{name} -->")).expect("the part has no end");
    keep_fresh(page, &format!("{before}<!-- {name} -->\n{wanted}<!-- /{name} -->{after}"));
}

/// The folder of a policy: its name, with or without what it begins and ends with, or the one whose page lists it.
fn folder(policy: &str) -> String {
    let whole = policy.replace('-', "_");
    let short = whole.trim_end_matches("_inbound").to_owned();
    let names = [short.trim_start_matches("mcp_").to_owned(), short, whole];
    let has_page = |name: &String| root().join("policies").join(name).join("README.md").is_file();
    let row = format!("\n| `{policy}` |");
    let listing = || {
        let mut pages = in_each_folder_of("policies", "README.md").into_iter();
        let page = pages.find(|page| read(page).contains(&row))?;
        Some(page.parent()?.file_name()?.to_string_lossy().into_owned())
    };
    names.into_iter().find(has_page).or_else(listing).unwrap_or_else(|| panic!("{policy} has no page"))
}

fn facts(facts: &[Fact]) -> String {
    let names: Vec<_> = facts.iter().map(|fact| format!("`{}`", fact.name)).collect();
    if names.is_empty() { "–".to_owned() } else { names.join(", ") }
}
