//! A timer for deadlines that move with every request and hardly ever pass.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Leaves the runtime's timer where it is while deadlines move on, and moves it only when it goes off too early: so a
/// connection has one timer that ticks now and then, instead of one that is set and taken away for each request.
#[derive(Debug, Default)]
pub(super) struct LazyTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl LazyTimer {
    /// Has `deadline` passed? If not, the task is woken by then, perhaps earlier, perhaps also when nobody waits any more.
    pub(super) fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let Self { sleep, waker } = self;
        let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let is_known = waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        match (sleep.is_elapsed(), sleep.deadline()) {
            (true, gone_off) if gone_off >= deadline => return Poll::Ready(()),
            (false, set) if set <= deadline && is_known => return Poll::Pending,
            _ => sleep.as_mut().reset(deadline),
        }
        *waker = Some(context.waker().clone());
        sleep.as_mut().poll(context)
    }
}

/// The clock of one HTTP connection, for hyper, which sets a new deadline for each request's head.
#[derive(Clone, Debug, Default)]
pub struct ConnectionTimer(Arc<Mutex<LazyTimer>>);

impl hyper::rt::Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Until { timer: self.clone(), deadline: deadline.into() })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

/// Waits for one deadline.
struct Until {
    timer: ConnectionTimer,
    deadline: Instant,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.timer.0.lock().unwrap_or_else(PoisonError::into_inner).poll(self.deadline, context)
    }
}

impl hyper::rt::Sleep for Until {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_passes_when_it_is_due_also_after_earlier_ones_that_did_not() {
        let mut timer = LazyTimer::default();
        let began = Instant::now();
        for _ in 0..5 {
            let deadline = Instant::now() + Duration::from_secs(10);
            let waited = poll_fn(|context| Poll::Ready(timer.poll(deadline, context))).await;
            assert!(waited.is_pending());
            sleep(Duration::from_secs(3)).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(15));
        let deadline = Instant::now() + Duration::from_secs(10);
        poll_fn(|context| timer.poll(deadline, context)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(25));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_before_the_last_one_passes_in_time() {
        let mut timer = LazyTimer::default();
        let began = Instant::now();
        for seconds in [60, 5, 30, 1] {
            let deadline = began + Duration::from_secs(seconds);
            let waited = poll_fn(|context| Poll::Ready(timer.poll(deadline, context))).await;
            assert!(waited.is_pending());
        }
        poll_fn(|context| timer.poll(began + Duration::from_secs(2), context)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
