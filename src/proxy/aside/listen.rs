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
    time::sleep,
};

use super::mailbox::Mailbox;
use crate::proxy::{hearing::Hearing, line::Line};

/// Takes what comes to the mailbox, until the upstream has no more to say or nobody has the mailbox.
///
/// An ask for a look is answered when everything that is there already has been taken.
pub(super) async fn listen(
    mailbox: Weak<Mailbox>,
    mut hearing: Hearing,
    mut looks: mpsc::Receiver<oneshot::Sender<()>>,
) {
    while let Some(questions) = mailbox.upgrade().map(|mailbox| mailbox.has_questions()) {
        tokio::select! {
            biased;
            event = poll_fn(|context| poll(&mut hearing, &mailbox, context)) => {
                let Some(mailbox) = mailbox.upgrade() else { return };
                let Some(event) = event else { return mailbox.end(hearing.refused()) };
                take(&mailbox, event, hearing.line()).await;
            }
            Some(looked) = looks.recv() => drop(looked),
            () = sleep(Duration::from_millis(250)), if questions => {
                let Some(mailbox) = mailbox.upgrade() else { return };
                for id in mailbox.overdue() {
                    decline(hearing.line(), &id).await;
                }
            }
        }
    }
}

fn poll(hearing: &mut Hearing, mailbox: &Weak<Mailbox>, context: &mut Context<'_>) -> Poll<Option<Event>> {
    let event = hearing.poll_event(context);
    if hearing.is_open()
        && let Some(mailbox) = mailbox.upgrade()
    {
        mailbox.is_opened();
    }
    event
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
