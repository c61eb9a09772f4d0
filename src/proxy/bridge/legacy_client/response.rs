//! Answers as clients of before 2026-07-28 take them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use portcullis_policies::kit::{
    chain::Response,
    message::Message,
    reply::{EventSource, Reply},
};

use crate::proxy::{
    aside::{Injected, Mailbox},
    bridge::told::Told,
    headers,
};

/// To clients of before, a message that was understood is answered with 200, also where the answer is an error.
pub(super) fn as_told_before(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => StatusCode::OK,
        other => other,
    }
}

/// A whole answer, with what the upstream said besides.
pub(super) fn whole(status: StatusCode, headers: HeaderMap, answer: Bytes) -> Response {
    let mut response = json_response(answer);
    *response.status_mut() = status;
    adopt(response.headers_mut(), headers);
    response
}

/// A stream, into which goes what comes to `mailbox` meanwhile.
pub(super) fn events(headers: HeaderMap, told: Told, mailbox: Option<&Arc<Mailbox>>) -> Response {
    let told: Box<dyn EventSource> = match mailbox {
        Some(mailbox) => Box::new(Injected::new(Box::new(told), mailbox.inlet())),
        None => Box::new(told),
    };
    let mut response = http::Response::new(Reply::Events(told));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    adopt(response.headers_mut(), headers);
    headers::to_client(response.headers_mut(), true, |_| None);
    response
}

/// Takes over what the upstream says besides, without what it says about its message.
fn adopt(into: &mut HeaderMap, mut from: HeaderMap) {
    headers::to_client(&mut from, false, |_| None);
    for name in [CONTENT_TYPE, headers::VERSION] {
        from.remove(name);
    }
    into.extend(from);
}

/// An answer of the gateway's own; `result` is JSON text.
pub(super) fn result(message: &Message, result: &str) -> Response {
    json_response(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, message.id().unwrap_or("null")).into())
}

/// One message.
pub(super) fn json_response(message: Bytes) -> Response {
    let mut response = http::Response::new(Reply::Full(message));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What is no request has been taken.
pub(super) fn accepted() -> Response {
    let mut response = http::Response::new(Reply::Empty);
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
