//! Quiet wakers for connections that are driven in one piece.
//!
//! hyper's halves wake each other through channels, as they must when they run in two tasks. Here all of them are polled
//! in one task, in turns. Such a wake would only make the runtime schedule the task once more, and on a machine with
//! nothing else to do wake another thread for it: one futex call a request, and a call that hops between cores.

use std::{
    cell::Cell,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

/// Passes on what wakes a connection from outside; takes what wakes it from within for another turn at once.
#[derive(Debug, Default)]
pub(super) struct Alarm(Arc<Outside>);

/// Who is to be woken: the task that drives the connection now.
#[derive(Debug)]
struct Outside(Mutex<Waker>);

thread_local! {
    /// The alarm whose connection this thread is driving, and whether it rang meanwhile.
    static WATCHED: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

impl Alarm {
    /// Turns of a connection that keeps waking itself before others get theirs.
    const TURNS: usize = 16;

    /// Runs `turn` until it has a result or nothing but the outside can bring it further.
    pub(super) fn watch<T>(
        &self,
        context: &mut Context<'_>,
        mut turn: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.0.lock().clone_from(context.waker());
        let waker = Waker::from(Arc::clone(&self.0));
        for _ in 0..Self::TURNS {
            let outer = WATCHED.replace((self.0.address(), false));
            let result = turn(&mut Context::from_waker(&waker));
            let (_, rang) = WATCHED.replace(outer);
            if result.is_ready() || !rang {
                return result;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Outside {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn lock(&self) -> MutexGuard<'_, Waker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Outside {
    fn default() -> Self {
        Self(Mutex::new(Waker::noop().clone()))
    }
}

impl Wake for Outside {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let (watched, _) = WATCHED.get();
        if watched == self.address() {
            WATCHED.set((watched, true));
        } else {
            self.lock().wake_by_ref();
        }
    }
}

/// A future with an alarm of its own.
#[derive(Debug)]
pub struct Quiet<F> {
    future: Pin<Box<F>>,
    alarm: Alarm,
}

impl<F> Quiet<F> {
    /// Drives `future` quietly.
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), alarm: Alarm::default() }
    }
}

impl<F: Future> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, alarm } = self.get_mut();
        alarm.watch(context, |context| future.as_mut().poll(context))
    }
}
