#![doc = include_str!("README.md")]

#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::kit::{
    chain::{Arrival, Request, RequestId, Response, RouteLayer, RouteService, around},
    host::Host,
    message::Message,
    policy::{Policy, Problem},
    refusal::{Addressee, Reason, Refusal},
    rehearsal::Rehearsal,
    reply::{Event, EventSource, Reply},
};

/// Bounds the time of a call.
///
/// tower-http's `TimeoutLayer` ends with an empty answer, and only bounds the time to an answer's head. A caller of MCP
/// needs a message with its id, and a stream is not over with its head.
#[derive(Debug)]
pub struct Timeout;

/// How long a call may take.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutOptions {
    /// Seconds from the request to the end of the answer.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub seconds: f64,
}

impl Policy for Timeout {
    const NAME: &'static str = "timeout";
    const SUMMARY: &'static str = "bounds the time of a call, event streams included";
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = TimeoutOptions;

    fn layer(options: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let limit = Duration::try_from_secs_f64(options.seconds)
            .map_err(|error| vec![Problem::new("/seconds", error.to_string())])?;
        Ok(around(move |request, next| bounded(limit, request, next)))
    }
}

async fn bounded(limit: Duration, request: Request, next: RouteService) -> Response {
    let deadline = Instant::now() + limit;
    let id: Option<Box<str>> = request.body().message().and_then(Message::id).map(Into::into);
    let request_id = request.extensions().get::<Arrival>().map(|arrival| arrival.request_id);
    match timeout_at(deadline, next.run(request)).await {
        Ok(Ok(response)) => response.map(|reply| match reply {
            Reply::Events(source) => {
                let sleep = Box::pin(sleep_until(deadline));
                Reply::Events(Box::new(Bounded { source: Some(source), sleep, limit, awaiting: id, request_id }))
            }
            other => other,
        }),
        Ok(Err(never)) => match never {},
        Err(_) => too_late(limit).answer(Addressee { id: id.as_deref(), request_id: request_id.as_ref() }),
    }
}

fn too_late(limit: Duration) -> Refusal {
    let why = format!("The call took longer than the {} s that this route allows.", limit.as_secs_f64());
    Refusal::new(Reason::TimedOut, why).with_data("outcome", "unknown")
}

/// A stream that ends when its time is over; with an error, if the answer has not come by then.
struct Bounded {
    /// None when the stream has ended.
    source: Option<Box<dyn EventSource>>,
    sleep: Pin<Box<Sleep>>,
    limit: Duration,
    /// The request that still waits for its answer.
    awaiting: Option<Box<str>>,
    request_id: Option<RequestId>,
}

impl Bounded {
    /// Passes the source's next event on, and notes what it means.
    fn next(&mut self, event: Option<Event>) -> Option<Event> {
        match &event {
            None => self.source = None,
            Some(event) if self.awaiting.as_deref().is_some_and(|id| event.answers(id)) => self.awaiting = None,
            Some(_) => {}
        }
        event
    }
}

impl EventSource for Bounded {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        if self.sleep.as_mut().poll(context).is_pending() {
            return source.poll_event(context).map(|event| self.next(event));
        }
        self.source = None;
        let Some(id) = self.awaiting.take() else { return Poll::Ready(None) };
        let to = Addressee { id: Some(&id), request_id: self.request_id.as_ref() };
        Poll::Ready(Some(Event::message(&too_late(self.limit).body(to))))
    }
}
