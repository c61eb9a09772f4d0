//! An upstream's event stream on its way to the client, event by event.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use portcullis_policies::kit::{
    chain::RequestId,
    credential::UpstreamCredential,
    refusal::{Addressee, Reason, Refusal},
    reply::{Event, EventSource},
};
use serde_json::json;
use tokio::time::{Interval, interval};

use super::{
    clocks::Clocks,
    line::{Events, Unheard},
    resume::{Resume, Source},
    watch::Watch,
};

/// Gives whole events as soon as they have come, and ends with an error event where the upstream broke off and cannot be
/// asked for the rest.
pub(super) struct Relay {
    source: Source,
    /// The request that still waits for its answer.
    awaiting: Option<Box<str>>,
    request_id: Option<RequestId>,
    watch: Watch,
    /// How to ask for the rest; none where a stream cannot be resumed.
    resume: Option<Box<Resume>>,
    /// Was it cut, and gone on with?
    is_resumed: bool,
    /// Is it a subscription, which lasts until its clock ends it?
    subscribed: bool,
    lease: Option<Box<Lease>>,
}

/// The credential that something lasting was opened with, looked at again and again.
struct Lease {
    credential: UpstreamCredential,
    look: Interval,
}

impl Lease {
    /// How soon the end of a connection is noticed.
    const LOOK: Duration = Duration::from_secs(1);

    fn of(credential: &UpstreamCredential) -> Self {
        Self { credential: credential.clone(), look: interval(Self::LOOK) }
    }

    /// May the credential not be used any more?
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        while self.look.poll_tick(context).is_ready() {
            if self.credential.is_over() {
                return true;
            }
        }
        false
    }
}

impl Relay {
    pub(super) fn new(
        events: Events,
        clocks: Clocks,
        awaiting: Option<&str>,
        request_id: Option<RequestId>,
        resume: Option<Box<Resume>>,
    ) -> Self {
        Self {
            source: Source::Open(events),
            awaiting: awaiting.map(Into::into),
            request_id,
            watch: Watch::new(clocks),
            resume,
            is_resumed: false,
            subscribed: false,
            lease: None,
        }
    }

    /// A subscription (MCP 2026-07-28, "Subscriptions"): nothing ends it but `clocks.listen` and the end of the caller's
    /// connection to the upstream, and then in peace.
    pub(super) fn subscription(self, clocks: Clocks, credential: Option<&UpstreamCredential>) -> Self {
        let clocks = Clocks { total: clocks.listen, idle_events: clocks.listen, ..clocks };
        Self { watch: Watch::new(clocks), subscribed: true, lease: credential.map(Lease::of).map(Box::new), ..self }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Event>, Refusal>> {
        if self.lease.as_mut().is_some_and(|lease| lease.is_over(context)) {
            self.source = Source::Ended;
            return Poll::Ready(Ok(self.awaiting.take().map(|id| subscription_ended(&id))));
        }
        loop {
            let polled = match &mut self.source {
                Source::Ended => return Poll::Ready(Ok(None)),
                Source::Open(events) => {
                    let polled = events.poll(context);
                    if std::mem::take(&mut events.heard) {
                        self.watch.heard();
                    }
                    polled
                }
                Source::Opening(opening) => match opening.as_mut().poll(context) {
                    Poll::Ready(Ok(events)) => {
                        self.source = Source::Open(events);
                        continue;
                    }
                    Poll::Ready(Err(Unheard::Failed(refusal))) => Poll::Ready(Err(refusal)),
                    Poll::Ready(Err(Unheard::Refused(_))) => return Poll::Ready(Err(Reason::UpstreamTruncated.into())),
                    Poll::Pending => Poll::Pending,
                },
            };
            match polled {
                Poll::Ready(Ok(Some(event))) => {
                    if let Some(event) = self.pass(event) {
                        return Poll::Ready(Ok(Some(event)));
                    }
                }
                Poll::Ready(Ok(None)) if self.awaiting.is_none() => self.source = Source::Ended,
                Poll::Ready(Err(refusal)) if refusal.reason() == Reason::UpstreamTooLarge => {
                    return Poll::Ready(Err(refusal));
                }
                Poll::Ready(Ok(None) | Err(_)) => self.go_on()?,
                Poll::Pending => return self.watch.poll(context),
            }
        }
    }

    /// The event as the client gets it, if it gets it.
    fn pass(&mut self, event: Event) -> Option<Event> {
        if let Some(resume) = &mut self.resume {
            resume.note(&event);
        }
        let answers = self.awaiting.as_deref().is_some_and(|id| event.answers(id));
        if answers {
            self.awaiting = None;
        }
        if self.is_resumed {
            let is_response = matches!(event.answer(), Some(Ok(message)) if message.is_response());
            if is_response && !answers {
                return None;
            }
            if answers {
                self.source = Source::Ended;
            }
        }
        event.without_resumption()
    }

    /// Asks for the rest of a stream that ended before the answer.
    fn go_on(&mut self) -> Result<(), Refusal> {
        let resume = self.resume.as_mut().filter(|resume| self.awaiting.is_some() && resume.is_possible());
        let Some(resume) = resume else { return Err(Reason::UpstreamTruncated.into()) };
        self.source = Source::Opening(resume.again(Duration::ZERO));
        self.is_resumed = true;
        Ok(())
    }

    /// The last event of a stream that went wrong. Whoever has the answer already needs no error.
    fn fail(&mut self, refusal: &Refusal) -> Option<Event> {
        self.source = Source::Ended;
        let id = self.awaiting.take();
        if let Some(id) = id.as_deref().filter(|_| self.subscribed && refusal.reason() == Reason::UpstreamTimeout) {
            return Some(subscription_ended(id));
        }
        tracing::warn!(reason = refusal.reason().code(), "event stream ended: {}", refusal.message());
        let request_id = self.request_id.as_ref();
        let refusal = refusal.clone().with_data("outcome", "unknown");
        Some(Event::message(&refusal.body(Addressee { id: Some(&id?), request_id })))
    }
}

impl EventSource for Relay {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(context).map(|event| event.unwrap_or_else(|refusal| self.fail(&refusal)))
    }
}

/// The result that ends subscription `id`: nothing has gone wrong, and the client may subscribe again.
pub(super) fn subscription_ended(id: &str) -> Event {
    let id: serde_json::Value = serde_json::from_str(id).unwrap_or_default();
    let about = json!({ "io.modelcontextprotocol/subscriptionId": id });
    let result = json!({ "resultType": "complete", "_meta": about });
    Event::message(json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string().as_bytes())
}
