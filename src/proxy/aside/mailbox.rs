//! What has come for one session beside its answers, and which stream of the session takes it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::StatusCode;
use portcullis_policies::kit::{credential::UpstreamCredential, reply::Event};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::{
        broadcast::{self, Receiver},
        mpsc, oneshot, watch,
    },
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{injected::settle, listen::listen};
use crate::proxy::hearing::Hearing;

/// Messages that wait for a stream; the oldest make room.
const WAITING: usize = 64;
/// Bytes of them. The newest is kept in any case.
const WAITING_BYTES: usize = 2 << 20;
/// Requests among them.
const QUESTIONS: usize = 16;
/// Ids that the upstream has asked under; the oldest are forgotten.
const ASKED: usize = 256;
/// Changes that somebody who hears of them may be behind. They miss what is older.
const BEHIND: usize = 64;
/// How long a call waits at most until the upstream's own stream is open, if that has to be opened for it.
const OPENING: Duration = Duration::from_millis(500);
/// For how long a request waits for a stream that takes it to the client.
const PATIENCE: Duration = Duration::from_secs(10);

/// What says that something of the server's has changed.
const CHANGES: [&str; 4] = [
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
];

/// One session's mailbox.
#[derive(Debug)]
pub(in crate::proxy) struct Mailbox {
    inner: Mutex<Inner>,
    idle: Duration,
    /// Has the upstream's own stream been opened, or been refused?
    is_opened: watch::Sender<bool>,
}

#[derive(Debug)]
struct Inner {
    news: VecDeque<News>,
    /// The session's open streams, the oldest first, and who is to be woken for each.
    open: VecDeque<(u64, Waker)>,
    opened: u64,
    asked: VecDeque<Value>,
    used: Instant,
    ear: Option<Ear>,
    /// Has the upstream said that it has no stream of its own?
    is_refused: bool,
    /// Has it said that it does not know the session?
    is_gone: bool,
    /// Those who only hear of changes.
    changes: Option<broadcast::Sender<Event>>,
}

/// One message, and the id under which it asks, if it does, with the end of its patience.
#[derive(Debug)]
struct News {
    event: Event,
    question: Option<(Value, Instant)>,
}

impl News {
    fn bytes(&self) -> usize {
        self.event.raw().len()
    }
}

/// Does it say that something of the server's has changed?
fn tells_a_change(event: &Event) -> bool {
    #[derive(Deserialize)]
    struct Method<'a> {
        method: &'a str,
    }
    let said = event.data().and_then(|data| serde_json::from_slice::<Method<'_>>(data).ok());
    said.is_some_and(|said| CHANGES.contains(&said.method))
}

/// Who listens to the upstream's own stream.
#[derive(Debug)]
struct Ear {
    task: JoinHandle<()>,
    looks: mpsc::Sender<oneshot::Sender<()>>,
    credential: Option<UpstreamCredential>,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ear {
    fn is_good_for(&self, credential: Option<&UpstreamCredential>) -> bool {
        let same = match (&self.credential, credential) {
            (None, None) => true,
            (Some(own), Some(other)) => own.connection() == other.connection() && own.version() == other.version(),
            _ => false,
        };
        same && !self.task.is_finished()
    }
}

impl Mailbox {
    pub(in crate::proxy) fn new(idle: Duration) -> Self {
        let inner = Inner {
            news: VecDeque::new(),
            open: VecDeque::new(),
            opened: 0,
            asked: VecDeque::new(),
            used: Instant::now(),
            ear: None,
            is_refused: false,
            is_gone: false,
            changes: None,
        };
        Self { inner: Mutex::new(inner), idle, is_opened: watch::Sender::new(false) }
    }

    /// A notification has come. Where somebody hears of changes, it goes to them if it tells one.
    pub(in crate::proxy) fn put(&self, event: Event) {
        let mut inner = self.lock();
        match inner.changes.as_ref().filter(|_| tells_a_change(&event)) {
            Some(changes) if changes.receiver_count() > 0 => drop(changes.send(event)),
            _ => inner.add(News { event, question: None }),
        }
    }

