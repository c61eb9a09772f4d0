//! A call's stream into which goes what comes for its session meanwhile.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use portcullis_policies::kit::reply::{AnswerKind, Event, EventSource};
use tokio::time::{sleep, timeout};

use super::mailbox::{Inlet, Mailbox};

/// How long an answer may wait until what came before it has been looked for.
const LOOK: Duration = Duration::from_millis(50);
/// How long it waits for what comes beside it, where something has come beside this call already.
const GRACE: Duration = Duration::from_millis(20);

/// Gives what the source gives, and what the inlet gives before the answer.
pub(in crate::proxy) struct Injected {
    source: Box<dyn EventSource>,
    /// None once the answer has been given.
    inlet: Option<Inlet>,
    held: Option<Held>,
    /// Has anything come beside this call?
    has_given: bool,
}

/// The answer, while what came before it is taken.
struct Held {
    answer: Event,
    patience: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Injected {
    pub(in crate::proxy) fn new(source: Box<dyn EventSource>, inlet: Inlet) -> Self {
        Self { source, inlet: Some(inlet), held: None, has_given: false }
    }

    /// Gives what the source gives, and nothing else.
    pub(in crate::proxy) fn alone(source: Box<dyn EventSource>) -> Self {
        Self { source, inlet: None, held: None, has_given: false }
    }

    /// Nothing goes into it for a while: other streams of the session take what comes.
    pub(in crate::proxy) fn close_inlet(&mut self) {
        self.inlet = None;
    }

    /// What comes goes into it again, unless the answer has been given.
    pub(in crate::proxy) fn open_inlet(&mut self, inlet: Inlet) {
        self.inlet = Some(inlet);
    }

    /// What came aside, before anything of the source.
    fn poll_inlet(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let Some(inlet) = &self.inlet else { return Poll::Pending };
        let event = ready!(inlet.poll(context));
        self.has_given = true;
        Poll::Ready(event)
    }

    /// The answer, when it has waited long enough; nothing comes aside any more after it.
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let Some(held) = &mut self.held else { return Poll::Ready(None) };
        ready!(held.patience.as_mut().poll(context));
        // What the last look has brought goes first.
        if let Poll::Ready(event) = self.poll_inlet(context) {
            return Poll::Ready(Some(event));
        }
        self.inlet = None;
        Poll::Ready(self.held.take().map(|held| held.answer))
    }

    /// The event, unless it is the answer and has to wait.
    fn pass(&mut self, event: Event) -> Option<Event> {
        let (Some(inlet), Some(Ok(message))) = (&self.inlet, event.answer()) else { return Some(event) };
        match message.kind() {
            AnswerKind::Request => {
                let id = message.id().zip(event.data()).map(|(id, data)| id.of(data));
                inlet.mailbox().note_question(id.unwrap_or_default());
                Some(event)
            }
            AnswerKind::Notification => Some(event),
            AnswerKind::Result | AnswerKind::Error => {
                let patience = Box::pin(settle(Arc::clone(inlet.mailbox()), self.has_given));
                self.held = Some(Held { answer: event, patience });
                None
            }
        }
    }
}

/// Waits until what came before an answer has been taken. An upstream writes to two connections in turn, and the second
/// message may be read first.
pub(super) async fn settle(mailbox: Arc<Mailbox>, is_talkative: bool) {
    let Some(look) = mailbox.look() else { return };
    drop(mailbox);
    let _ = timeout(LOOK, look).await;
    if is_talkative {
        sleep(GRACE).await;
    }
}

impl EventSource for Injected {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            if let Poll::Ready(event) = self.poll_inlet(context) {
                return Poll::Ready(Some(event));
            }
            if let Some(event) = ready!(self.poll_held(context)) {
                return Poll::Ready(Some(event));
            }
            let Some(event) = ready!(self.source.poll_event(context)) else {
                self.inlet = None;
                return Poll::Ready(None);
            };
            if let Some(event) = self.pass(event) {
                return Poll::Ready(Some(event));
            }
        }
    }
}

/// One event.
pub(in crate::proxy) struct One(Option<Event>);

impl One {
    pub(in crate::proxy) fn message(message: &[u8]) -> Self {
        Self(Some(Event::message(message)))
    }
}

impl EventSource for One {
    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(self.0.take())
    }
}
