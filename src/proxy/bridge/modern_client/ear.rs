//! What an upstream says of its own accord in a session: one stream (GET), however many listen to it.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
};

use http::StatusCode;
use portcullis_policies::kit::reply::{AnswerKind, Event, EventSource};
use tokio::sync::broadcast::{self, Receiver, Sender, WeakSender};

use super::{ask, link::Link, warm::Warm};
use crate::proxy::hearing::Hearing;

/// Events that a slow listener may be behind. It misses what is older.
const BEHIND: usize = 64;

/// The listeners of one session.
#[derive(Debug, Default)]
pub(super) struct Ear(Mutex<Option<WeakSender<Event>>>);

impl Ear {
    /// Listens from now on. The stream is held as long as anybody does.
    pub(super) fn listen(&self, warm: &Arc<Warm>, link: &Link) -> Receiver<Event> {
        let mut ear = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = ear.as_ref().and_then(WeakSender::upgrade) {
            return sender.subscribe();
        }
        let (sender, receiver) = broadcast::channel(BEHIND);
        *ear = Some(sender.downgrade());
        let hearing = link.hear(warm);
        tokio::spawn(hear(hearing, Arc::clone(warm), link.clone(), sender));
        receiver
    }

    /// Tells those who listen what the upstream said elsewhere.
    pub(super) fn tell(&self, event: &Event) {
        let ear = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = ear.as_ref().and_then(WeakSender::upgrade) {
            drop(sender.send(event.clone()));
        }
    }
}

async fn hear(mut hearing: Hearing, warm: Arc<Warm>, link: Link, listeners: Sender<Event>) {
    loop {
        let event = tokio::select! {
            () = listeners.closed() => return,
            event = poll_fn(|context| hearing.poll_event(context)) => event,
        };
        let Some(event) = event else { break };
        match unasked(&event) {
            Some(answer) => drop(link.post(Some(&warm), answer, None).await),
            // Whoever listened has gone if nobody takes it.
            None => drop(listeners.send(event)),
        }
    }
    match hearing.refused() {
        Some(StatusCode::NOT_FOUND) => warm.end(),
        // The session has no such stream and is as good as before: its listeners hear nothing.
        Some(_) => listeners.closed().await,
        None => {}
    }
}

/// The answer to a request of the upstream that belongs to no call, so that no client can be asked.
fn unasked(event: &Event) -> Option<String> {
    let is_request = event.answer()?.is_ok_and(|answer| answer.kind() == AnswerKind::Request);
    is_request.then(|| ask::unasked(std::str::from_utf8(event.data().unwrap_or_default()).unwrap_or_default()))?
}
