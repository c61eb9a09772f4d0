//! Connections of clients while the gateway stops.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use hyper_util::server::graceful::GracefulConnection;

use super::shutdown::Shutdown;

/// A connection that ends once the gateway stops, after the calls that it has taken.
pub(super) struct Draining<C> {
    connection: Pin<Box<C>>,
    /// None once it has been told.
    bell: Option<Bell>,
}

impl<C: GracefulConnection> Draining<C> {
    pub(super) fn new(connection: C, shutdown: Shutdown) -> Self {
        Self { connection: Box::pin(connection), bell: Some(Bell::new(shutdown)) }
    }
}

impl<C: GracefulConnection> Future for Draining<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let Self { connection, bell } = self.get_mut();
        if bell.as_mut().is_some_and(|bell| bell.has_rung(context)) {
            connection.as_mut().graceful_shutdown();
            *bell = None;
        }
        connection.as_mut().poll(context)
    }
}

/// Rings when the gateway stops. A connection asks with every call, so it costs a look and no more.
struct Bell {
    shutdown: Shutdown,
    begun: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Bell {
    fn new(shutdown: Shutdown) -> Self {
        let mut waiting = shutdown.clone();
        Self { shutdown, begun: Box::pin(async move { waiting.begun().await }), waker: None }
    }

    fn has_rung(&mut self, context: &mut Context<'_>) -> bool {
        let is_known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if is_known && !self.shutdown.has_news() {
            return false;
        }
        self.waker = Some(context.waker().clone());
        self.begun.as_mut().poll(context).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::{super::shutdown::Stop, *};

    #[derive(Default)]
    struct Task(AtomicU32);

    impl std::task::Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_bell_wakes_whoever_asked_last_and_rings_for_who_asks_later() {
        let (stop, shutdown) = Stop::new();
        let mut bell = Bell::new(shutdown);
        let tasks = [Arc::new(Task::default()), Arc::new(Task::default())];
        for task in [&tasks[0], &tasks[0], &tasks[1], &tasks[1]] {
            assert!(!bell.has_rung(&mut Context::from_waker(&Waker::from(Arc::clone(task)))));
        }
        stop.stop();
        assert_eq!(tasks.map(|task| task.0.load(Ordering::Relaxed)), [0, 1]);
        assert!(bell.has_rung(&mut Context::from_waker(Waker::noop())));
    }

    #[test]
    fn the_bell_rings_also_when_nobody_is_left_to_ring_it() {
        let (stop, shutdown) = Stop::new();
        let mut bell = Bell::new(shutdown);
        let context = &mut Context::from_waker(Waker::noop());
        assert!(!bell.has_rung(context));
        drop(stop);
        assert!(bell.has_rung(context));
    }
}
