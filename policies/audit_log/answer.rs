//! What the answer to a request says, as far as rows tell.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;

use crate::kit::{
    audit::{Capture, Captured, Detail},
    chain::RequestId,
    refusal::Reason,
    reply::{Answer, AnswerKind},
};

/// Longer answers are results, as good as always: they are read only where results are kept.
const READ: usize = 16 << 10;

/// What an answer says.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// What kind of error it is.
    pub(super) class: Option<&'static str>,
    /// The gateway's own reason, which stands in the errors that end its streams.
    pub(super) reason: Option<Reason>,
    /// The result, as far as it is kept.
    pub(super) result: Option<Captured>,
}

/// Reads an answer.
pub(super) fn said(message: &[u8], own: Option<RequestId>, results: Capture) -> Said {
    if results.detail == Detail::Off && (message.len() > READ || is_plain(message)) {
        return Said::default();
    }
    let Ok(answer) = Answer::read(message) else { return Said::default() };
    let payload = answer.payload().map(|span| span.of(message)).unwrap_or_default();
    match answer.kind() {
        AnswerKind::Error => Said { class: Some("json_rpc_error"), reason: reason_of(payload, own), result: None },
        AnswerKind::Result => Said {
            class: is_tool_error(payload).then_some("tool_error"),
            reason: None,
            result: std::str::from_utf8(payload).ok().and_then(|payload| results.of(payload)),
        },
        AnswerKind::Request | AnswerKind::Notification => Said::default(),
    }
}

/// Is it certainly no error of any kind? The letters would be there, or escapes for them.
fn is_plain(message: &[u8]) -> bool {
    static SIGNS: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| ["error", "isError", "\\u"].map(Finder::new));
    SIGNS.iter().all(|sign| sign.find(message).is_none())
}

/// Upstreams may write such codes too, but not with the id of this request.
fn reason_of(error: &[u8], own: Option<RequestId>) -> Option<Reason> {
    #[derive(Deserialize)]
    struct Error<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data<'a> {
        reason: &'a str,
        request_id: &'a str,
    }
    let error: Error<'_> = serde_json::from_slice(error).ok()?;
    let is_ours = own.is_some_and(|own| own.as_str() == error.data.request_id);
    let reason = Reason::ALL.iter().copied().find(|reason| is_ours && reason.code() == error.data.reason);
    // Whoever waits has not been refused.
    reason.filter(|reason| *reason != Reason::ApprovalRequired)
}

fn is_tool_error(result: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ToolResult {
        #[serde(default)]
        is_error: bool,
    }
    !is_plain(result) && serde_json::from_slice::<ToolResult>(result).is_ok_and(|result| result.is_error)
}
