//! What is said to somebody whose client does not work.

use serde_json::{Value, json};

use super::{examine, examine_with, typed, url, vendor};
use crate::harness::{Gateway, Route, SERVER_METADATA};

#[tokio::test]
async fn who_names_a_client_reads_what_to_do_there_also_where_nothing_is_wrong() {
    let vendor = vendor().await;
    for (client, title, step) in [
        ("mcp-remote", "If mcp-remote still fails", "rm -rf \"${MCP_REMOTE_CONFIG_DIR:-$HOME/.mcp-auth}\""),
        ("vscode", "If VS Code still fails", "Authentication: Remove Dynamic Authentication Provider"),
        ("claude-code", "If Claude Code still fails", "Clear authentication"),
        ("cursor", "If Cursor still fails", "Cursor: Clear All MCP Tokens"),
    ] {
        let arguments = [&*vendor.url(), "--client", client];
        let seen = examine_with(&arguments, &[]).await;
        seen.is_healthy();
        assert_eq!(seen.check("client").0, "ok", "{}", seen.printed);
        let told = &seen.report["client"];
        assert_eq!(told["name"], client);
        assert!(told["steps"].to_string().contains("xdg-open"), "{told}");
        let text = String::from_utf8(typed(&arguments, &[]).await.stdout).unwrap();
        assert!(text.contains(title) && text.contains(step), "{text}");
    }
    let seen = examine(&vendor.url()).await;
    assert_eq!(seen.report["client"], Value::Null);
    assert_eq!(seen.check("client").0, "skipped");
}

#[tokio::test]
async fn a_client_s_steps_come_after_the_fixes_with_the_url_in_their_commands() {
    let vendor = vendor().await;
    vendor.says(SERVER_METADATA, json!({ "code_challenge_methods_supported": null }));
    let url = vendor.url();
    let text = String::from_utf8(typed(&[&url, "--client", "mcp-remote"], &[]).await.stdout).unwrap();
    let command = format!("npx -p mcp-remote@latest mcp-remote-client '{url}'");
    let places: Vec<_> = ["The smallest fix", "For mcp-remote", &command, "Verify"]
        .iter()
        .map(|part| text.find(part).unwrap_or_else(|| panic!("{part:?} is not in {text}")))
        .collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.trim_end().ends_with(&format!("portcullis doctor '{url}' --client mcp-remote")), "{text}");
}

#[tokio::test]
async fn claude_desktop_is_told_that_it_reaches_only_port_443_of_public_addresses() {
    let gateway = Gateway::with(Route::demo()).await;
    let seen = examine_with(&[&url(&gateway), "--client", "claude-desktop"], &[]).await;
    assert_eq!(
        (seen.codes(), seen.exit_code),
        (vec!["client_address_not_public", "client_needs_https", "client_port"], Some(3)),
        "{}",
        seen.printed
    );
    assert!(seen.report["client"]["redirectUris"].to_string().contains("https://claude.ai/api/mcp/auth_callback"));
}

#[tokio::test]
async fn a_client_that_nobody_knows_is_refused_with_those_that_are_known() {
    let output = typed(&["http://127.0.0.1:1/mcp", "--client", "netscape"], &[]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("claude-desktop"), "{told}");
}
