//! Going on with a stream that ended too early: by GET and `Last-Event-ID`, never by sending the message again
//! (MCP 2025-11-25, "Resumability and Redelivery").

use std::{pin::Pin, time::Duration};

use http::HeaderValue;
use portcullis_policies::kit::{credential::UpstreamCredential, reply::Event};
use tokio::time::sleep;

use super::line::{Events, Line, Unheard};

/// How long to wait where the upstream does not say.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// What an upstream may ask for at most, and at least.
const LONGEST: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_millis(50);
/// Attempts after the last event.
const ATTEMPTS: u32 = 5;

/// Where a stream comes from.
pub(super) enum Source {
    /// It is open.
    Open(Events),
    /// It is being opened.
    Opening(Opening),
    /// It has ended for good.
    Ended,
}

/// A stream that is being opened.
pub(super) type Opening = Pin<Box<dyn Future<Output = Result<Events, Unheard>> + Send>>;

/// How far a stream has come, and how to ask for the rest.
pub(super) struct Resume {
    line: Line,
    last: Option<HeaderValue>,
    retry: Duration,
    attempts: u32,
}

impl Resume {
    pub(super) fn new(line: Line) -> Self {
        Self { line, last: None, retry: RETRY, attempts: 0 }
    }

    /// An event has come.
    pub(super) fn note(&mut self, event: &Event) {
        self.attempts = 0;
        if let Some(id) = event.id() {
            // An empty id takes back the ones before it (WHATWG HTML, "Event stream interpretation").
            self.last = HeaderValue::from_bytes(id).ok().filter(|id| !id.is_empty());
        }
        if let Some(retry) = event.retry() {
            self.retry = retry.clamp(SHORTEST, LONGEST);
        }
    }

    /// Can the stream go on where it stopped?
    pub(super) fn is_possible(&self) -> bool {
        self.last.is_some() && self.attempts < ATTEMPTS && !self.is_over()
    }

    /// Asks for the rest of the stream, after the time that the upstream wants, or `least`; for longer each time that
    /// nothing comes.
    pub(super) fn again(&mut self, least: Duration) -> Opening {
        let pause = self.retry.max(least).saturating_mul(1 << self.attempts.min(ATTEMPTS)).min(LONGEST);
        self.attempts += 1;
        let (line, last) = (self.line.clone(), self.last.clone());
        Box::pin(async move {
            sleep(pause).await;
            line.open(last.as_ref()).await
        })
    }

    /// Asks for the stream for the first time.
    pub(super) fn begin(&self) -> Opening {
        let line = self.line.clone();
        Box::pin(async move { line.open(None).await })
    }

    /// Has nothing come of too many attempts?
    pub(super) fn is_hopeless(&self) -> bool {
        self.attempts >= ATTEMPTS || self.is_over()
    }

    /// What it asks with.
    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// Is the credential one that must not be used any more?
    fn is_over(&self) -> bool {
        self.line.credential().is_some_and(UpstreamCredential::is_over)
    }
}
