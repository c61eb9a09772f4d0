//! What means the same in both eras.

use portcullis_policies::kit::message::Method;

/// Tasks of 2026-07-28 are an extension with rules of its own, and those of 2025-11-25 have no counterpart in it.
pub(super) const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A severity of log messages (RFC 5424), by the names that MCP has for them.
pub(super) type Level = &'static str;

/// All of them, the least severe first.
pub(super) const LEVELS: [Level; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The level with this name.
pub(super) fn level(name: &str) -> Option<Level> {
    LEVELS.into_iter().find(|level| *level == name)
}

/// Has the method the same name and meaning in both eras?
pub(super) fn is_carried(method: &Method) -> bool {
    method.is_list()
        || may_ask_back(method)
        // Whether the upstream has a method that the operator allows is for the upstream to say.
        || matches!(method, Method::Complete | Method::Unknown(_))
}

/// May something be asked of the caller before it is answered (MCP 2026-07-28, "Multi Round-Trip Requests")?
pub(super) fn may_ask_back(method: &Method) -> bool {
    matches!(method, Method::CallTool | Method::GetPrompt | Method::ReadResource)
}
