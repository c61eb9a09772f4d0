//! An upstream's event stream on its way to the client, event by event.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use portcullis_policies::kit::{
    chain::RequestId,
    refusal::{Addressee, Reason, Refusal},
    reply::{Event, EventLimits, EventReader, EventSource, TooLong},
};
use tokio::time::Instant;

use super::{
    clocks::Clocks,
    deadline::LazyTimer,
    endpoint::{Broken, UpstreamBody},
};

/// Gives whole events as soon as they have come, and ends with an error event where the upstream broke off.
pub(super) struct Relay {
    /// None when the stream has ended.
    body: Option<UpstreamBody>,
    reader: EventReader,
    /// The request that still waits for its answer.
    awaiting: Option<Box<str>>,
    request_id: Option<RequestId>,
    watch: Watch,
}

impl Relay {
    pub(super) fn new(
        body: UpstreamBody,
        limits: EventLimits,
        clocks: Clocks,
        awaiting: Option<&str>,
        request_id: Option<RequestId>,
    ) -> Self {
        Self {
            body: Some(body),
            reader: EventReader::new(limits),
            awaiting: awaiting.map(Into::into),
            request_id,
            watch: Watch::new(clocks),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Event>, Refusal>> {
        loop {
            if let Some(event) = self.reader.next_event().map_err(too_long)? {
                self.settle(&event);
                return Poll::Ready(Ok(Some(event)));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
            match body.poll_data(context) {
                Poll::Ready(Some(Ok(bytes))) => {
                    self.watch.heard();
                    self.reader.push(bytes);
                }
                Poll::Ready(Some(Err(Broken))) => return Poll::Ready(Err(Reason::UpstreamTruncated.into())),
                Poll::Ready(None) => {
                    self.body = None;
                    let open = self.awaiting.is_some();
                    return Poll::Ready(if open { Err(Reason::UpstreamTruncated.into()) } else { Ok(None) });
                }
                Poll::Pending => return self.watch.poll(context),
            }
        }
    }

    /// Notes that the answer has come.
    fn settle(&mut self, event: &Event) {
        if self.awaiting.as_deref().is_some_and(|id| event.answers(id)) {
            self.awaiting = None;
        }
    }

    /// The last event of a stream that went wrong. Whoever has the answer already needs no error.
    fn fail(&mut self, refusal: &Refusal) -> Option<Event> {
        self.body = None;
        tracing::warn!(reason = refusal.reason().code(), "event stream ended: {}", refusal.message());
        let id = self.awaiting.take()?;
        let request_id = self.request_id.as_ref().map(RequestId::as_str);
        let refusal = refusal.clone().with_data("outcome", "unknown");
        Some(Event::message(&refusal.body(Addressee { id: Some(&id), request_id })))
    }
}

impl EventSource for Relay {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(context).map(|event| event.unwrap_or_else(|refusal| self.fail(&refusal)))
    }
}

fn too_long(limit: TooLong) -> Refusal {
    let message = match limit {
        TooLong::Event(bytes) => format!("The upstream sent an event of more than {bytes} bytes."),
        TooLong::Line(bytes) => format!("The upstream sent an event with a line of more than {bytes} bytes."),
    };
    let remedy = match limit {
        TooLong::Event(_) => "Ask for less, or raise `limits.eventBytes` of the route.",
        TooLong::Line(_) => "Ask for less, or raise `limits.eventLineBytes` of the route.",
    };
    Refusal::new(Reason::UpstreamTooLarge, message).with_remedy(remedy)
}

/// The clocks of a stream, in one timer that ticks a few times a minute: an event costs no reading of the time.
struct Watch {
    clocks: Clocks,
    tick: Duration,
    timer: LazyTimer,
    started: Instant,
    /// When the timer went off last.
    looked: Instant,
    silence: Duration,
    heard: bool,
}

impl Watch {
    fn new(clocks: Clocks) -> Self {
        let tick = clocks.keep_alive.min(clocks.idle_events).min(clocks.total);
        let now = Instant::now();
        Self {
            clocks,
            tick,
            timer: LazyTimer::default(),
            started: now,
            looked: now,
            silence: Duration::ZERO,
            heard: false,
        }
    }

    fn heard(&mut self) {
        self.heard = true;
    }

    /// Called when there is nothing to give: a comment when it is time for one, an error when a clock has run out.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Event>, Refusal>> {
        if self.timer.poll(self.looked + self.tick, context).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        // Sets the timer again; the new deadline cannot have passed.
        let _ = self.timer.poll(now + self.tick, context);
        let since = now - std::mem::replace(&mut self.looked, now);
        self.silence = if std::mem::take(&mut self.heard) { Duration::ZERO } else { self.silence + since };
        if now - self.started >= self.clocks.total {
            return Poll::Ready(Err(expired("The exchange took longer than `clocks.total` of the route allows.")));
        }
        if self.silence >= self.clocks.idle_events {
            return Poll::Ready(Err(expired("The upstream was silent for longer than `clocks.idleEvents` allows.")));
        }
        if self.silence.is_zero() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(Some(Event::comment(": keep-alive\n\n"))))
    }
}

fn expired(message: &'static str) -> Refusal {
    Refusal::new(Reason::UpstreamTimeout, message)
}
