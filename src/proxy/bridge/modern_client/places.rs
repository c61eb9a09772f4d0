//! How much may be held at once: in all, and for one caller.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Places that are free and taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<String, usize>>>);

/// One that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Places,
    caller: String,
}

impl Places {
    /// For all callers together.
    const MOST: usize = 16 << 10;
    /// For one. All who call without a sign-in are one.
    const MOST_OF_ONE: usize = 256;

    /// Takes a place, if there is one for this caller.
    pub(super) fn take(&self, caller: String) -> Option<Place> {
        let mut taken = self.lock();
        if taken.values().sum::<usize>() >= Self::MOST {
            return None;
        }
        let own = taken.entry(caller.clone()).or_default();
        if *own >= Self::MOST_OF_ONE {
            return None;
        }
        *own += 1;
        drop(taken);
        Some(Place { of: self.clone(), caller })
    }

    /// Is none taken?
    pub(super) fn are_free(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        if let Some(own) = taken.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_their_share_and_what_is_given_back_is_free() {
        let places = Places::default();
        let adas: Vec<_> = (0..Places::MOST_OF_ONE).map(|_| places.take("ada".to_owned()).unwrap()).collect();
        assert!(places.take("ada".to_owned()).is_none());
        assert!(places.take("bob".to_owned()).is_some());
        drop(adas);
        assert!(places.are_free());
        assert!(places.take("ada".to_owned()).is_some());
    }
}
