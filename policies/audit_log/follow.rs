//! A stream that is followed to its end. Each event passes as it comes.

use std::task::{Context, Poll};

use super::row::Row;
use crate::kit::reply::{Event, EventSource};

/// Counts what passes, and hears the answer. The row is written when it is dropped: at the end, or when the client goes away.
pub(super) struct Followed {
    source: Box<dyn EventSource>,
    row: Option<Row>,
}

impl Followed {
    pub(super) fn new(source: Box<dyn EventSource>, row: Row) -> Self {
        Self { source, row: Some(row) }
    }
}

impl EventSource for Followed {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let polled = self.source.poll_event(context);
        match (&polled, &mut self.row) {
            (Poll::Ready(None), row) => row.take().map_or((), Row::over),
            (Poll::Ready(Some(event)), Some(row)) => follow(row, event),
            _ => {}
        }
        polled
    }
}

fn follow(row: &mut Row, event: &Event) {
    row.event(event.raw().len());
    if row.awaits().is_some_and(|id| event.answers(id))
        && let Some(data) = event.data()
    {
        row.hear(data);
    }
}
