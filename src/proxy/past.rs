//! What is remembered of connections and sessions that were open, so that whoever finds none can say why.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicUsize, Ordering},
};

use super::meter::Miss;

/// Whoever had some. It is asked only where something is opened.
#[derive(Debug, Default)]
pub(super) struct Past([Mutex<Page>; Past::PAGES]);

/// A part of the owners, the one who needed another one last at the end.
#[derive(Debug, Default)]
struct Page(Vec<Arc<Account>>);

/// What is open for one owner, through all versions of their credential.
#[derive(Debug)]
struct Account {
    owner: Box<str>,
    version: AtomicI64,
    open: AtomicUsize,
    /// Why the last one ended.
    ended: AtomicU8,
}

/// The entry of something that is open, to be dropped with it.
#[derive(Debug)]
pub(super) struct Seat {
    account: Arc<Account>,
    ended: AtomicU8,
    has_left: AtomicBool,
}

impl Past {
    const PAGES: usize = 16;

    /// Enters what is about to be opened for `owner` with this version of their credential, and says why it has to be.
    pub(super) fn enter(&self, owner: &str, version: i64) -> (Seat, Miss) {
        let account = self.page(owner).account(owner, version);
        let miss = account.miss(version);
        account.open.fetch_add(1, Ordering::Relaxed);
        (Seat { account, ended: AtomicU8::new(Miss::Cancelled as u8), has_left: AtomicBool::new(false) }, miss)
    }

    /// Remembers what became of the last one of `owner`, of which nothing else is known here.
    pub(super) fn note(&self, owner: &str, version: i64, ended: Miss) {
        self.page(owner).account(owner, version).ended.store(ended as u8, Ordering::Relaxed);
    }

    fn page(&self, owner: &str) -> MutexGuard<'_, Page> {
        self.0[spread(owner) % Self::PAGES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that is another one for most other names. Names of connections and of people are not chosen by callers, and
/// all that depends on it is how long something is remembered.
pub(super) fn spread(name: &str) -> usize {
    name.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)))
}

impl Page {
    /// Owners that are kept at most. Who is forgotten comes for the first time again.
    const MOST: usize = 256;

    fn account(&mut self, owner: &str, version: i64) -> Arc<Account> {
        let account = match self.0.iter().rposition(|account| *account.owner == *owner) {
            Some(at) => self.0.remove(at),
            None => Arc::new(Account::new(owner, version)),
        };
        if self.0.len() >= Self::MOST {
            self.0.remove(0);
        }
        self.0.push(Arc::clone(&account));
        account
    }
}

impl Account {
    fn new(owner: &str, version: i64) -> Self {
        Self {
            owner: owner.into(),
            version: version.into(),
            open: AtomicUsize::new(0),
            ended: AtomicU8::new(Miss::First as u8),
        }
    }

    /// Why a request with this version finds nothing.
    fn miss(&self, version: i64) -> Miss {
        if self.version.swap(version, Ordering::Relaxed) != version {
            return Miss::Rotation;
        }
        match self.open.load(Ordering::Relaxed) {
            0 => Miss::ALL[usize::from(self.ended.load(Ordering::Relaxed))],
            _ => Miss::Busy,
        }
    }
}

impl Seat {
    /// Says why it ends, if it ends now. Without a word, a call that was given up has ended it.
    pub(super) fn ends(&self, why: Miss) {
        self.ended.store(why as u8, Ordering::Relaxed);
    }

    /// It ends now, though somebody may still hold it.
    pub(super) fn leave(&self) {
        if !self.has_left.swap(true, Ordering::Relaxed) {
            self.account.ended.store(self.ended.load(Ordering::Relaxed), Ordering::Relaxed);
            self.account.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_says_what_became_of_the_last_connection_with_the_same_credential() {
        let past = Past::default();
        let (seat, miss) = past.enter("ada", 1);
        assert_eq!(miss, Miss::First);
        assert_eq!(past.enter("ada", 1).1, Miss::Busy);
        seat.ends(Miss::Idle);
        drop(seat);
        assert_eq!(past.enter("ada", 1).1, Miss::Idle);
        assert_eq!(past.enter("ada", 1).1, Miss::Cancelled);
        let (seat, miss) = past.enter("ada", 2);
        assert_eq!(miss, Miss::Rotation);
        seat.ends(Miss::Error);
        drop(seat);
        assert_eq!(past.enter("ada", 2).1, Miss::Error);
        assert_eq!(past.enter("", 0).1, Miss::First);
        // What is over is not in use, whoever holds it.
        let (held, _) = past.enter("bob", 1);
        held.ends(Miss::Error);
        held.leave();
        assert_eq!(past.enter("bob", 1).1, Miss::Error);
        drop(held);
        assert_eq!(past.enter("bob", 1).1, Miss::Cancelled);
    }

    #[test]
    fn who_has_not_come_for_long_is_forgotten_and_nobody_else() {
        let past = Past::default();
        let is_first = |name: &str| past.enter(name, 1).1 == Miss::First;
        assert!(is_first("ada") && is_first("bob"));
        for number in 0..50_000 {
            assert!(is_first(&format!("{number}")));
            assert!(number % 100 > 0 || !is_first("ada"));
        }
        assert!(!is_first("ada") && is_first("bob"));
        let kept: usize = past.0.iter().map(|page| page.lock().unwrap().0.len()).sum();
        assert_eq!(kept, Past::PAGES * Page::MOST);
    }
}
