//! What is said about a tool that is not good.

use super::{
    ToolPinning,
    judge::{Fault, Why},
    options::OnDifference,
    seen::Seen,
};
use crate::kit::{
    policy::Policy,
    refusal::{Reason, Refusal},
};

/// For the caller, who cannot change it.
pub(super) fn refused(tool: &str, fault: Fault) -> Refusal {
    let (reason, message) = match fault.why {
        Why::Changed => (Reason::ToolChanged, format!("The definition of {tool:?} has changed since it was pinned.")),
        Why::New => (Reason::ToolUnapproved, format!("Nobody has approved the tool {tool:?}.")),
        Why::Flagged => (
            Reason::ToolUnapproved,
            format!("Something in the definition of {tool:?} is suspicious, and nobody has approved it."),
        ),
        Why::Ambiguous => {
            (Reason::ToolUnapproved, format!("The upstream lists several tools that are called {tool:?}."))
        }
        Why::Unknown => (Reason::ToolUnapproved, format!("The upstream does not say what the tool {tool:?} is.")),
    };
    let refusal = Refusal::new(reason, message).with_data("why", fault.why.name());
    match (fault.why, fault.then) {
        (Why::Ambiguous | Why::Unknown, _) => {
            refusal.with_remedy("Use a tool of the list, or report it to whoever runs the upstream.")
        }
        (_, OnDifference::Block) => refusal.with_remedy("Use another tool, or ask the operator: this route blocks it."),
        _ => refusal,
    }
}

/// For the operator, once for each definition.
pub(super) fn noticed(upstream: &str, tool: &str, fault: Fault, seen: &Seen) {
    let digest = seen.digest.short();
    let command = match (fault.then, seen.can_be_pinned) {
        (_, false) => "it is longer than `limits.definitionBytes`".to_owned(),
        (OnDifference::Block, _) => {
            format!("this route blocks it; see it with: portcullis pins diff '{upstream}'")
        }
        _ => format!(
            "see it with: portcullis pins diff '{upstream}'; approve it with: portcullis pins approve '{upstream}' {} --digest {digest}",
            quoted(tool)
        ),
    };
    let flags = seen.flags.join("; ");
    let (rule, outcome) = (fault.why.name(), fault.outcome());
    tracing::warn!(upstream, tool = ?tool, rule, outcome, digest, flags, "{}: {command}", ToolPinning::NAME);
}

/// As a word of a shell; what is not plain is left for people to copy from the list.
fn quoted(tool: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
    if !tool.is_empty() && !tool.starts_with('-') && tool.bytes().all(plain) { tool } else { "TOOL" }
}
