//! Which era an upstream speaks: sessions (up to 2025-11-25), requests that stand for themselves (since 2026-07-28), or both.
//!
//! An upstream's era is a property of the server, and it is learnt from how it answers (MCP 2026-07-28, "Versioning").

use std::sync::atomic::{AtomicU8, Ordering};

use portcullis_policies::kit::message::{Message, Method};

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
#[derive(Debug, Default)]
pub(super) struct Eras {
    legacy: Knowledge,
    modern: Knowledge,
}

/// Does it speak this era? 0 for not known, 1 for no, 2 for yes.
#[derive(Debug, Default)]
struct Knowledge(AtomicU8);

impl Eras {
    /// Does the upstream speak this era, as far as that is known?
    pub(super) fn speaks(&self, era: Era) -> Option<bool> {
        match self.of(era).0.load(Ordering::Relaxed) {
            0 => None,
            known => Some(known == 2),
        }
    }

    /// Something was learnt.
    pub(super) fn learn(&self, era: Era, speaks: bool) {
        self.of(era).0.store(1 + u8::from(speaks), Ordering::Relaxed);
    }

    fn of(&self, era: Era) -> &Knowledge {
        match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        }
    }
}

/// How a message gets to the upstream.
pub(super) enum Way<'a> {
    /// As it is.
    Straight,
    /// The beginning of a session with an upstream that has none.
    Initialize,
    /// A message of such a session.
    LegacyClient(&'a Session),
    /// A message without a session, to an upstream that has nothing else.
    ModernClient,
}

impl<'a> Way<'a> {
    pub(super) fn of(serves: Serves, eras: &Eras, message: &Message, session: Option<&'a Session>) -> Self {
        if let Some(session @ Session { held: Held::ByGateway(_), .. }) = session {
            return Self::LegacyClient(session);
        }
        if serves != Serves::Both {
            return Self::Straight;
        }
        if message.is_modern() {
            return if eras.speaks(Era::Modern) == Some(false) { Self::ModernClient } else { Self::Straight };
        }
        let is_first = message.method() == Some(&Method::Initialize);
        if is_first && eras.speaks(Era::Legacy) == Some(false) { Self::Initialize } else { Self::Straight }
    }
}
