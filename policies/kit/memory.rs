//! What is remembered for a while: no more than so many entries, and none for longer than so long.
//!
//! For what every call looks up. Caches from which entries go when they have rested, or that fill themselves, are moka's: its
//! bookkeeping costs each look-up several times as much as this.

use std::{fmt, hash::Hash, time::Duration};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder,
    sync::{Cache, DefaultLifecycle},
};
pub use quick_cache::{Equivalent, UnitWeighter, Weighter};
use tokio::time::Instant;

/// Where entries count differently, all room is divided among so many parts, however many cores there are.
const SHARDS: usize = 4;

/// Entries, each of which is believed for the same time.
pub struct Memory<K, V, W = UnitWeighter> {
    entries: Cache<K, Entry<V>, Weighing<W>>,
    time: Duration,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    until: Instant,
}

#[derive(Clone)]
struct Weighing<W>(W);

impl<K, V, W: Weighter<K, V>> Weighter<K, Entry<V>> for Weighing<W> {
    fn weight(&self, key: &K, entry: &Entry<V>) -> u64 {
        self.0.weight(key, &entry.value)
    }
}

impl<K: Eq + Hash, V: Clone> Memory<K, V> {
    /// Remembers about `most` entries, those that are asked for rather than others, for this time.
    pub fn new(most: usize, time: Duration) -> Self {
        Self::with(
            OptionsBuilder::new().estimated_items_capacity(most).weight_capacity(most as u64),
            time,
            UnitWeighter,
        )
    }
}

impl<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone> Memory<K, V, W> {
    /// The same, where entries count for more than one. None is remembered that counts for nearly a quarter of all.
    pub fn weighed(most: u64, time: Duration, weigher: W) -> Self {
        let items = usize::try_from(most).unwrap_or(usize::MAX);
        Self::with(
            OptionsBuilder::new().estimated_items_capacity(items).weight_capacity(most).shards(SHARDS),
            time,
            weigher,
        )
    }

    fn with(options: &OptionsBuilder, time: Duration, weigher: W) -> Self {
        let options = options.build().expect("both capacities are given");
        let entries =
            Cache::with_options(options, Weighing(weigher), DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { entries, time }
    }

    /// What is remembered of this.
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        let entry = self.entries.get(key)?;
        (Instant::now() < entry.until).then_some(entry.value)
    }

    /// Is anything?
    pub fn contains<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> bool {
        self.get(key).is_some()
    }

    /// Remembers this, in the place of what was.
    pub fn insert(&self, key: K, value: V) {
        self.entries.insert(key, Entry { value, until: Instant::now() + self.time });
    }

    /// Forgets this.
    pub fn remove<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) {
        self.entries.remove(key);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.entries.clear();
    }
}

impl<K, V, W> fmt::Debug for Memory<K, V, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_believed_for_longer_than_its_time() {
        let memory = Memory::<String, u8>::new(10, Duration::from_secs(5));
        memory.insert("a".to_owned(), 1);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(memory.get("a"), Some(1));
        memory.insert("b".to_owned(), 2);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((memory.get("a"), memory.get("b")), (None, Some(2)));
        memory.remove("b");
        assert!(!memory.contains("b"));
    }

    #[test]
    fn what_is_remembered_does_not_grow_without_end() {
        #[derive(Clone)]
        struct Length;
        impl Weighter<u32, String> for Length {
            fn weight(&self, _: &u32, value: &String) -> u64 {
                value.len() as u64
            }
        }
        let few = Memory::<u32, ()>::new(100, Duration::from_mins(1));
        let short = Memory::<u32, String, _>::weighed(1000, Duration::from_mins(1), Length);
        for number in 0..10_000 {
            few.insert(number, ());
            short.insert(number, "ten bytes.".to_owned());
        }
        let known = |number: &u32| few.contains(number);
        assert!((1..=100).contains(&(0..10_000).filter(known).count()));
        assert!((1..=100).contains(&(0..10_000).filter(|number| short.contains(number)).count()));
    }
}
