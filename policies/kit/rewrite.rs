//! Another message in the place of a client's own.

use bytes::Bytes;

use crate::kit::{
    chain::{Inbound, Request},
    json::Limits,
    message::{Message, Unreadable},
};

/// What begins the name of a header that repeats an argument (MCP 2026-07-28, "Custom Headers from Tool Parameters").
pub const REPEATS_ARGUMENT: &str = "mcp-param-";

/// Puts an edited message in the place of the one that came. It is read as strictly, so that the layers behind judge what is
/// sent; the headers that repeat arguments could say something else now, and go.
pub fn rewrite(request: &mut Request, text: String) -> Result<(), Unreadable> {
    // What came was within its limits, and an edit may make it a little longer.
    let limits = Limits { nodes: u32::MAX, keys: u32::MAX, string: u32::MAX, ..Limits::MESSAGE };
    *request.body_mut() = Inbound::Message(Message::read(Bytes::from(text), &limits)?);
    let repeating = |name: &http::HeaderName| name.as_str().starts_with(REPEATS_ARGUMENT);
    let repeated: Vec<_> = request.headers().keys().filter(|name| repeating(name)).cloned().collect();
    for name in repeated {
        request.headers_mut().remove(name);
    }
    Ok(())
}
