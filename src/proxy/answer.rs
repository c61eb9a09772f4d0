//! What of an upstream's answer may be shown.

use std::future::poll_fn;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use portcullis_policies::kit::{
    headers::{has, values},
    refusal::{Reason, Refusal},
    reply::Reply,
};

use crate::fault::{Fault, Seen};

/// How many events may come before an answer that the gateway itself waits for.
pub(super) const EVENTS: usize = 64;

/// Statuses that must not reach the client as they are: a redirect would leave us.
pub(super) fn judge_status(status: StatusCode, headers: &HeaderMap) -> Result<(), Refusal> {
    match status {
        _ if status.is_redirection() || status.is_informational() => {
            let message = format!("The upstream answered {status}, which the gateway does not follow.");
            let refusal = Refusal::new(Reason::UpstreamInvalid, message);
            let fault = status.is_redirection().then(|| Fault::of_answer(&Seen::new(status, headers, &[])));
            Err(caused(refusal, fault))
        }
        _ => Ok(()),
    }
}

/// A complete body, if it may be shown as the answer. `answers`: a request was sent, and not a notification or a response.
pub(super) fn complete(
    kind: MediaType,
    bytes: Bytes,
    whole: bool,
    (status, headers): (StatusCode, &HeaderMap),
    answers: bool,
) -> Result<Reply, Refusal> {
    match kind {
        // Without a length, only the message itself says whether it is all there.
        MediaType::Json if !whole && !bytes.is_empty() && !is_json(&bytes) => {
            Err(unknown_outcome(Reason::UpstreamTruncated.into()))
        }
        MediaType::Json if is_object(&bytes) => Ok(bytes.into()),
        _ if !answers && status.is_success() => Ok(Reply::Empty),
        _ if status.is_success() => {
            let message = "The upstream's answer is neither JSON nor an event stream.";
            let refusal = Refusal::new(Reason::UpstreamInvalid, message);
            Err(unknown_outcome(caused(refusal, fault_of(status, headers, &bytes))))
        }
        _ => {
            let message = format!("The upstream answered {status}.");
            let refusal = Refusal::new(Reason::UpstreamStatus, message).with_status(status);
            Err(caused(refusal, fault_of(status, headers, &bytes)))
        }
    }
}

fn caused(refusal: Refusal, fault: Option<Fault>) -> Refusal {
    match fault {
        Some(fault) => refusal.because(fault.as_cause()),
        None => refusal,
    }
}

/// What `portcullis doctor` would say of it. That a server refuses this message in words that are no message of MCP, as
/// with 400, does not say that it never answers with one.
fn fault_of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Fault> {
    let fault = Fault::of_answer(&Seen::new(status, headers, body));
    (fault != Fault::NotMcp || !status.is_client_error()).then_some(fault)
}

/// The message that answers request `id`, out of a whole body or a stream; none if there is none before [`EVENTS`] others.
pub(super) async fn answer_to(id: &str, reply: Reply) -> Option<Bytes> {
    let mut source = match reply {
        Reply::Empty => return None,
        Reply::Full(bytes) => return Some(bytes),
        Reply::Events(source) => source,
    };
    for _ in 0..EVENTS {
        let event = poll_fn(|context| source.poll_event(context)).await?;
        if event.answers(id) {
            return event.data_bytes();
        }
    }
    None
}

/// The upstream had the request and did not refuse it: the call may have had an effect, whatever came of the answer.
pub(super) fn unknown_outcome(refusal: Refusal) -> Refusal {
    refusal.with_data("outcome", "unknown")
}

/// A look at both ends, which events, pages and compressed bytes under the name of JSON do not pass.
fn is_object(bytes: &[u8]) -> bool {
    let message = bytes.trim_ascii();
    message.starts_with(b"{") && message.ends_with(b"}")
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// What an upstream says its answer is; compared exactly, after parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    Json,
    Events,
    Other,
}

impl MediaType {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut types = values(headers, &header::CONTENT_TYPE);
        let (Some(value), None) = (types.next(), types.next()) else { return Self::Other };
        if has(headers, &header::CONTENT_ENCODING) {
            return Self::Other;
        }
        if value == "application/json" {
            return Self::Json;
        }
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Events
        } else {
            Self::Other
        }
    }
}
