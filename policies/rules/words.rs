//! What the callers of calls that wait are told.

use http::{HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp as Moment;
use serde_json::{Value, json};

use crate::kit::{
    approval::{Decision, Standing, Ticket},
    chain::{Request, Response},
    clock::Timestamp,
    credential::OwnAnswer,
    message::Message,
    refusal::{Reason, Refusal},
    reply::Reply,
};

/// Under what the pending result says the same for programs.
const META: &str = "portcullis/approval";

/// Why a call will not be made, if that is so.
pub(super) fn refusal(ticket: &Ticket, tool: &str) -> Option<Refusal> {
    let number = ticket.number;
    let refusal = match &ticket.standing {
        Standing::Proposed | Standing::Approved => return None,
        Standing::Denied(Decision { by, at, reason }) => {
            let reason = reason.as_ref().map(|reason| format!(": {reason:?}")).unwrap_or_default();
            let why = format!("{by} denied this call of {tool:?} (approval #{number}) at {}{reason}.", date(*at));
            Refusal::new(Reason::ApprovalDenied, why)
        }
        Standing::Expired => {
            let why = format!("Nobody approved this call of {tool:?} (approval #{number}) in time. Nothing was done.");
            Refusal::new(Reason::ApprovalExpired, why)
        }
        Standing::Used => {
            let why = format!("Another repetition of this call of {tool:?} was made with the approval #{number}.");
            Refusal::new(Reason::ApprovalUsed, why)
        }
        Standing::Withdrawn => {
            let why = format!("This call of {tool:?} (approval #{number}) was taken back. Nothing was done.");
            Refusal::new(Reason::ApprovalWithdrawn, why)
        }
        Standing::Changed(what) => {
            let why = format!(
                "The approval #{number} was asked for before the {what} changed, so it does not count for this call of \
                 {tool:?}. Nothing was done."
            );
            Refusal::new(Reason::ApprovalChanged, why).with_data("changed", *what)
        }
    };
    Some(refusal.with_data("approval", number))
}

/// The result of a call that waits: an error of the tool, which models read and hosts show.
pub(super) fn pending(request: &Request, ticket: &Ticket, tool: &str, now: Timestamp) -> Response {
    let Ticket { number, url, expires_at, .. } = ticket;
    let page = url.as_ref().map(|url| format!(" It is decided at {url}.")).unwrap_or_default();
    let text = format!(
        "This call of {tool:?} waits for approval #{number}. Nothing was done yet.{page} Once it is approved, \
         repeat the same call with the same arguments to get its result. It waits until {}.",
        date(*expires_at)
    );
    let seconds = expires_at.since(now).as_secs();
    let meta = json!({ "number": number, "state": "pending", "url": url, "expiresInSeconds": seconds });
    let mut result = json!({
        "content": [{ "type": "text", "text": text }],
        "isError": true,
        "_meta": { META: meta },
    });
    let message = request.body().message();
    if message.is_some_and(Message::is_modern) {
        result["resultType"] = "complete".into();
    }
    own_answer(message.and_then(Message::id).unwrap_or("null"), &result)
}

pub(super) fn own_answer(id: &str, result: &Value) -> Response {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let mut response = Response::new(Reply::Full(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(OwnAnswer);
    response
}

pub(super) fn date(at: Timestamp) -> String {
    Moment::from_second(at.as_seconds()).map(|moment| moment.to_string()).unwrap_or_default()
}

pub(super) fn no_definition() -> Refusal {
    let why = "The upstream does not say what this tool is, so nobody can approve a call of it. Nothing was done.";
    Refusal::new(Reason::ApprovalUnavailable, why)
}
