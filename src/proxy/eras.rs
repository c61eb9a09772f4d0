//! Which era an upstream speaks: sessions (up to 2025-11-25), requests that stand for themselves (since 2026-07-28), or both.
//!
//! An upstream's era is a property of the server, and it is learnt from how it answers (MCP 2026-07-28, "Versioning").

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use portcullis_policies::kit::message::{Kind, Message, Method};
use tokio::time::Instant;

use super::{
    Serves,
    session::{Held, Session},
};

/// How a request opens, which says how its sender expects to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Era {
    /// `initialize`, or a session, or a revision up to 2025-11-25.
    Legacy,
    /// A revision in the request's own `_meta`.
    Modern,
}

/// What is known of one upstream. Says nothing until something was learnt.
#[derive(Debug)]
pub(super) struct Eras {
    began: Instant,
    legacy: Knowledge,
    modern: Knowledge,
    /// When something that was known was put to the test.
    checked: Mutex<Option<Instant>>,
}

/// Does it speak this era?
#[derive(Debug, Default)]
struct Knowledge(AtomicU64);

impl Knowledge {
    const UNKNOWN: u64 = 0;
    const YES: u64 = 1;
    /// This, and the second in which it was learnt.
    const NO: u64 = 2;
}

impl Default for Eras {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            legacy: Knowledge::default(),
            modern: Knowledge::default(),
            checked: Mutex::default(),
        }
    }
}

impl Eras {
    /// For how long it is taken for granted that an upstream does not speak an era: one that is updated is noticed by then.
    const LACKS: Duration = Duration::from_hours(1);
    /// How often an upstream may be asked about what is known of it, because one of its answers does not fit.
    const RECHECK: Duration = Duration::from_secs(10);

    /// Does the upstream speak this era, as far as that is known?
    pub(super) fn speaks(&self, era: Era) -> Option<bool> {
        match self.of(era).0.load(Ordering::Relaxed) {
            Knowledge::UNKNOWN => None,
            Knowledge::YES => Some(true),
            learnt => {
                let age = self.began.elapsed().as_secs().saturating_sub(learnt - Knowledge::NO);
                (age < Self::LACKS.as_secs()).then_some(false)
            }
        }
    }

    /// Something was learnt. A server speaks something: if it does not speak one era, it is asked anew about the other
    /// of which the same is known.
    pub(super) fn learn(&self, era: Era, speaks: bool) {
        let learnt = if speaks { Knowledge::YES } else { Knowledge::NO + self.began.elapsed().as_secs() };
        let knowledge = &self.of(era).0;
        // Mostly it is known: then the line of memory that all threads read is not written.
        if !speaks || knowledge.load(Ordering::Relaxed) != learnt {
            knowledge.store(learnt, Ordering::Relaxed);
        }
        if !speaks && self.speaks(era.other()) == Some(false) {
            self.forget(era.other());
        }
    }

    /// What was known turned out to be wrong.
    pub(super) fn forget(&self, era: Era) {
        self.of(era).0.store(Knowledge::UNKNOWN, Ordering::Relaxed);
    }

    /// Should the upstream be asked about `era`? At once if nothing is known; now and then if an answer contradicts what is.
    pub(super) fn is_in_doubt(&self, era: Era) -> bool {
        if self.speaks(era).is_none() {
            return true;
        }
        let now = Instant::now();
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = checked.is_none_or(|checked| now - checked >= Self::RECHECK);
        if is_due {
            *checked = Some(now);
        }
        is_due
    }

    fn of(&self, era: Era) -> &Knowledge {
        match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        }
    }
}

impl Era {
    fn other(self) -> Self {
        match self {
            Self::Legacy => Self::Modern,
            Self::Modern => Self::Legacy,
        }
    }
}

/// How a message gets to the upstream.
#[derive(Debug)]
pub(super) enum Way<'a> {
    /// As it is.
    Straight,
    /// As it is: the beginning of a session with an upstream that has them, as far as is known.
    Begin,
    /// The beginning of a session with an upstream that has none.
    Initialize,
    /// A message of such a session.
    LegacyClient(&'a Session),
    /// Nowhere: its client forgot the session, and an upstream that has none could make nothing of it.
    Sessionless,
    /// A message without a session, to an upstream that has nothing else.
    ModernClient,
}

impl<'a> Way<'a> {
    pub(super) fn of(serves: Serves, eras: &Eras, message: &Message, session: Option<&'a Session>) -> Self {
        if let Some(session @ Session { held: Held::ByGateway(_), .. }) = session {
            return Self::LegacyClient(session);
        }
        let lacks = |era| serves.translates() && eras.speaks(era) == Some(false);
        match message.kind() {
            _ if message.is_modern() => {
                if lacks(Era::Modern) {
                    Self::ModernClient
                } else {
                    Self::Straight
                }
            }
            Kind::Request(Method::Initialize) if lacks(Era::Legacy) => Self::Initialize,
            Kind::Request(Method::Initialize) => Self::Begin,
            Kind::Request(_) if session.is_none() && lacks(Era::Legacy) => Self::Sessionless,
            _ => Self::Straight,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_an_upstream_lacks_is_asked_anew_after_an_hour_and_what_it_speaks_is_not() {
        let eras = Eras::default();
        assert_eq!((eras.speaks(Era::Modern), eras.speaks(Era::Legacy)), (None, None));
        advance(Duration::from_secs(100)).await;
        eras.learn(Era::Modern, false);
        eras.learn(Era::Legacy, true);
        assert_eq!((eras.speaks(Era::Modern), eras.speaks(Era::Legacy)), (Some(false), Some(true)));
        advance(Eras::LACKS).await;
        assert_eq!((eras.speaks(Era::Modern), eras.speaks(Era::Legacy)), (None, Some(true)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_said_to_speak_nothing_is_asked_anew() {
        let eras = Eras::default();
        eras.learn(Era::Legacy, false);
        eras.learn(Era::Modern, false);
        assert_eq!((eras.speaks(Era::Modern), eras.speaks(Era::Legacy)), (Some(false), None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_put_to_the_test_now_and_then_only() {
        let eras = Eras::default();
        assert!(eras.is_in_doubt(Era::Modern) && eras.is_in_doubt(Era::Modern), "nothing is known");
        eras.learn(Era::Modern, true);
        assert_eq!([eras.is_in_doubt(Era::Modern), eras.is_in_doubt(Era::Modern)], [true, false]);
        advance(Eras::RECHECK).await;
        assert!(eras.is_in_doubt(Era::Modern));
    }
}
