//! What each complete result of the modern era carries besides the method's own members.
//!
//! Source: 2026-07-28 `schema.ts`: `Result`, `ResultMetaObject`, `CacheableResult`.

use serde_json::{Map, Value, json};

/// Where `_meta` says who answered.
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";
/// How long a client may keep what never changes while this process lives.
const CONSTANT_TTL_MS: u32 = 60 * 60 * 1000;

/// Adds those members.
pub(super) fn complete(members: &mut Map<String, Value>, method: &str) {
    members.insert("resultType".to_owned(), json!("complete"));
    members.insert("_meta".to_owned(), json!({ SERVER_INFO_KEY: server_info() }));
    if let Some((ttl_ms, scope)) = freshness(method) {
        members.insert("ttlMs".to_owned(), json!(ttl_ms));
        members.insert("cacheScope".to_owned(), json!(scope));
    }
}

/// For the cacheable methods, how long and by whom a result may be kept.
///
/// What is compiled in is the same for everybody. Notes change at any time and belong to whoever reached
/// them through the gateway.
fn freshness(method: &str) -> Option<(u32, &'static str)> {
    match method {
        "server/discover" | "tools/list" | "prompts/list" | "resources/templates/list" => {
            Some((CONSTANT_TTL_MS, "public"))
        }
        "resources/list" | "resources/read" => Some((0, "private")),
        _ => None,
    }
}

/// The `Implementation` object of this server.
pub(super) fn server_info() -> Value {
    json!({
        "name": "portcullis-demo",
        "title": "Portcullis demo notebook",
        "version": env!("CARGO_PKG_VERSION"),
    })
}
