//! An event stream that is told by a future, step by step.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use portcullis_policies::kit::reply::{Event, EventSource};
use tokio::sync::mpsc;

/// Gives the events that its work tells. Work waits until what it told has been taken, and ends with the stream: whoever
/// drops the stream drops what is under way for it.
pub(in crate::proxy) struct Told {
    /// None when it is done.
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    events: mpsc::Receiver<Event>,
}

/// Tells the events of a stream.
#[derive(Clone)]
pub(in crate::proxy) struct Teller(mpsc::Sender<Event>);

impl Told {
    /// The stream of what `work` tells.
    pub(in crate::proxy) fn by<F>(work: impl FnOnce(Teller) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(1);
        Self { work: Some(Box::pin(work(Teller(sender)))), events }
    }
}

impl Teller {
    /// Tells one event.
    pub(in crate::proxy) async fn tell(&self, event: Event) {
        // The receiver outlives the work: it is polled by the stream that holds both.
        let _ = self.0.send(event).await;
    }
}

impl EventSource for Told {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            if let Ok(event) = self.events.try_recv() {
                return Poll::Ready(Some(event));
            }
            let Some(work) = &mut self.work else { return Poll::Ready(None) };
            match work.as_mut().poll(context) {
                Poll::Ready(()) => self.work = None,
                // Nobody else tells, so whatever is there now was told just now.
                Poll::Pending if self.events.is_empty() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_stream_gives_what_is_told_in_order_and_ends_with_the_work() {
        let mut told = Told::by(|teller| async move {
            for number in 0..5 {
                teller.tell(Event::message(format!(r#"{{"jsonrpc":"2.0","method":"{number}"}}"#).as_bytes())).await;
                tokio::task::yield_now().await;
            }
        });
        for number in 0..5 {
            let event = poll_fn(|context| told.poll_event(context)).await.unwrap();
            assert!(String::from_utf8_lossy(event.raw()).contains(&format!("{number}\"}}")));
        }
        assert!(poll_fn(|context| told.poll_event(context)).await.is_none());
        assert!(poll_fn(|context| told.poll_event(context)).await.is_none());
    }

    #[tokio::test]
    async fn work_ends_with_its_stream() {
        let (alive, mut gone) = mpsc::channel::<()>(1);
        let mut told = Told::by(|teller| async move {
            teller.tell(Event::comment(": one\n\n")).await;
            std::future::pending::<()>().await;
            drop(alive);
        });
        poll_fn(|context| told.poll_event(context)).await.unwrap();
        drop(told);
        assert!(gone.recv().await.is_none());
    }
}
