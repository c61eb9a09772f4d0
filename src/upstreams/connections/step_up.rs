//! The upstream asks for more scopes than the person said yes to (RFC 6750 §3.1, `insufficient_scope`).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use portcullis_policies::kit::{
    credential::{AuthMode, ConnectState, UpstreamChallenge},
    refusal::{Reason, Refusal},
};
use tokio::time::Instant;

use super::{
    flight::Lack,
    kept::Tokens,
    slot::{Slot, lock},
    stored::no_right,
};
use crate::upstreams::oauth::step_up;

/// A person is asked for more at most so often in an hour.
const MOST: usize = 2;
const HOUR: Duration = Duration::from_hours(1);

/// What somebody was asked for lately, beyond what they had said yes to.
#[derive(Debug, Default)]
pub(super) struct Steps(Mutex<Vec<Step>>);

/// When, and for which scopes.
type Step = (Instant, Arc<[Box<str>]>);

impl Steps {
    /// May these be asked for? The same ones may again and again: that is the same question.
    pub(super) fn may_ask(&self, scopes: Vec<Box<str>>) -> Option<Arc<[Box<str>]>> {
        let mut asked = lock(&self.0);
        asked.retain(|(at, _)| at.elapsed() < HOUR);
        if let Some((_, known)) = asked.iter().find(|(_, known)| **known == *scopes) {
            return Some(Arc::clone(known));
        }
        (asked.len() < MOST).then(|| {
            let scopes = Arc::from(scopes);
            asked.push((Instant::now(), Arc::clone(&scopes)));
            scopes
        })
    }
}

/// A refresh never gives more than the person said yes to (RFC 6749 §6), so they are asked once more. What works
/// with the present scopes goes on meanwhile.
pub(super) fn ask_for_more(slot: &Slot, mode: &AuthMode, tokens: &Tokens, challenge: &UpstreamChallenge) -> Lack {
    let mut had = tokens.asked.clone();
    let granted = tokens.set.scope.as_deref().unwrap_or_default();
    for scope in granted.split([' ', ',']).filter(|scope| !scope.is_empty()) {
        if !had.iter().any(|known| **known == *scope) {
            had.push(scope.into());
        }
    }
    let Some(wanted) = step_up(&had, challenge) else { return no_right() };
    let words = wanted.join(" ");
    match slot.steps.may_ask(wanted) {
        Some(scopes) if mode.is_personal() => Lack::Connect {
            state: ConnectState::ReconsentRequired,
            because: format!("for this the upstream asks for more: {words}").into(),
            scopes,
        },
        Some(_) => Lack::Refused(
            Refusal::new(Reason::OperatorMustConnect, format!("For this the upstream asks for more: {words}."))
                .with_data("scope", words),
        ),
        None => {
            tracing::warn!(slot.upstream, slot.subject, words, "the upstream asks for more scopes again and again");
            no_right()
        }
    }
}
