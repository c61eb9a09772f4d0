//! The messages that stories send.

use serde_json::{Value, json};

use super::Request;

pub(crate) fn call(id: impl Into<Value>, tool: &str, arguments: &Value) -> Value {
    request(id, "tools/call", &json!({ "name": tool, "arguments": arguments }))
}

pub(crate) fn list_tools(id: impl Into<Value>) -> Value {
    request(id, "tools/list", &json!({}))
}

pub(crate) fn initialize(id: impl Into<Value>) -> Value {
    let client = json!({ "name": "story", "version": "1" });
    request(id, "initialize", &json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client }))
}

pub(crate) fn notification(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": method })
}

pub(crate) fn result(id: impl Into<Value>, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "result": result })
}

/// A tool call of the revision 2026-07-28, with the headers that repeat it.
pub(crate) fn modern(path: &str, id: impl Into<Value>, tool: &str) -> Request {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let message = request(id, "tools/call", &json!({ "name": tool, "arguments": {}, "_meta": meta }));
    Request::post(path, &message)
        .header("Mcp-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", tool)
}

fn request(id: impl Into<Value>, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}
