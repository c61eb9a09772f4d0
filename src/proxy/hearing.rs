//! The stream on which an upstream speaks of its own accord, in a session (MCP 2025-11-25, "Listening for Messages from the
//! Server").

use std::task::{Context, Poll, ready};

use http::StatusCode;
use portcullis_policies::kit::reply::{Event, EventSource};

use super::{
    line::{Line, Unheard},
    resume::{RETRY, Resume, Source},
};

/// Gives what comes on it, and goes on after it was cut. It ends when the upstream has no such stream, or no more.
///
/// It awaits no answer, so no clock ends it: whoever holds it lets go of it.
pub(super) struct Hearing {
    source: Source,
    resume: Resume,
    refused: Option<StatusCode>,
}

impl Hearing {
    pub(super) fn new(line: Line) -> Self {
        let resume = Resume::new(line);
        Self { source: Source::Opening(resume.begin()), resume, refused: None }
    }

    /// Why the upstream gives no such stream, after the end.
    pub(super) fn refused(&self) -> Option<StatusCode> {
        self.refused
    }

    /// Does what the upstream says come here now?
    pub(super) fn is_open(&self) -> bool {
        matches!(self.source, Source::Open(_))
    }

    /// What it asks with.
    pub(super) fn line(&self) -> &Line {
        self.resume.line()
    }

    /// Asks once more, unless nothing has come of it too often.
    fn again(&mut self) {
        // Nobody waits for it, so there is time.
        self.source = if self.resume.is_hopeless() { Source::Ended } else { Source::Opening(self.resume.again(RETRY)) };
    }
}

impl EventSource for Hearing {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            match &mut self.source {
                Source::Ended => return Poll::Ready(None),
                Source::Opening(opening) => match ready!(opening.as_mut().poll(context)) {
                    Ok(events) => self.source = Source::Open(events),
                    Err(Unheard::Refused(status)) => {
                        self.refused = Some(status);
                        self.source = Source::Ended;
                    }
                    Err(Unheard::Failed(refusal)) => {
                        tracing::debug!(reason = refusal.reason().code(), "no stream: {}", refusal.message());
                        self.again();
                    }
                },
                Source::Open(events) => match ready!(events.poll(context)) {
                    Ok(Some(event)) => {
                        self.resume.note(&event);
                        if let Some(event) = event.without_resumption().filter(|event| event.data().is_some()) {
                            return Poll::Ready(Some(event));
                        }
                    }
                    Ok(None) | Err(_) => self.again(),
                },
            }
        }
    }
}
