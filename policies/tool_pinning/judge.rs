//! What is said of a tool.

use super::{
    options::{Baseline, OnDifference, ToolPinningOptions},
    seen::Present,
};
use crate::kit::pins::{Standing, ToolPin};

/// Why a tool is not simply good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is not what was pinned.
    Changed,
    /// It has no pin, or none that somebody has approved.
    New,
    /// It is pinned, and something in it is suspicious.
    Flagged,
    /// One list says several things of it.
    Ambiguous,
    /// The upstream does not say what it is, or nobody can read it.
    Unknown,
}

impl Why {
    /// As in logs and metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::New => "new",
            Self::Flagged => "flagged",
            Self::Ambiguous => "ambiguous",
            Self::Unknown => "unknown",
        }
    }
}

/// What is wrong with a tool, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) why: Why,
    pub(super) then: OnDifference,
}

impl Fault {
    pub(super) fn passes(self) -> bool {
        self.then == OnDifference::Log
    }

    /// As in logs and metrics.
    pub(super) fn outcome(self) -> &'static str {
        match self.then {
            OnDifference::Log => "logged",
            OnDifference::Hold => "held",
            OnDifference::Block => "denied",
        }
    }

    pub(super) fn standing(self) -> Standing {
        match self.then {
            OnDifference::Log => Standing::Logged,
            OnDifference::Hold => Standing::Held,
            OnDifference::Block => Standing::Blocked,
        }
    }
}

/// Compares what the upstream says of a tool with what is pinned. None where it is good.
pub(super) fn judge(options: &ToolPinningOptions, pin: Option<&ToolPin>, present: Option<&Present>) -> Option<Fault> {
    let seen = match present {
        Some(Present::One(seen)) => seen,
        Some(Present::Several) => return Some(Fault { why: Why::Ambiguous, then: OnDifference::Block }),
        None => {
            let passes = options.on_change == OnDifference::Log && options.on_new == OnDifference::Log;
            let then = if passes { OnDifference::Log } else { OnDifference::Block };
            return Some(Fault { why: Why::Unknown, then });
        }
    };
    let flagged = !seen.flags.is_empty();
    let good = pin.and_then(|pin| pin.good);
    let fault = match good {
        Some(good) if good.digest == seen.digest && (good.is_approved || options.baseline == Baseline::FirstSeen) => {
            // Whoever approved it has seen what is suspicious in it.
            let then = match options.on_flag {
                OnDifference::Hold if good.is_approved => return None,
                OnDifference::Log => return None,
                then => then,
            };
            return flagged.then_some(Fault { why: Why::Flagged, then });
        }
        Some(good) if good.digest != seen.digest => Fault { why: Why::Changed, then: options.on_change },
        _ => Fault { why: Why::New, then: options.on_new },
    };
    let then = if flagged { fault.then.max(options.on_flag) } else { fault.then };
    Some(Fault { then: if seen.can_be_pinned { then } else { OnDifference::Block }, ..fault })
}