    /// Hears of changes from now on, until the upstream's own stream ends for good.
    pub(in crate::proxy) fn changes(&self) -> Receiver<Event> {
        self.lock().changes.get_or_insert_with(|| broadcast::channel(BEHIND).0).subscribe()
    }

    /// Tells those who hear of changes what came in the middle of a call.
    pub(in crate::proxy) fn tell(&self, event: &Event) {
        if let Some(changes) = &self.lock().changes {
            drop(changes.send(event.clone()));
        }
    }

    /// A request has come. False if too many wait already, so that this one must be declined.
    pub(super) fn ask(&self, event: Event, id: Value) -> bool {
        let mut inner = self.lock();
        let asked = || inner.news.iter().filter(|news| news.question.is_some());
        let bytes = asked().map(News::bytes).sum::<usize>() + event.raw().len();
        let has_room = asked().count() < QUESTIONS && bytes <= WAITING_BYTES;
        if has_room {
            inner.add(News { event, question: Some((id, Instant::now() + PATIENCE)) });
        }
        has_room
    }

    /// The requests that have waited for too long. They will reach no client.
    pub(super) fn overdue(&self) -> Vec<Value> {
        let now = Instant::now();
        let mut inner = self.lock();
        let is_overdue = |news: &News| news.question.as_ref().is_some_and(|(_, until)| *until <= now);
        let (overdue, waiting) = std::mem::take(&mut inner.news).into_iter().partition::<VecDeque<_>, _>(is_overdue);
        inner.news = waiting;
        overdue.into_iter().filter_map(|news| news.question).map(|(id, _)| id).collect()
    }

    /// Does a request wait?
    pub(super) fn has_questions(&self) -> bool {
        self.lock().news.iter().any(|news| news.question.is_some())
    }

    /// Does anything wait?
    pub(in crate::proxy) fn has_news(&self) -> bool {
        !self.lock().news.is_empty()
    }

    /// Is there a stream that takes what comes?
    pub(super) fn is_open(&self) -> bool {
        !self.lock().open.is_empty()
    }

    /// A way out: while it is held, and no older one is, what comes goes there.
    pub(in crate::proxy) fn inlet(self: &Arc<Self>) -> Inlet {
        let mut inner = self.lock();
        inner.opened += 1;
        let number = inner.opened;
        inner.open.push_back((number, Waker::noop().clone()));
        drop(inner);
        Inlet { mailbox: Arc::clone(self), number }
    }

    /// The upstream has asked the client something under this id (JSON text).
    pub(super) fn note_question(&self, id: &[u8]) {
        if let Ok(id) = serde_json::from_slice(id) {
            self.lock().note_question(id);
        }
    }

    /// Has this process carried a stream of the session?
    pub(in crate::proxy) fn has_carried(&self) -> bool {
        self.lock().opened > 0
    }

    /// Has the upstream asked under this id (JSON text), as far as this process has carried its questions?
    pub(in crate::proxy) fn was_asked(&self, id: &str) -> bool {
        serde_json::from_str::<Value>(id).is_ok_and(|id| self.lock().asked.contains(&id))
    }

    /// Listens to the upstream's own stream from now on, unless that is done already or the upstream has none.
    pub(in crate::proxy) fn attend(
        self: &Arc<Self>,
        credential: Option<&UpstreamCredential>,
        hear: impl FnOnce() -> Hearing,
    ) {
        let mut inner = self.lock();
        inner.used = Instant::now();
        if inner.is_refused || inner.ear.as_ref().is_some_and(|ear| ear.is_good_for(credential)) {
            return;
        }
        let (looks, asks) = mpsc::channel(16);
        let task = tokio::spawn(listen(Arc::downgrade(self), hear(), asks));
        inner.ear = Some(Ear { task, looks, credential: credential.cloned() });
    }

    /// The upstream's own stream is open.
    pub(super) fn is_opened(&self) {
        self.is_opened.send_if_modified(|is_opened| !std::mem::replace(is_opened, true));
    }

