//! The fenced blocks of a page.

use serde_json::{Value, json};

use crate::value;

/// One fenced block.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// The fenced blocks of a page, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block { language: language.to_owned(), text: String::new(), line: index + 2 });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

/// A block of JSON as a whole configuration: files as they are; routes, policies and parts of files with the smallest
/// surroundings. None for the configuration of another program.
pub(crate) fn configuration(text: &str) -> Option<Value> {
    let value = value(text).or_else(|| value(&format!("{{{text}}}"))).expect("the block is not JSON with comments");
    let keys: Vec<&str> = value.as_object().expect("the block is no object").keys().map(String::as_str).collect();
    let any = |wanted: &[&str]| keys.iter().any(|key| wanted.contains(key));
    if any(&["mcpServers", "servers", "jsonrpc"]) {
        return None;
    }
    let route = |policies: Value| json!({ "upstream": { "demo": true }, "policies": policies });
    let mut file = json!({ "compatibilityDate": "2026-11-20", "routes": { "/mcp/demo": route(json!([])) } });
    let members = file.as_object_mut().unwrap();
    if any(&["policy"]) {
        members["routes"]["/mcp/demo"] = route(json!([value]));
    } else if any(&["upstream"]) {
        members["routes"]["/mcp/demo"] = value;
    } else if keys.iter().all(|key| key.starts_with('/')) {
        members["routes"] = value;
    } else {
        members.extend(value.as_object().unwrap().clone());
    }
    Some(file)
}
