//! `portcullis demo-server`: one route without policies in front of the built-in server.

use std::process::ExitCode;

use serde_json::json;

use super::serve::{Parts, Source, start};

pub(super) fn run(listen: &str, parts: Parts, terminal: bool) -> anyhow::Result<ExitCode> {
    let config = json!({
        "compatibilityDate": "2026-11-20",
        "gateway": { "listen": listen },
        "routes": { "/mcp": { "upstream": { "demo": true }, "policies": [] } },
    });
    let source = Source { file: "demo-server".into(), text: config.to_string(), watched: false };
    start(&source, parts, terminal)
}