    /// The upstream's own stream will not come again: it was refused with this status, or nothing comes of it. A session that
    /// has none is as good as before.
    pub(super) fn end(&self, refused: Option<StatusCode>) {
        let mut inner = self.lock();
        inner.is_refused |= refused.is_some();
        inner.is_gone |= refused == Some(StatusCode::NOT_FOUND);
        if inner.is_gone || refused.is_none() {
            inner.changes = None;
        }
        drop(inner);
        self.is_opened();
    }

    /// Nobody hears or is told anything any more.
    pub(in crate::proxy) fn close(&self) {
        let mut inner = self.lock();
        inner.is_gone = true;
        inner.changes = None;
        let ear = inner.ear.take();
        drop(inner);
        drop(ear);
    }

    /// Does the upstream not know the session any more?
    pub(in crate::proxy) fn is_gone(&self) -> bool {
        self.lock().is_gone
    }

    /// Waits until the upstream's own stream is open, so that nothing which is said on it is lost; not for long, and not again:
    /// some servers give no sign before they have something to say.
    pub(in crate::proxy) async fn opened(&self) {
        let mut is_opened = self.is_opened.subscribe();
        if timeout(OPENING, is_opened.wait_for(|is_opened| *is_opened)).await.is_err() {
            self.is_opened();
        }
    }

    /// Waits until what came before an answer has been taken.
    pub(in crate::proxy) async fn settle(self: &Arc<Self>) {
        settle(Arc::clone(self), false).await;
    }

    /// Asks whoever listens to take what is there already; done when the receiver hears, or hears that nobody will say.
    /// None where nobody listens.
    pub(super) fn look(&self) -> Option<oneshot::Receiver<()>> {
        let (done, looked) = oneshot::channel();
        self.lock().ear.as_ref()?.looks.try_send(done).ok()?;
        Some(looked)
    }

    pub(super) fn last_use(&self) -> Instant {
        self.lock().used
    }

    /// Is there nobody left to whom anything may be told?
    pub(super) fn is_idle(&self) -> bool {
        let inner = self.lock();
        inner.open.is_empty() && inner.used.elapsed() >= self.idle
    }

    /// Lets go of a stream that was opened with a credential which may not be used any more.
    pub(super) fn close_if_over(&self) {
        let mut inner = self.lock();
        let is_over = |ear: &mut Ear| ear.credential.as_ref().is_some_and(UpstreamCredential::is_over);
        let closing = inner.ear.take_if(is_over);
        drop(inner);
        drop(closing);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, news: News) {
        let mut bytes = self.news.iter().map(News::bytes).sum::<usize>() + news.bytes();
        while self.news.len() >= WAITING || bytes > WAITING_BYTES {
            let Some(oldest) = self.news.iter().position(|news| news.question.is_none()) else { break };
            bytes -= self.news.remove(oldest).map_or(0, |news| news.bytes());
        }
        self.news.push_back(news);
        self.wake_oldest();
    }

    fn note_question(&mut self, id: Value) {
        if self.asked.len() >= ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(id);
    }

    fn wake_oldest(&self) {
        if let Some((_, waker)) = self.open.front() {
            waker.wake_by_ref();
        }
    }
}

/// Where what comes for a session goes out.
#[derive(Debug)]
pub(in crate::proxy) struct Inlet {
    mailbox: Arc<Mailbox>,
    number: u64,
}

impl Inlet {
    /// The next message for this stream. It ends only with the inlet.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Event> {
        let mut inner = self.mailbox.lock();
        let is_oldest = inner.open.front().is_some_and(|(oldest, _)| *oldest == self.number);
        if let Some(news) = is_oldest.then(|| inner.news.pop_front()).flatten() {
            if let Some((id, _)) = news.question {
                inner.note_question(id);
            }
            return Poll::Ready(news.event);
        }
        if let Some((_, waker)) = inner.open.iter_mut().find(|(number, _)| *number == self.number) {
            waker.clone_from(context.waker());
        }
        Poll::Pending
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        let mut inner = self.mailbox.lock();
        inner.open.retain(|(number, _)| *number != self.number);
        inner.used = Instant::now();
        if !inner.news.is_empty() {
            inner.wake_oldest();
        }
    }
}
