//! What people read.

use serde_json::json;

use super::{examine, typed, vendor};
use crate::harness::{Answer, SERVER_METADATA, Upstream};

#[tokio::test]
async fn people_read_a_list_then_the_diagnosis_the_fix_and_how_to_verify_it() {
    let vendor = vendor().await;
    vendor.says(SERVER_METADATA, json!({ "code_challenge_methods_supported": null }));
    let url = vendor.url();
    let output = typed(&[&url], &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let places: Vec<_> =
        ["  ok       name", "  failed   issuer", "  skipped  tools", "Diagnosis", "The smallest fix", "Verify"]
            .iter()
            .map(|part| text.find(part).unwrap_or_else(|| panic!("{part:?} is not in {text}")))
            .collect();
    assert!(places.is_sorted(), "{text}");
    // What is under way is for a terminal.
    assert!(!text.contains(['\r', '…', '\u{1b}']), "{text}");
    assert!(text.trim_end().ends_with(&format!("portcullis doctor '{url}'")), "{text}");
}

#[tokio::test]
async fn what_is_no_url_is_said_before_anything_is_asked() {
    for url in ["mcp.example/mcp", "ftp://mcp.example/", "https://ada:canary@mcp.example/mcp"] {
        let output = typed(&[url], &[]).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.starts_with("error: ") && !told.contains("canary"), "{told}");
    }
}

#[tokio::test]
async fn whose_token_is_sent_is_said_and_an_empty_one_is_none() {
    let vendor = vendor().await;
    let url = vendor.url();
    let again = format!("PORTCULLIS_DOCTOR_TOKEN=\"$TOKEN\" portcullis doctor '{url}' --client vscode");
    for (arguments, variable, from) in [
        (&["--token", "canary-token"][..], "", Some("--token")),
        (&[], "canary-token", Some("PORTCULLIS_DOCTOR_TOKEN")),
        (&["--token", ""], "canary-token", None),
        (&["--token", " "], "", None),
    ] {
        let arguments = [&[&*url, "--client", "vscode"], arguments].concat();
        let text = String::from_utf8(typed(&arguments, &[("PORTCULLIS_DOCTOR_TOKEN", variable)]).await.stdout).unwrap();
        let head = from.map(|from| format!("with the token of {from}\n")).unwrap_or_default();
        assert!(text.starts_with(&format!("{url}\n{head}\n")) && !text.contains("canary"), "{text}");
        match from {
            Some(_) => {
                let verify = format!("\nVerify\n  # $TOKEN is the access token\n  {again}\n");
                assert!(text.contains("token_refused") && text.ends_with(&verify), "{text}");
            }
            None => assert!(text.contains("\nNothing is wrong"), "no token is refused: {text}"),
        }
    }
}

#[tokio::test]
async fn where_nothing_could_be_asked_no_line_says_that_nothing_answers() {
    let text = String::from_utf8(typed(&["http://127.0.0.1:1/mcp"], &[]).await.stdout).unwrap();
    assert!(text.contains("there is no MCP server to ask") && !text.contains("server answers"), "{text}");
}

#[tokio::test]
async fn a_token_or_a_client_that_would_not_be_looked_at_is_refused() {
    for arguments in [&["--client", "vscode"][..], &["--token", "canary"]] {
        let output = typed(arguments, &[]).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains("[URL]") | told.contains("<URL>"), "{told}");
    }
}

#[tokio::test]
async fn a_token_for_servers_is_none_to_be_examined() {
    let output = typed(&["token"], &[("PORTCULLIS_DOCTOR_TOKEN", "a.b.c")]).await;
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let output =
        typed(&["token", "--config", "/nowhere/routes.json"], &[("PORTCULLIS_EXAMINED_TOKEN", "8d1f0c5e9a")]).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_key_in_the_query_is_sent_and_not_shown() {
    let upstream = Upstream::new(|_| Answer::status(404)).await;
    let seen = examine(&format!("{}?key=canary", upstream.url())).await;
    assert_eq!(seen.codes(), ["not_found"]);
    assert!(!seen.printed.contains("canary"), "{}", seen.printed);
    assert_eq!(upstream.requests()[0].path(), "/mcp?key=canary");
    let text = String::from_utf8(typed(&[&format!("{}?key=canary", upstream.url())], &[]).await.stdout).unwrap();
    let again = format!("portcullis doctor '{}?'\"$QUERY\"\n", upstream.url());
    assert!(text.contains("  # $QUERY is what follows `?` in the URL\n") && text.ends_with(&again), "{text}");
}
