//! One person's credential at one address of one upstream, and whoever is fetching it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use portcullis_policies::kit::{clock::Timestamp, credential::UpstreamCredential};
use tokio::time::Instant;

use super::{flight::Flight, step_up::Steps};

/// See the module.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) upstream: Box<str>,
    pub(super) target: Box<str>,
    pub(super) subject: Box<str>,
    held: ArcSwapOption<Held>,
    /// Whoever is fetching a credential now. All who need one wait for that one.
    pub(super) flight: Mutex<Option<Arc<Flight>>>,
    /// What came of failures.
    pub(super) pause: Mutex<Pause>,
    pub(super) steps: Steps,
    /// No credential of a lower version is worth keeping.
    floor: AtomicI64,
    used: AtomicBool,
}

/// A credential at hand.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) credential: UpstreamCredential,
    /// Of the configuration that it was made under.
    pub(super) configuration: u64,
    /// When the upstream takes it no more.
    pub(super) expires_at: Option<Timestamp>,
    /// From when on a newer one is fetched while this one goes on, in milliseconds since 1970.
    pub(super) renew_at: AtomicI64,
}

/// Never.
const NEVER: i64 = i64::MAX;

impl Held {
    /// A credential that nothing is known against.
    pub(super) fn new(
        credential: UpstreamCredential,
        configuration: u64,
        expires_at: Option<Timestamp>,
        renew_at: Option<Timestamp>,
    ) -> Self {
        let renew_at = AtomicI64::new(renew_at.map_or(NEVER, Timestamp::as_millis));
        Self { credential, configuration, expires_at, renew_at }
    }

    /// May calls be sent with it at `now`?
    pub(super) fn is_good(&self, now: Timestamp, configuration: u64) -> bool {
        self.expires_at.is_none_or(|end| now < end) && self.configuration == configuration && !self.credential.is_over()
    }

    /// Is it time to fetch a newer one? Says so to one caller only.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let due = self.renew_at.load(Ordering::Relaxed);
        now.as_millis() >= due
            && self.renew_at.compare_exchange(due, NEVER, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It was tried in vain; once more at `at`.
    pub(super) fn due_again(&self, at: Timestamp) {
        self.renew_at.store(at.as_millis(), Ordering::Relaxed);
    }
}

impl Slot {
    pub(super) fn new(upstream: &str, target: &str, subject: &str) -> Self {
        Self {
            upstream: upstream.into(),
            target: target.into(),
            subject: subject.into(),
            held: ArcSwapOption::empty(),
            flight: Mutex::default(),
            pause: Mutex::default(),
            steps: Steps::default(),
            floor: AtomicI64::new(0),
            used: AtomicBool::new(true),
        }
    }

    pub(super) fn is_of(&self, upstream: &str, target: &str, subject: &str) -> bool {
        *self.subject == *subject && *self.upstream == *upstream && *self.target == *target
    }

    /// Was it used since this was last asked?
    pub(super) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The credential at hand, if calls may be sent with it; and whether a newer one should be fetched meanwhile, which is
    /// said once.
    pub(super) fn ready(&self, now: Timestamp, configuration: u64) -> Option<(UpstreamCredential, bool)> {
        // Written only when it changes, so that cores do not take it from each other.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        let held = self.held.load();
        let held = held.as_ref().filter(|held| held.is_good(now, configuration))?;
        Some((held.credential.clone(), held.is_due(now)))
    }

    /// The credential at hand, good or not.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.held.load_full()
    }

    /// Puts a credential at hand, unless a newer one is there or it was ended meanwhile. What it replaces is over.
    pub(super) fn hold(&self, held: Held) {
        if held.credential.version() < self.floor.load(Ordering::Acquire) {
            return;
        }
        let held = Arc::new(held);
        let before = self.held.rcu(|present| match present {
            Some(present) if stays(present, &held) => Some(Arc::clone(present)),
            _ => Some(Arc::clone(&held)),
        });
        if let Some(before) = before.filter(|before| before.credential.version() < held.credential.version()) {
            before.credential.end();
        }
        // It may have been ended between the first look and now.
        self.drop_older(self.floor.load(Ordering::Acquire));
    }

    /// The credential has this version now, or is gone: what is older is over, and is not put at hand any more.
    pub(super) fn outdate(&self, version: i64) {
        self.floor.fetch_max(version, Ordering::AcqRel);
        self.drop_older(version);
    }

    /// The same for one that begins anew: its versions may begin anew too.
    pub(super) fn renumber(&self, version: i64) {
        self.floor.store(version, Ordering::Release);
        self.drop_older(version);
    }

    fn drop_older(&self, version: i64) {
        let is_older = |held: &Arc<Held>| held.credential.version() < version;
        let before = self.held.rcu(|present| present.clone().filter(|present| !is_older(present)));
        if let Some(before) = before.filter(is_older) {
            before.credential.end();
        }
    }
}

/// Is what is at hand to stay? What was refused stays too, until there is a newer one: so it is known to be refused.
fn stays(present: &Held, other: &Held) -> bool {
    let (is_over, version) = (present.credential.is_over(), present.credential.version());
    if is_over { version == other.credential.version() } else { version > other.credential.version() }
}

/// How long nothing is asked of an authorization server that did not answer.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_mins(1);

    /// How long it still lasts.
    pub(super) fn left(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Once more in vain: the pause is twice as long as the last one. Returns how long.
    pub(super) fn lengthen(&mut self) -> Duration {
        let pause = Self::FIRST.saturating_mul(1 << self.failures.min(6)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + pause);
        pause
    }

    /// It answered.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
