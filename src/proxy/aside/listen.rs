//! Listening to an upstream's own stream, for one session.

use std::{
    future::poll_fn,
    sync::Weak,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use portcullis_policies::kit::{
    refusal::code,
    reply::{AnswerKind, Event, EventSource},
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Interval, MissedTickBehavior, interval},
};

use super::mailbox::Mailbox;
use crate::proxy::{hearing::Hearing, line::Line};

/// How often it is looked whether a request has waited for too long.
const ROUND: Duration = Duration::from_millis(250);

/// What there is to do.
enum Turn {
    /// The upstream has said something; none if it has no more to say.
    Said(Option<Event>),
    Look(oneshot::Sender<()>),
    /// Requests may have waited for too long.
    Overdue,
}

/// Takes what comes to the mailbox, until the upstream has no more to say or nobody has the mailbox.
///
/// An ask for a look is answered when everything that is there already has been taken.
pub(super) async fn listen(mailbox: Weak<Mailbox>, hearing: Hearing, mut looks: mpsc::Receiver<oneshot::Sender<()>>) {
    let mut stream = Announced { hearing, mailbox: Weak::clone(&mailbox) };
    let mut rounds = rounds();
    while let Some(questions) = mailbox.upgrade().map(|mailbox| mailbox.has_questions()) {
        let turn = turn(&mut stream, &mut looks, &mut rounds, questions).await;
        let Some(mailbox) = mailbox.upgrade() else { return };
        let line = stream.hearing.line();
        match turn {
            Turn::Said(Some(event)) => take(&mailbox, event, line).await,
            Turn::Said(None) => return mailbox.end(stream.hearing.refused()),
            Turn::Look(looked) => drop(looked),
            Turn::Overdue => {
                for id in mailbox.overdue() {
                    decline(line, &id).await;
                }
            }
        }
    }
}

/// The upstream's own stream, which tells the mailbox when it is open.
struct Announced {
    hearing: Hearing,
    mailbox: Weak<Mailbox>,
}

impl EventSource for Announced {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = self.hearing.poll_event(context);
        if self.hearing.is_open()
            && let Some(mailbox) = self.mailbox.upgrade()
        {
            mailbox.is_opened();
        }
        event
    }
}

/// They go on whatever comes meanwhile: an upstream that never falls silent would put off a clock that begins anew.
fn rounds() -> Interval {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    rounds
}

async fn turn(
    source: &mut impl EventSource,
    looks: &mut mpsc::Receiver<oneshot::Sender<()>>,
    rounds: &mut Interval,
    questions: bool,
) -> Turn {
    tokio::select! {
        biased;
        _ = rounds.tick(), if questions => Turn::Overdue,
        said = poll_fn(|context| source.poll_event(context)) => Turn::Said(said),
        Some(look) = looks.recv() => Turn::Look(look),
    }
}

/// Takes one message. A request is never left without an answer.
async fn take(mailbox: &Mailbox, event: Event, line: &Line) {
    let Some(Ok(message)) = event.answer() else { return };
    match message.kind() {
        AnswerKind::Notification => mailbox.put(event),
        AnswerKind::Request => {
            let text: Value = event.data().and_then(|data| serde_json::from_slice(data).ok()).unwrap_or_default();
            let id = text["id"].clone();
            if text["method"] == "ping" && !mailbox.is_open() {
                line.answer(&json!({ "jsonrpc": "2.0", "id": id, "result": {} })).await;
            } else if !mailbox.ask(event, id.clone()) {
                decline(line, &id).await;
            }
        }
        // Answers belong to calls, which have streams of their own.
        AnswerKind::Result | AnswerKind::Error => {}
    }
}

/// Nobody will answer: better no than silence.
async fn decline(line: &Line, id: &Value) {
    let message = "The client has no open stream on which it could be asked.";
    let error = json!({ "code": code::METHOD_NOT_FOUND, "message": message });
    line.answer(&json!({ "jsonrpc": "2.0", "id": id, "error": error })).await;
}

impl Line {
    /// Answers a request of the upstream's.
    async fn answer(&self, response: &Value) {
        if let Err(failure) = self.post(Bytes::from(response.to_string())).await {
            tracing::debug!(reason = failure.refusal.reason().code(), "the upstream did not take an answer");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll, ready},
    };

    use tokio::time::{Instant, Sleep, sleep};

    use super::*;

    /// Says something ten times a second.
    struct Chatty(Pin<Box<Sleep>>);

    impl EventSource for Chatty {
        fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
            ready!(self.0.as_mut().poll(context));
            self.0 = Box::pin(sleep(ROUND / 5));
            Poll::Ready(Some(Event::message(br#"{"jsonrpc":"2.0","method":"notifications/message"}"#)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tr_18_fault_an_upstream_that_never_falls_silent_puts_off_no_refusal() {
        let (_asks, mut looks) = mpsc::channel(1);
        let (mut source, mut rounds) = (Chatty(Box::pin(sleep(ROUND / 5))), rounds());
        let (began, mut overdue, mut said) = (Instant::now(), 0, 0);
        while began.elapsed() < Duration::from_secs(10) {
            match turn(&mut source, &mut looks, &mut rounds, true).await {
                Turn::Overdue => overdue += 1,
                Turn::Said(_) => said += 1,
                Turn::Look(_) => {}
            }
        }
        assert!(overdue >= 38, "looked {overdue} times while the upstream said {said} things");
        assert!(said >= 190);
    }
}
