//! Credentials at hand: one look-up for each call.
//!
//! A [`Slot`] stands for one person's credential at one address of one upstream. The book is of one tenant, so the tenant
//! is a part of every key without standing in it. Slots are spread over shards by a keyed hash; a look-up takes one
//! shard's lock for reading and allocates nothing.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::slot::Slot;

/// A power of two, and many more than cores.
const SHARDS: usize = 64;
/// Slots in a shard, before those go that nobody used since the last sweep.
const MOST: usize = 4096;

/// All slots of a book.
#[derive(Debug)]
pub(super) struct Slots {
    seed: u64,
    shards: Box<[RwLock<Shard>]>,
}

/// By the hash of upstream and subject: few slots have the same one, a person's at two addresses among them.
type Shard = HashMap<u64, Vec<Arc<Slot>>, BuildHasherDefault<AsIs>>;

impl Slots {
    /// Room for slots, spread by a seed that nobody can guess.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }

    /// Does something with the slot, if there is one.
    pub(super) fn with<R>(
        &self,
        upstream: &str,
        target: &str,
        subject: &str,
        look: impl FnOnce(&Arc<Slot>) -> R,
    ) -> Option<R> {
        let hash = self.hash(upstream, subject);
        let shard = read(self.shard(hash));
        shard.get(&hash)?.iter().find(|slot| slot.is_of(upstream, target, subject)).map(look)
    }

    /// The slot, a new one if there is none.
    pub(super) fn slot(&self, upstream: &str, target: &str, subject: &str) -> Arc<Slot> {
        if let Some(slot) = self.with(upstream, target, subject, Arc::clone) {
            return slot;
        }
        let hash = self.hash(upstream, subject);
        let mut shard = write(self.shard(hash));
        if shard.len() >= MOST {
            forget_unused(&mut shard);
        }
        let slots = shard.entry(hash).or_default();
        if let Some(slot) = slots.iter().find(|slot| slot.is_of(upstream, target, subject)) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot::new(upstream, target, subject));
        slots.push(Arc::clone(&slot));
        slot
    }

    /// Somebody's slots at an upstream, at whatever address.
    pub(super) fn of(&self, upstream: &str, subject: &str) -> Vec<Arc<Slot>> {
        let hash = self.hash(upstream, subject);
        let shard = read(self.shard(hash));
        let slots = shard.get(&hash).into_iter().flatten();
        slots.filter(|slot| slot.upstream == upstream.into() && slot.subject == subject.into()).cloned().collect()
    }

    /// Forgets what nobody has used since the last sweep.
    pub(super) fn sweep(&self) {
        self.shards.iter().for_each(|shard| forget_unused(&mut write(shard)));
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The map uses the lowest and the highest bits.
        &self.shards[usize::try_from(hash >> 32).unwrap_or_default() % SHARDS]
    }

    fn hash(&self, upstream: &str, subject: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, upstream, subject).hash(&mut hasher);
        hasher.finish()
    }
}

fn forget_unused(shard: &mut Shard) {
    shard.retain(|_, slots| {
        slots.retain(|slot| slot.was_used());
        !slots.is_empty()
    });
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

/// What is a hash already is not hashed again.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
