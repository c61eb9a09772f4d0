//! Keeping up with what other nodes write, by reading a list of changes again and again.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use portcullis_policies::kit::clock::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::StoreError;

/// How much of a list is read again each time: longer than a transaction may take to become visible, and than the clocks of
/// those who write may differ.
const OVERLAP: Duration = Duration::from_mins(2);
/// For how long what is known is believed while the store says nothing.
const DEAF: Duration = Duration::from_mins(5);

/// How far a list of changes has been read.
#[derive(Debug)]
pub struct Feed {
    /// In milliseconds since 1970: by the clock that rows are dated with.
    read_to: AtomicI64,
    begun: Instant,
    /// Milliseconds after `begun`: by a clock that nobody sets.
    heard: AtomicU64,
}

impl Feed {
    /// Begins to read at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { read_to: AtomicI64::new(now.as_millis()), begun: Instant::now(), heard: AtomicU64::new(0) }
    }

    /// From where to read next.
    pub fn due(&self) -> Timestamp {
        Timestamp::from_millis(self.read_to.load(Ordering::Acquire)).minus(OVERLAP)
    }

    /// All that was written before `now` has been read.
    pub fn read_to(&self, now: Timestamp) {
        self.read_to.store(now.as_millis(), Ordering::Release);
        let heard = self.begun.elapsed().as_millis();
        self.heard.store(u64::try_from(heard).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Has the store been silent for so long that what is known can no longer be believed?
    pub fn is_deaf(&self) -> bool {
        let heard = Duration::from_millis(self.heard.load(Ordering::Acquire));
        self.begun.elapsed().saturating_sub(heard) > DEAF
    }
}

/// Does something with the store again and again. If it fails, the log says what goes on `meanwhile`.
pub async fn every<F>(pause: Duration, meanwhile: &str, mut work: impl FnMut() -> F)
where
    F: Future<Output = Result<(), StoreError>>,
{
    let mut clock = interval(pause);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(error) = work().await {
            tracing::warn!(%error, "the store does not answer; {meanwhile}");
        }
    }
}
