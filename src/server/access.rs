//! The access log: one line for each request to a route.

use std::{borrow::Cow, time::Duration};

use http::StatusCode;
use portcullis_policies::kit::{
    chain::{Arrival, Response},
    credential::UpstreamAttempts,
    decision::{Decided, Decisions},
    message::{Message, Method},
    refusal::{Cause, Reason},
    reply::Reply,
};
use tokio::time::Instant;

/// One request, from its arrival to the head of its answer.
pub(super) struct Access {
    started: Instant,
    arrival: Option<Arrival>,
}

/// What came of a request.
pub(super) struct Outcome<'a> {
    pub(super) status: StatusCode,
    pub(super) reason: Option<Reason>,
    pub(super) method: Option<&'a Method>,
    /// What exactly is wrong, where that is known.
    cause: Option<Cause>,
    message: Option<&'a Message>,
    pub(super) stream: bool,
    /// How often the upstream got the call, if more than once.
    attempts: Option<UpstreamAttempts>,
    /// What rules decided.
    pub(super) decisions: &'a [Decided],
}

impl Access {
    pub(super) fn begin(enabled: bool, arrival: &Arrival) -> Self {
        Self { started: Instant::now(), arrival: enabled.then(|| arrival.clone()) }
    }

    pub(super) fn end(&mut self, outcome: &Outcome<'_>) -> Duration {
        let elapsed = self.started.elapsed();
        if let Some(arrival) = self.arrival.take() {
            write(&arrival, Some(outcome), elapsed);
        }
        elapsed
    }
}

/// A client that went away before its answer came still has had its request.
impl Drop for Access {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival.take() {
            write(&arrival, None, self.started.elapsed());
        }
    }
}

/// The line; without an outcome the client has gone.
fn write(arrival: &Arrival, outcome: Option<&Outcome<'_>>, elapsed: Duration) {
    tracing::info!(
        target: "access",
        request_id = arrival.request_id.as_str(),
        client = %arrival.client,
        route = &*arrival.route,
        method = outcome.map(Outcome::method_label),
        target = outcome.and_then(Outcome::target).map(printable).as_deref(),
        status = outcome.map(|outcome| outcome.status.as_u16()),
        reason = outcome.map_or(Some("client_gone"), |outcome| outcome.reason.map(Reason::code)),
        fault = outcome.and_then(|outcome| outcome.cause).map(|cause| cause.code),
        stream = outcome.map(|outcome| outcome.stream),
        upstream_attempts = outcome.and_then(|outcome| outcome.attempts).map(|UpstreamAttempts(sent)| sent),
        ms = milliseconds(elapsed),
        "request"
    );
}

impl<'a> Outcome<'a> {
    pub(super) fn of(response: &'a Response, message: Option<&'a Message>) -> Self {
        Self {
            status: response.status(),
            reason: response.extensions().get().copied(),
            cause: response.extensions().get().copied(),
            method: message.and_then(Message::method),
            message,
            stream: matches!(response.body(), Reply::Events(_)),
            attempts: response.extensions().get().copied(),
            decisions: response.extensions().get().map(|Decisions(decided)| decided.as_slice()).unwrap_or_default(),
        }
    }

    fn target(&self) -> Option<&'a str> {
        self.message.and_then(Message::target).map(|(_, target)| target)
    }

    /// The method, of which there are few: names that clients make up are not among them.
    pub(super) fn method_label(&self) -> &'static str {
        match self.method {
            Some(method) => method.known_name().unwrap_or("other"),
            None => "none",
        }
    }
}

fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e5).round() / 100.0
}

/// Names come from clients: control characters must not reach a terminal, nor long ones a log.
fn printable(text: &str) -> Cow<'_, str> {
    const MOST: usize = 256;
    if text.len() <= MOST && !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    text.chars().take(MOST).flat_map(char::escape_default).collect::<String>().into()
}
