//! The way in: rows go into a bounded queue, from which one task writes them.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use portcullis_policies::kit::audit::{AuditLog, Captured, Entry, Keeping, NotKept};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::Counts;

/// Rows that wait to be written, and how much room all that they hold of arguments and results may take.
pub(super) const QUEUE: usize = 8192;
const ROOM: usize = 64 << 20;
/// How long a call waits for its row.
const PATIENCE: Duration = Duration::from_secs(5);

/// Stands for the log where it is needed before the configuration is known: policies are built while it is read. Until the log
/// is open, rows are lost and no row is kept. Clones stand for the same one.
#[derive(Clone, Debug, Default)]
pub struct Handle {
    queue: Arc<OnceLock<mpsc::Sender<Item>>>,
    pub(super) gauge: Arc<Gauge>,
    counts: Counts,
}

/// What both ends of the queue look at.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// Does the store refuse rows at present?
    pub(super) is_down: AtomicBool,
    room: AtomicUsize,
}

/// What goes through the queue.
#[derive(Debug)]
pub(super) enum Item {
    /// A row, and who waits for it.
    Entry(Box<Entry>, Option<oneshot::Sender<()>>),
    /// The store has decisions of which there is no row.
    Look,
    /// Nothing more comes.
    Close(oneshot::Sender<()>),
}

impl Handle {
    /// How many rows there were.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The store may have decisions of which there is no row. Those have theirs before whatever is noted from now on.
    pub fn look(&self) {
        // Where there is no place for this, it is looked again soon.
        let _ = self.queue.get().map(|queue| queue.try_send(Item::Look));
    }

    /// Writes what is left, and the last checkpoint.
    pub async fn close(&self) {
        let Some(queue) = self.queue.get() else { return };
        let (closed, done) = oneshot::channel();
        if queue.send(Item::Close(closed)).await.is_ok() {
            let _ = timeout(2 * PATIENCE, done).await;
        }
    }

    /// From now on rows are taken; none, if they were before.
    pub(super) fn open(&self) -> Option<mpsc::Receiver<Item>> {
        let (queue, items) = mpsc::channel(QUEUE);
        self.queue.set(queue).ok().map(|()| items)
    }

    fn push(&self, entry: Entry, waiting: Option<oneshot::Sender<()>>) -> Result<(), NotKept> {
        let queue = self.queue.get().ok_or(NotKept)?;
        let size = size(&entry);
        let taken = self.gauge.room.fetch_add(size, Ordering::Relaxed);
        if taken + size > ROOM || queue.try_send(Item::Entry(Box::new(entry), waiting)).is_err() {
            self.gauge.room.fetch_sub(size, Ordering::Relaxed);
            return Err(NotKept);
        }
        Ok(())
    }
}

impl Gauge {
    /// A row has left the queue.
    pub(super) fn took(&self, entry: &Entry) {
        self.room.fetch_sub(size(entry), Ordering::Relaxed);
    }
}

fn size(entry: &Entry) -> usize {
    let result = entry.end.as_ref().and_then(|end| end.result.as_ref());
    [entry.arguments.as_ref(), result].into_iter().flatten().map(Captured::size).sum()
}

impl AuditLog for Handle {
    fn note(&self, entry: Entry) {
        if self.push(entry, None).is_err() {
            self.counts.add_lost(1);
        }
    }

    fn keep(&self, entry: Entry) -> Keeping {
        if self.gauge.is_down.load(Ordering::Relaxed) {
            return Box::pin(std::future::ready(Err(NotKept)));
        }
        let (kept, done) = oneshot::channel();
        let pushed = self.push(entry, Some(kept));
        Box::pin(async move {
            pushed?;
            // Whoever writes leaves without a word where the row is not there.
            timeout(PATIENCE, done).await.map_err(|_| NotKept)?.map_err(|_| NotKept)
        })
    }
}
