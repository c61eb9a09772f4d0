//! What follows from a find.

use std::time::Duration;

use jiff::{civil::Date, tz::TimeZone};

use super::{Action, Find, Policy, SecretGuard};
use crate::kit::{
    clock::Timestamp,
    decision::Decided,
    policy::Problem,
    refusal::{Reason, Refusal},
};

/// What is done about one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    Log,
    Mask,
    Block,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Sent,
    Received,
}

impl Ruling {
    /// `can_refuse`: an error can come in the place of what is blocked. Where it cannot, the secret alone goes.
    pub(super) fn of(action: Action, can_refuse: bool) -> Self {
        match action {
            Action::Off | Action::Log => Self::Log,
            Action::Block if can_refuse => Self::Block,
            Action::Mask | Action::Block => Self::Mask,
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Self::Log => "logged",
            Self::Mask => "masked",
            Self::Block => "blocked",
        }
    }

    /// Logs what was found and gives the decisions: one for each pattern, however often it fits.
    pub(super) fn note(self, direction: Direction, finds: &[Find]) -> Vec<Decided> {
        let mut decided: Vec<Decided> = Vec::new();
        for Find { pattern, pointer, .. } in finds {
            if decided.iter().any(|decided| decided.rule == pattern.name) {
                continue;
            }
            let (pattern, outcome) = (&pattern.name, self.outcome());
            tracing::info!(pattern = &**pattern, at = ?pointer, ?direction, outcome, "secret-guard");
            decided.push(Decided { policy: SecretGuard::NAME, rule: pattern.clone(), outcome });
        }
        decided
    }
}

/// Why a message does not pass; never with what was found.
pub(super) fn refusal(reason: Reason, find: &Find) -> Refusal {
    let (pattern, pointer) = (&find.pattern, find.pointer.as_str());
    let (subject, end) = match reason {
        Reason::SecretInAnswer => ("The upstream's answer", "so it is not shown. The call was made"),
        _ => ("The request", "so it was not sent"),
    };
    let why = format!("{subject} holds what looks like {} at {pointer}, {end}.", pattern.what);
    Refusal::new(reason, why).with_data("pattern", &*pattern.name).with_data("pointer", pointer)
}

/// Patterns get old: new kinds of secrets are not found.
pub(super) fn outdated(date: &str, now: Timestamp) -> Option<Problem> {
    const YEAR: Duration = Duration::from_hours(366 * 24);
    let midnight = date.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    let looked_through = Timestamp::from_seconds(midnight.timestamp().as_second());
    (now.since(looked_through) > YEAR).then(|| {
        Problem::new(
            "",
            format!("the patterns of `{}` are of {date}: newer kinds of secrets are not found", SecretGuard::NAME),
        )
        .hint("update the gateway, or add patterns of your own under `patterns`")
        .warning()
    })
}
