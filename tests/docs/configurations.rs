//! Every configuration that is shown can be used as it is.

use std::path::PathBuf;

use crate::{blocks, in_each_folder_of, name, pages, plan, read, root, tools, value};

/// Whole files. `custom_policy` has a policy that this program does not have; its own tests check it.
fn files() -> Vec<PathBuf> {
    let mut files = vec![root().join("routes.json")];
    files.extend(in_each_folder_of("examples", "routes.json"));
    files.retain(|file| !file.ends_with("custom_policy/routes.json"));
    files
}

#[test]
fn files_have_no_problems() {
    assert!(files().len() >= 5);
    for file in files() {
        let plan = plan(&name(&file), &read(&file));
        assert!(plan.report.is_empty(), "{}", plan.report);
        assert!(plan.generation.is_some());
    }
}

#[test]
fn files_are_valid_by_the_published_schema() {
    let schema = portcullis::config::json_schema(&tools().kinds);
    let validator = jsonschema::validator_for(&schema).expect("the published schema is a schema");
    for file in files() {
        let value = value(&read(&file)).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", name(&file));
    }
}

#[test]
fn files_name_the_schema_that_editors_find() {
    for file in files() {
        let value = value(&read(&file)).unwrap();
        let schema = file.parent().unwrap().join(value["$schema"].as_str().expect("no $schema"));
        assert_eq!(schema.canonicalize().unwrap(), root().join("routes.schema.json").canonicalize().unwrap());
    }
}

#[test]
fn blocks_of_pages_have_no_problems() {
    let mut checked = 0;
    for page in pages() {
        for block in blocks::blocks(&read(&page)) {
            let place = format!("{}:{}", name(&page), block.line);
            assert!(!block.language.is_empty(), "{place}: say which language it is, or `text`");
            if !["json", "jsonc"].contains(&block.language.as_str()) || place.contains("custom_policy") {
                continue;
            }
            let Some(configuration) = blocks::configuration(&block.text) else { continue };
            let plan = plan(&place, &serde_json::to_string_pretty(&configuration).unwrap());
            assert!(plan.report.is_empty(), "{place}\n{}", plan.report);
            checked += 1;
        }
    }
    assert!(checked >= 12, "only {checked} blocks were found");
}
