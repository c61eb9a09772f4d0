//! Quiet wakers for connections that are driven in one piece.
//!
//! hyper's halves wake each other through channels, as they must when they run in two tasks. Here all of them are polled
//! in one task, in turns. Such a wake would only make the runtime schedule the task once more, and on a machine with
//! nothing else to do wake another thread for it: one futex call a request, and a call that hops between cores.

use std::{
    cell::Cell,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// Passes on what wakes a connection from outside; takes what wakes it from within for another turn at once.
#[derive(Debug)]
pub(super) struct Alarm {
    outside: Arc<Outside>,
    /// Rings `outside`.
    waker: Waker,
    /// Did the last turn end with a result, so that another may bring more?
    more: bool,
}

#[derive(Debug)]
struct Outside {
    /// Who is to be woken: the task that drives the connection now.
    task: Mutex<Waker>,
    /// Has anything rung that no turn has looked after?
    news: AtomicBool,
}

thread_local! {
    /// The alarm whose connection this thread is driving, and whether it rang meanwhile.
    static WATCHED: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

impl Alarm {
    /// Turns of a connection that keeps waking itself before others get theirs.
    const TURNS: usize = 16;

    /// Runs `turn` until it has a result or nothing but the outside can bring it further.
    pub(super) fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        turn: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.outside.lock().clone_from(context.waker());
        self.take_turns(context, turn)
    }

    /// As [`Alarm::watch`], but without a turn if the last one ended waiting and nothing has rung since. For turns that
    /// wait for nothing but what rings this alarm: those who look ahead ask often.
    pub(super) fn watch_if_rung<T>(
        &mut self,
        context: &mut Context<'_>,
        turn: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // In this order: whoever rings after the look at `news` already finds the waker.
        self.outside.lock().clone_from(context.waker());
        let more = self.more || self.outside.news.load(Ordering::Acquire);
        if more { self.take_turns(context, turn) } else { Poll::Pending }
    }

    /// Another turn brings no more, although the last one had a result.
    pub(super) fn rest(&mut self) {
        self.more = false;
    }

    fn take_turns<T>(
        &mut self,
        context: &mut Context<'_>,
        mut turn: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        for _ in 0..Self::TURNS {
            // Not a mere store: what a ring before this told of must be seen by this turn.
            self.outside.news.swap(false, Ordering::AcqRel);
            let watching = Watching::begin(&self.outside);
            let result = turn(&mut Context::from_waker(&self.waker));
            let (_, rang) = WATCHED.get();
            drop(watching);
            self.more = result.is_ready();
            if rang && self.more {
                self.outside.news.store(true, Ordering::Release);
            }
            if self.more || !rang {
                return result;
            }
        }
        self.outside.news.store(true, Ordering::Release);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Default for Alarm {
    fn default() -> Self {
        let outside = Arc::<Outside>::default();
        Self { waker: Waker::from(Arc::clone(&outside)), outside, more: true }
    }
}

/// The time of one turn. It ends also if the turn panics: a later connection could have the same address.
struct Watching {
    outer: (usize, bool),
}

impl Watching {
    fn begin(alarm: &Outside) -> Self {
        Self { outer: WATCHED.replace((alarm.address(), false)) }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHED.set(self.outer);
    }
}

impl Outside {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn lock(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Outside {
    fn default() -> Self {
        Self { task: Mutex::new(Waker::noop().clone()), news: AtomicBool::new(false) }
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
            self.news.store(true, Ordering::Release);
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

/// Polls the body of a message of HTTP/1.1. Taking a piece rings for the next one, which means nothing after the last: it
/// would cost a turn in which nothing happens.
pub(super) fn poll_piece(body: &mut Incoming, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
    let before = WATCHED.get();
    let piece = Pin::new(&mut *body).poll_frame(context);
    if body.is_end_stream() {
        WATCHED.set(before);
    }
    piece
}

/// The body of a client's request.
#[derive(Debug)]
pub enum QuietBody {
    /// Over HTTP/1.1.
    Http1(Incoming),
    /// Over HTTP/2, where every piece taken makes room for others on the same connection, and rings for good reason.
    Http2(Incoming),
}

impl Body for QuietBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Http1(body) => poll_piece(body, context),
            Self::Http2(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        let (Self::Http1(body) | Self::Http2(body)) = self;
        body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (Self::Http1(body) | Self::Http2(body)) = self;
        body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[derive(Default)]
    struct Task(AtomicU32);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_wakes_itself_gets_another_turn_and_wakes_nobody() {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut turns = 0;
        let result = Alarm::default().watch(&mut Context::from_waker(&waker), |context| {
            turns += 1;
            if turns < 3 {
                context.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(result.is_pending());
        assert_eq!((turns, task.0.load(Ordering::Relaxed)), (3, 0));
    }

    #[test]
    fn what_is_woken_from_outside_wakes_the_task() {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut kept = None;
        let mut alarm = Alarm::default();
        let _ = alarm.watch(&mut Context::from_waker(&waker), |context| {
            kept = Some(context.waker().clone());
            Poll::<()>::Pending
        });
        kept.unwrap().wake();
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_waits_gets_no_turn_until_something_rings() {
        let mut kept = None;
        let mut turns = 0;
        let mut alarm = Alarm::default();
        let mut ask = |kept: &mut Option<Waker>, result| {
            let before = turns;
            let _ = alarm.watch_if_rung(&mut Context::from_waker(Waker::noop()), |context| {
                *kept = Some(context.waker().clone());
                turns += 1;
                result
            });
            turns - before
        };
        assert_eq!(ask(&mut kept, Poll::Ready(())), 1);
        assert_eq!(ask(&mut kept, Poll::Pending), 1);
        assert_eq!(ask(&mut kept, Poll::Pending), 0);
        kept.clone().unwrap().wake();
        assert_eq!(ask(&mut kept, Poll::Pending), 1);
        assert_eq!(ask(&mut kept, Poll::Pending), 0);
    }

    #[test]
    fn what_rests_gets_no_turn_until_something_rings() {
        let mut alarm = Alarm::default();
        let context = &mut Context::from_waker(Waker::noop());
        let mut kept = None;
        let reached = alarm.watch(context, |context| {
            kept = Some(context.waker().clone());
            Poll::Ready(())
        });
        assert!(reached.is_ready());
        alarm.rest();
        assert!(alarm.watch_if_rung(context, |_| Poll::Ready(())).is_pending());
        kept.unwrap().wake();
        assert!(alarm.watch_if_rung(context, |_| Poll::Ready(())).is_ready());
    }

    #[test]
    fn a_panic_ends_the_watch() {
        let mut alarm = Alarm::default();
        let turn = || alarm.watch(&mut Context::from_waker(Waker::noop()), |_| -> Poll<()> { panic!("a policy") });
        assert!(catch_unwind(AssertUnwindSafe(turn)).is_err());
        assert_eq!(WATCHED.get(), (0, false));
    }
}
