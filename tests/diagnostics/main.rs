//! Broken configurations, each beside the exact report that it gets.
//!
//! `NAME.jsonc` is the configuration, `NAME.txt` the report. `UPDATE=1 cargo test --test diagnostics` writes the reports
//! again; read them as a user would before you keep them.

mod fakes;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use portcullis::{
    config::Surroundings,
    pipeline::{Plan, Toolbox, plan},
    server::Services,
};
use portcullis_policies::{
    STANDARD,
    kit::{
        clock::SystemClock,
        policy::{Fact, PolicyKind},
    },
};

/// The environment of every case. All values hold `s3cr3t`, which no report may show.
const VARIABLES: [(&str, &str); 6] = [
    ("GITHUB_TOKEN", "ghp_s3cr3t"),
    ("TWO_LINES", "s3cr3t\nx-evil: 1"),
    ("NOT_A_URL", "s3cr3t.example.com/mcp"),
    ("NOT_A_NETWORK", "s3cr3t-network"),
    ("NOT_AN_ORIGIN", "https://s3cr3t.example.com/page"),
    ("NOT_AN_ADDRESS", "s3cr3t\"quoted\""),
];
/// The files of every case.
const FILES: [(&str, &str); 2] =
    [("secrets/token", "s3cr3t-from-a-file\n"), ("not-a-certificate.pem", "s3cr3t, but no PEM\n")];

#[test]
fn every_broken_configuration_gets_exactly_its_report() {
    let cases = cases();
    assert!(cases.len() > 40, "only {} cases in {}", cases.len(), folder().display());
    let different: Vec<_> = cases.iter().filter_map(|case| compare(case)).collect();
    assert!(
        different.is_empty(),
        "{}\nUPDATE=1 cargo test --test diagnostics writes the reports again",
        different.join("\n\n")
    );
}

#[test]
fn every_report_is_of_a_case() {
    let orphans: Vec<_> = paths("txt").into_iter().filter(|report| !report.with_extension("jsonc").is_file()).collect();
    assert!(orphans.is_empty(), "reports without a configuration: {orphans:?}");
}

#[test]
fn programs_get_the_same_problems_as_people() {
    for case in cases() {
        let report = plan_case(&case).report;
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        let (problems, text) = (json["problems"].as_array().unwrap(), report.to_string());
        let places = text.lines().filter(|line| line.trim_start().starts_with("--> ")).count();
        assert_eq!(problems.len(), places, "{}", case.display());
        for problem in problems {
            let place = format!("{}:{}:{}", name(&case), problem["line"], problem["column"]);
            assert!(text.contains(&place), "{place} is not in\n{text}");
            assert!(text.contains(problem["why"].as_str().unwrap()), "{problem} is not in\n{text}");
        }
    }
}

#[test]
fn check_ends_with_1_and_the_report() {
    let checked = portcullis(&["check", "--config", "many-problems.jsonc"]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(text(&checked.stdout), report("many-problems.jsonc"));
    assert_eq!(text(&checked.stderr), "");
}

#[test]
fn check_for_programs_ends_with_1_and_json() {
    let checked = portcullis(&["check", "--json", "--config", "many-problems.jsonc"]);
    assert_eq!(checked.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(report["file"], "many-problems.jsonc");
    let first = &report["problems"][0];
    assert_eq!(
        (&first["severity"], &first["line"], &first["column"], &first["at"]),
        (&"error".into(), &3.into(), &3.into(), &"/compatibilityDate".into())
    );
}

#[test]
fn check_ends_with_0_when_there_are_only_warnings_or_nothing() {
    let whole = format!("{}/routes.json", env!("CARGO_MANIFEST_DIR"));
    let checked = portcullis(&["check", "--config", &whole]);
    assert_eq!((checked.status.code(), text(&checked.stdout)), (Some(0), format!("{whole}: no problems\n")));
}

#[test]
fn serve_refuses_to_start_with_the_same_report() {
    for arguments in [&["--config", "many-problems.jsonc"][..], &["serve", "--config", "many-problems.jsonc"]] {
        let served = portcullis(arguments);
        assert_eq!(served.status.code(), Some(1));
        assert_eq!(text(&served.stderr), report("many-problems.jsonc"));
        assert_eq!(text(&served.stdout), "");
    }
}

#[test]
fn a_file_that_is_not_there_is_named_with_a_remedy() {
    let checked = portcullis(&["check", "--config", "nowhere.json"]);
    assert_eq!(checked.status.code(), Some(1));
    let said = text(&checked.stderr);
    assert!(said.starts_with("error: nowhere.json cannot be read: ") && said.contains("--config"), "{said}");
}

#[test]
fn a_fact_that_no_policy_gives_is_said_to_be_one() {
    let case = folder().join("order-limit-by-user-without-sign-in.jsonc");
    let report = plan_with(STANDARD.to_vec(), &case).report.to_string();
    let givers: Vec<_> =
        STANDARD.iter().filter(|kind| kind.gives.contains(&Fact::CALLER)).map(|kind| kind.name).collect();
    let remedy = match givers.as_slice() {
        [] => "none of this program's policies gives it".to_owned(),
        givers => format!("put one of these before `rate-limit`: {}", givers.join(", ")),
    };
    assert!(report.contains(&remedy), "{report}");
}

// Helpers ---------------------------------------------------------------------------------------------------------

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn cases() -> Vec<PathBuf> {
    paths("jsonc")
}

fn paths(extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    paths.sort();
    paths
}

fn name(case: &Path) -> String {
    case.file_name().unwrap().to_string_lossy().into_owned()
}

fn report(case: &str) -> String {
    plan_case(&folder().join(case)).report.to_string()
}

/// What is different; writes the report if it is asked to.
fn compare(case: &Path) -> Option<String> {
    let report = plan_case(case).report;
    let (found, json) = (report.to_string(), report.to_json());
    let file = case.with_extension("txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    let complaint = if report.is_empty() {
        "has no problem"
    } else if found.contains("s3cr3t") || json.contains("s3cr3t") {
        "tells a secret"
    } else if found != wanted {
        "is not as it was"
    } else {
        return None;
    };
    Some(format!("== {} {complaint}\n-- expected\n{wanted}\n-- found\n{found}", case.display()))
}

fn plan_case(case: &Path) -> Plan {
    plan_with([STANDARD, fakes::FAKES].concat(), case)
}

fn plan_with(kinds: Vec<PolicyKind>, case: &Path) -> Plan {
    let variables = BTreeMap::from(VARIABLES);
    let files = BTreeMap::from(FILES);
    let surroundings = Surroundings {
        variable: &|name| variables.get(name).map(ToString::to_string),
        variables: &|| variables.keys().map(ToString::to_string).collect(),
        file: &|path| match files.get(&*path.to_string_lossy()) {
            Some(content) => Ok((*content).to_owned()),
            None => Err("No such file or directory".to_owned()),
        },
    };
    let tools = Toolbox {
        kinds,
        demo: portcullis::upstreams::demo_server(),
        host: fakes::host(Services::new(Arc::new(SystemClock)).host(0)),
        shared: portcullis::proxy::Shared::new(),
        listen: None,
    };
    let plan = plan(&name(case), &fs::read_to_string(case).unwrap(), &surroundings, &tools);
    assert_eq!(plan.generation.is_some(), !plan.report.has_errors(), "{}", case.display());
    plan
}

fn portcullis(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).current_dir(folder()).env_remove("PORTCULLIS_CONFIG").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
