//! What is remembered of connections to one upstream, so that whoever finds none can say why.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering},
};

use portcullis_policies::kit::credential::UpstreamCredential;

use super::meter::Miss;

/// The credentials that had connections, the one that needed another one last at the end.
#[derive(Debug, Default)]
pub(super) struct Past(Vec<Arc<Account>>);

/// The connections of one credential through all its versions; or those without a credential.
#[derive(Debug)]
struct Account {
    credential: Option<Box<str>>,
    version: AtomicI64,
    open: AtomicUsize,
    /// Why the last one ended.
    ended: AtomicU8,
}

/// A connection's entry here, to be dropped with it.
#[derive(Debug)]
pub(super) struct Seat {
    account: Arc<Account>,
    ended: Miss,
}

impl Past {
    /// Accounts that are kept at most. Who is forgotten comes for the first time again.
    const MOST: usize = 256;

    /// Enters a connection that is about to be opened, and says why it has to be.
    pub(super) fn enter(&mut self, owner: Option<&UpstreamCredential>) -> (Seat, Miss) {
        let (account, miss) = self.account(owner);
        account.open.fetch_add(1, Ordering::Relaxed);
        (Seat { account, ended: Miss::Cancelled }, miss)
    }

    fn account(&mut self, owner: Option<&UpstreamCredential>) -> (Arc<Account>, Miss) {
        let credential = owner.map(UpstreamCredential::connection);
        let version = owner.map_or(0, UpstreamCredential::version);
        let known = self.0.iter().rposition(|account| account.credential.as_deref() == credential);
        let account = match known {
            Some(at) => self.0.remove(at),
            None => {
                if self.0.len() >= Self::MOST {
                    self.0.remove(0);
                }
                Arc::new(Account::new(credential, version))
            }
        };
        self.0.push(Arc::clone(&account));
        let miss = account.miss(version);
        (account, miss)
    }
}

impl Account {
    fn new(credential: Option<&str>, version: i64) -> Self {
        Self {
            credential: credential.map(Into::into),
            version: version.into(),
            open: AtomicUsize::new(0),
            ended: AtomicU8::new(Miss::First as u8),
        }
    }

    /// Why a request with this version finds no connection.
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
    /// Says why the connection ends. Without a word, a call that was given up has ended it.
    pub(super) fn ends(&mut self, why: Miss) {
        self.ended = why;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.account.ended.store(self.ended as u8, Ordering::Relaxed);
        self.account.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_says_what_became_of_the_last_connection_with_the_same_credential() {
        let mut past = Past::default();
        let (first, second) = (UpstreamCredential::new("ada", 1, vec![]), UpstreamCredential::new("ada", 2, vec![]));
        let (mut seat, miss) = past.enter(Some(&first));
        assert_eq!(miss, Miss::First);
        assert_eq!(past.enter(Some(&first)).1, Miss::Busy);
        seat.ends(Miss::Idle);
        drop(seat);
        assert_eq!(past.enter(Some(&first)).1, Miss::Idle);
        assert_eq!(past.enter(Some(&first)).1, Miss::Cancelled);
        let (mut seat, miss) = past.enter(Some(&second));
        assert_eq!(miss, Miss::Rotation);
        seat.ends(Miss::Error);
        drop(seat);
        assert_eq!(past.enter(Some(&second)).1, Miss::Error);
        assert_eq!(past.enter(None).1, Miss::First);
    }

    #[test]
    fn who_has_not_come_for_long_is_forgotten_and_nobody_else() {
        let mut past = Past::default();
        let mut first = |name: &str| past.enter(Some(&UpstreamCredential::new(name, 1, vec![]))).1 == Miss::First;
        assert!(first("ada") && first("bob"));
        assert!(!first("ada"));
        assert!((0..Past::MOST - 1).all(|number| first(&format!("{number}"))));
        assert!(!first("ada") && first("bob"));
        assert_eq!(past.0.len(), Past::MOST);
    }
}
