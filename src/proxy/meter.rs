//! How warm the ways to upstreams are: how often a connection or a session was there already, and why it was not.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts for the whole process. All clones are the same; counting is one relaxed addition.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connections: Tally,
    sessions: Tally,
}

/// What became of the wish for an open connection or session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// One was there.
    Reused,
    /// None was there, so one was opened.
    Opened(Miss),
}

/// Why nothing was there to be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// None was open before, as far as that is remembered.
    First,
    /// The last one was closed because nobody used it.
    Idle,
    /// The last one broke, or the upstream ended it.
    Error,
    /// The last one was of a credential that another has replaced.
    Rotation,
    /// Those that are open are all in use.
    Busy,
    /// The last one ended with a call that its client gave up.
    Cancelled,
    /// Another gateway holds it.
    OtherNode,
}

impl Miss {
    /// Each at its own number.
    pub(super) const ALL: [Self; 7] =
        [Self::First, Self::Idle, Self::Error, Self::Rotation, Self::Busy, Self::Cancelled, Self::OtherNode];

    /// As metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Idle => "idle",
            Self::Error => "error",
            Self::Rotation => "rotation",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::OtherNode => "other_node",
        }
    }
}

impl Meter {
    /// Something is sent on a connection to an upstream.
    pub(super) fn connection(&self, of: Use) {
        self.0.connections.count(of);
    }

    /// Something is sent in a session that is kept warm at an upstream for clients of 2026-07-28.
    pub(super) fn session(&self, of: Use) {
        self.0.sessions.count(of);
    }

    /// What was counted of connections.
    pub fn connections(&self) -> impl Iterator<Item = (Use, u64)> {
        self.0.connections.read()
    }

    /// What was counted of sessions.
    pub fn sessions(&self) -> impl Iterator<Item = (Use, u64)> {
        self.0.sessions.read()
    }
}

#[derive(Debug, Default)]
struct Tally {
    reused: AtomicU64,
    opened: [AtomicU64; Miss::ALL.len()],
}

impl Tally {
    fn count(&self, of: Use) {
        let count = match of {
            Use::Reused => &self.reused,
            Use::Opened(miss) => &self.opened[miss as usize],
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// What has happened at all.
    fn read(&self) -> impl Iterator<Item = (Use, u64)> {
        let opened = Miss::ALL.into_iter().zip(&self.opened).map(|(miss, count)| (Use::Opened(miss), count));
        let all = std::iter::once((Use::Reused, &self.reused)).chain(opened);
        all.map(|(of, count)| (of, count.load(Ordering::Relaxed))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_for_itself_under_its_own_name() {
        let meter = Meter::default();
        for (times, miss) in (1..).zip(Miss::ALL) {
            (0..times).for_each(|_| meter.session(Use::Opened(miss)));
        }
        let counted: Vec<_> = meter.sessions().collect();
        assert_eq!(counted, Miss::ALL.map(Use::Opened).into_iter().zip(1..).collect::<Vec<_>>());
        assert_eq!(meter.connections().next(), None);
        let names = Miss::ALL.map(Miss::as_str);
        assert!((1..names.len()).all(|at| !names[..at].contains(&names[at])));
    }
}
