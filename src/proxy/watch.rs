//! The clocks of a stream.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use portcullis_policies::kit::{
    refusal::{Reason, Refusal},
    reply::Event,
};
use tokio::time::Instant;

use super::{clocks::Clocks, deadline::LazyTimer};

/// The clocks of a stream, in one timer that ticks a few times a minute: an event costs no reading of the time.
pub(super) struct Watch {
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
    pub(super) fn new(clocks: Clocks) -> Self {
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

    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// Called when there is nothing to give: a comment when it is time for one, an error when a clock has run out.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Event>, Refusal>> {
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
