//! Whether anything may come beside answers in a session, by what both sides said when it began.

use serde_json::Value;

/// May the upstream have something to say of its own accord? Told by its capabilities, and by those of the client, which it
/// may use. `params` are those of `initialize`, as JSON text, and `result` is its answer.
pub(in crate::proxy) fn speaks_aside(params: Option<&str>, result: &Value) -> bool {
    let offered = &result["capabilities"];
    let is_set = |path: &str| offered.pointer(path) == Some(&Value::Bool(true));
    let announces = ["/tools/listChanged", "/prompts/listChanged", "/resources/listChanged", "/resources/subscribe"];
    let params: Value = params.and_then(|params| serde_json::from_str(params).ok()).unwrap_or_default();
    let can_be_asked =
        ["roots", "sampling", "elicitation"].iter().any(|name| params["capabilities"][*name].is_object());
    offered["logging"].is_object() || announces.into_iter().any(is_set) || can_be_asked
}
