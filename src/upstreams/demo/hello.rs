//! How the server introduces itself: `initialize` (legacy) and `server/discover` (modern).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{call::Call, fault::Fault, result, version};

const INSTRUCTIONS: &str = "A small notebook to try things with. Call list_notes to see what is there, \
    read_note to read one and write_note to add one. Notes live in memory and are gone after a restart.";

#[derive(Deserialize)]
struct InitializeParams {
    #[serde(rename = "protocolVersion")]
    protocol_version: String,
}

/// Settles on a legacy version.
pub(super) fn initialize(call: &Call) -> Result<Value, Fault> {
    let params: InitializeParams = call.params.parse()?;
    Ok(json!({
        "protocolVersion": version::negotiate(&params.protocol_version),
        // No `listChanged` or `subscribe`: without a GET stream there is no way to send them.
        "capabilities": { "completions": {}, "prompts": {}, "resources": {}, "tools": {} },
        "serverInfo": result::server_info(),
        "instructions": INSTRUCTIONS,
    }))
}

/// Says what a modern client may do here.
pub(super) fn discover() -> Value {
    json!({
        "supportedVersions": version::SUPPORTED,
        "capabilities": {
            "completions": {},
            "prompts": {},
            "resources": { "subscribe": true, "listChanged": true },
            "tools": {},
        },
        "instructions": INSTRUCTIONS,
    })
}
