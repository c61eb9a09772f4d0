use serde_json::json;

use super::*;
use crate::kit::{host::Caller, json::Limits};

fn rules(scopes: &[&str], tools: &serde_json::Value) -> Result<ScopeRules, Vec<Problem>> {
    let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
    ScopeRules::new(&scopes, &serde_json::from_value(tools.clone()).unwrap())
}

fn call(method: &str, name: &str) -> Message {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": { "name": name } });
    Message::read(message.to_string().into(), &Limits::MESSAGE).unwrap()
}

fn access(scopes: &[&str]) -> Access {
    let scopes: Vec<Box<str>> = scopes.iter().map(|scope| (*scope).into()).collect();
    Access { caller: Caller::new("ada"), scopes: scopes.into() }
}

#[test]
fn a_tool_needs_the_scopes_of_all_that_match_it() {
    let rules =
        rules(&["base"], &json!({ "delete_*": ["delete"], "*_note": ["notes"], "delete_note": ["both"] })).unwrap();
    let missing = |tool: &str, given: &[&str]| rules.missing(Some(&call("tools/call", tool)), &access(given));
    assert_eq!(missing("list", &["base"]), None);
    assert_eq!(missing("delete_all", &["base", "delete"]), None);
    assert_eq!(missing("delete_all", &["delete"]).unwrap().join(" "), "base delete");
    assert_eq!(missing("delete_note", &["base", "delete", "notes"]).unwrap().join(" "), "base notes delete both");
    assert_eq!(missing("delete_note", &["base", "delete", "notes", "both"]), None);
}

#[test]
fn a_scope_is_not_had_by_halves() {
    let rules = rules(&["mcp:tools"], &json!({})).unwrap();
    for given in [&[][..], &["mcp"], &["mcp:tools:read"], &["MCP:TOOLS"], &["mcp:tool"], &["mcp:tools mcp:more"]] {
        assert!(rules.missing(None, &access(given)).is_some(), "{given:?}");
    }
}

#[test]
fn only_tools_have_scopes_of_their_own() {
    let rules = rules(&[], &json!({ "*": ["tools"] })).unwrap();
    assert_eq!(rules.missing(Some(&call("prompts/get", "x")), &access(&[])), None);
    assert_eq!(rules.missing(None, &access(&[])), None);
    assert!(rules.missing(Some(&call("tools/call", "x")), &access(&[])).is_some());
}

#[test]
fn what_is_no_scope_is_found_at_its_place() {
    let problems = rules(&["ok", "a b"], &json!({ "x/y~z": ["", "quo\"te"] })).unwrap_err();
    let places: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(places, ["/scopes/1", "/toolScopes/x~1y~0z/0", "/toolScopes/x~1y~0z/1"]);
    assert_eq!(problems[0].hint.as_deref(), Some("write each scope by itself: \"a\", \"b\""));
}
