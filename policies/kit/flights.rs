//! Many who want to know the same at once: one asks, and the others wait for it.

use std::{
    fmt,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use tokio::{sync::Mutex, time::timeout};

/// Who waits longer than this for others goes on without what they were to bring.
const PATIENCE: Duration = Duration::from_secs(10);
/// Things that are asked for at once, and how long they are remembered after that.
const FLIGHTS: u64 = 100_000;
const IDLE: Duration = Duration::from_mins(1);

/// What is on its way, by what is asked for.
pub(super) struct Flights<K>(Cache<K, Arc<Flight>>);

#[derive(Default)]
struct Flight {
    turn: Mutex<()>,
    /// How often somebody came back with something.
    landed: AtomicU64,
}

impl<K: Eq + Hash + Send + Sync + 'static> Flights<K> {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(FLIGHTS).time_to_idle(IDLE).build())
    }

    /// Does `work`, unless somebody else did the same meanwhile and came back with something: then none, and it is there. Who comes
    /// back with nothing, or goes away in the middle, leaves it to the next one: what one is not told, another may be.
    pub(super) async fn alone<R>(&self, about: K, work: impl Future<Output = Option<R>>) -> Option<R> {
        let flight = self.0.get_with(about, Arc::default);
        let landed = flight.landed.load(Ordering::Acquire);
        let _turn = timeout(PATIENCE, flight.turn.lock()).await.ok()?;
        if flight.landed.load(Ordering::Acquire) != landed {
            return None;
        }
        let found = work.await;
        if found.is_some() {
            flight.landed.fetch_add(1, Ordering::Release);
        }
        found
    }
}

impl<K> fmt::Debug for Flights<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::{
        task::JoinSet,
        time::{Instant, sleep},
    };

    use super::*;

    /// So many ask about the same at once; each takes a second and comes back with `found`.
    async fn at_once(askers: usize, found: Option<()>) -> (usize, Duration) {
        let (flights, asked) = (Arc::new(Flights::new()), Arc::new(AtomicUsize::new(0)));
        let (started, mut all) = (Instant::now(), JoinSet::new());
        for _ in 0..askers {
            let (flights, asked) = (Arc::clone(&flights), Arc::clone(&asked));
            all.spawn(async move {
                let work = async {
                    asked.fetch_add(1, Ordering::SeqCst);
                    sleep(Duration::from_secs(1)).await;
                    found
                };
                flights.alone("it", work).await;
            });
        }
        all.join_all().await;
        (asked.load(Ordering::SeqCst), started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_thousand_at_once_one_asks() {
        assert_eq!(at_once(1000, Some(())).await, (1, Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn fault_where_nothing_comes_back_each_asks_in_turn_and_nobody_waits_for_ever() {
        let (asked, took) = at_once(1000, None).await;
        assert!((10..=11).contains(&asked) && took <= PATIENCE + Duration::from_secs(1), "{asked} in {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn fault_who_goes_away_in_the_middle_leaves_it_to_the_next() {
        let flights = Arc::new(Flights::new());
        let others = Arc::clone(&flights);
        let first = tokio::spawn(async move { others.alone("it", std::future::pending::<Option<()>>()).await });
        sleep(Duration::from_secs(1)).await;
        let others = Arc::clone(&flights);
        let second = tokio::spawn(async move { others.alone("it", async { Some(2) }).await });
        sleep(Duration::from_secs(1)).await;
        assert!(!second.is_finished());
        first.abort();
        assert_eq!(second.await.unwrap(), Some(2));
        assert_eq!(flights.alone("it", async { Some(3) }).await, Some(3), "what is over is not waited for");
        assert_eq!(flights.alone("something else", async { Some(4) }).await, Some(4));
    }
}
