//! Warm sessions: opened when they are needed, one at a time for each kind of caller, and closed when they have rested.

use std::{sync::Arc, time::Duration};

use moka::{Entry, Expiry, future::Cache};
use portcullis_policies::kit::refusal::{Reason, Refusal};
use tokio::runtime::Handle;

use super::{
    Caller,
    call::Call,
    places::{Place, Places},
    warm::{Loan, Opening, Warm},
};
use crate::proxy::{
    Failure,
    eras::Era,
    meter::{Miss, Use},
    past::{Past, Seat},
};

/// Sessions of one kind. Calls share one; more are opened only for calls whose ids are already under way in the others.
const ALIKE: u16 = 64;

/// What sessions must have in common to be lent for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    upstream: Arc<str>,
    route: Arc<str>,
    subject: Box<str>,
    connection: Box<str>,
    credential_version: i64,
    capabilities: Box<str>,
    log_level: Option<&'static str>,
    number: u16,
}

impl Key {
    /// That of the first one.
    fn of(caller: &Caller, call: &Call) -> Self {
        Self {
            upstream: Arc::clone(&caller.forward.0.address),
            route: Arc::clone(caller.forward.route()),
            subject: caller.subject.clone(),
            connection: caller.connection.clone(),
            credential_version: caller.credential_version,
            capabilities: call.declared.capabilities.clone(),
            log_level: call.log_level,
            number: 0,
        }
    }

    /// All that sessions have in common which replace each other.
    fn owner(&self) -> String {
        let Self { upstream, route, subject, connection, capabilities, log_level, .. } = self;
        format!("{upstream} {route} {subject} {connection} {capabilities} {log_level:?}")
    }
}

/// All warm sessions of the process.
#[derive(Debug)]
pub(super) struct Pool {
    sessions: Cache<Key, Arc<Warm>>,
    places: Places,
    past: Past,
}

impl Default for Pool {
    fn default() -> Self {
        Self { sessions: Cache::builder().expire_after(Rest).build(), places: Places::default(), past: Past::default() }
    }
}

impl Pool {
    /// Lends a session for a call, and opens one if there is none. Whoever comes meanwhile waits for the same one.
    pub(super) async fn lend(&self, caller: &Caller, call: &Call) -> Result<Loan, Failure> {
        let mut key = Key::of(caller, call);
        for number in 0..ALIKE {
            key.number = number;
            let mut entry = self.get(&key, caller, call).await?;
            if entry.value().end_if_over() {
                self.sessions.invalidate(&key).await;
                entry = self.get(&key, caller, call).await?;
            }
            let is_fresh = entry.is_fresh();
            if let Some(loan) = Loan::take(entry.into_value(), caller.link.clone(), call) {
                if !is_fresh {
                    caller.forward.shared().meter().session(Use::Reused);
                }
                return Ok(loan);
            }
        }
        let message =
            format!("{ALIKE} calls with this id are under way for this caller, each in a session of its own.");
        let refusal = Refusal::new(Reason::Overloaded, message);
        Err(refusal.with_remedy("Give calls that are made at the same time ids of their own.").into())
    }

    /// Remembers that another gateway holds the session of such a call.
    pub(super) fn is_elsewhere(&self, caller: &Caller, call: &Call) {
        let key = Key::of(caller, call);
        self.past.note(&key.owner(), key.credential_version, Miss::OtherNode);
    }

    /// Keeps the session of such calls warm for somebody who listens in it.
    pub(super) async fn keep(&self, caller: &Caller, call: &Call) {
        self.sessions.get(&Key::of(caller, call)).await;
    }

    async fn get(&self, key: &Key, caller: &Caller, call: &Call) -> Result<Entry<Key, Arc<Warm>>, Failure> {
        let entry = self.sessions.entry_by_ref(key).or_try_insert_with(self.open(key, caller, call)).await;
        entry.map_err(|failure| Failure::clone(&failure))
    }

    async fn open(&self, key: &Key, caller: &Caller, call: &Call) -> Result<Arc<Warm>, Failure> {
        let place = self.places.take(caller.name()).ok_or_else(full)?;
        let (seat, miss) = self.past.enter(&key.owner(), key.credential_version);
        let opening = begin(caller, call, place, seat);
        // Begun is finished: a client that goes away leaves no session behind of which nobody knows.
        let opened = tokio::spawn(opening).await.map_err(|_| Failure::from(Reason::Internal))?;
        if let Err(Failure { refusal, .. }) = &opened
            && matches!(refusal.reason(), Reason::UpstreamInvalid | Reason::UpstreamStatus)
        {
            // It may have changed since that was learnt.
            caller.forward.eras().forget(Era::Modern);
        }
        let warm = opened?;
        caller.forward.shared().meter().session(Use::Opened(miss));
        Ok(Arc::new(warm))
    }

    /// Closes what has rested long enough, and what may not go on.
    pub(super) fn sweep(&self) {
        if self.places.are_free() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let sessions = self.sessions.clone();
            runtime.spawn(async move {
                for (key, warm) in &sessions {
                    if warm.end_if_over() {
                        sessions.invalidate(&*key).await;
                    }
                }
                sessions.run_pending_tasks().await;
            });
        }
    }
}

fn begin(
    caller: &Caller,
    call: &Call,
    place: Place,
    seat: Seat,
) -> impl Future<Output = Result<Warm, Failure>> + use<> {
    Warm::open(caller.link.clone(), Opening::of(call), place, seat)
}

fn full() -> Refusal {
    let message = "As many sessions with the upstream are open for this caller as there may be.";
    Refusal::new(Reason::Overloaded, message)
}

/// Each session is kept as long as its route says.
struct Rest;

impl Expiry<Key, Arc<Warm>> for Rest {
    fn expire_after_create(&self, _: &Key, warm: &Arc<Warm>, _: std::time::Instant) -> Option<Duration> {
        Some(warm.rest)
    }

    fn expire_after_read(
        &self,
        _: &Key,
        warm: &Arc<Warm>,
        _: std::time::Instant,
        _: Option<Duration>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(warm.rest)
    }
}
