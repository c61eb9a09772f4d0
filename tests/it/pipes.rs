//! Commands whose output goes to somebody who stops reading, as with `| head -1`.

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Request, Route, Setup, Unread, list_tools, run, run_unread};

#[tokio::test]
async fn a_command_whose_output_nobody_reads_any_more_ends_quietly_and_as_it_would_have() {
    let route = Route::demo().policy("audit-log", &json!({})).policy("cors", &json!({ "allowedOrigins": [] }));
    let gateway = Setup::new().route("/mcp", route).spawn();
    assert_eq!(gateway.ask(&Request::post("/mcp", &list_tools(1))).await.status, 200);
    let file = gateway.folder().join("routes.json");
    let config = file.to_str().unwrap();
    let commands: [&[&str]; 6] = [
        &["explain", "--offline"],
        &["explain", "/mcp", "--call", "echo", "--args", r#"{"text":"x"}"#],
        &["check", "--json"],
        &["schema"],
        &["audit", "query"],
        &["audit", "verify"],
    ];
    for command in commands {
        let arguments = [&["--config", config], command].concat();
        let read = run(&arguments, &[]);
        assert!(!read.stdout.is_empty(), "{command:?} writes something: {read:?}");
        for unread in [Unread::Output, Unread::Errors] {
            let (code, other) = run_unread(&arguments, unread);
            assert_eq!(code, read.status.code(), "{command:?} {unread:?}: {other}");
            assert!(!other.contains("panicked") && !other.contains("Broken pipe"), "{command:?}: {other}");
        }
    }
    // Rows that did not arrive are no export.
    let (code, said) = run_unread(&["--config", config, "audit", "export"], Unread::Output);
    assert_eq!((code, &*said), (Some(1), ""));
}

#[test]
fn what_is_wrong_with_a_configuration_is_its_exit_code_also_where_nobody_reads_the_report() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("routes.json");
    std::fs::write(&file, "{").unwrap();
    for unread in [Unread::Output, Unread::Errors] {
        let (code, said) = run_unread(&["--config", file.to_str().unwrap(), "check"], unread);
        assert_eq!(code, Some(1), "{unread:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}
