//! What policies decided about a request, for logs, metrics and the audit.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use crate::kit::{chain::Response, reply::Reply};

/// One decision of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The policy.
    pub policy: &'static str,
    /// The rule's name.
    pub rule: Arc<str>,
    /// `allowed`, `denied`, `logged`, `masked`, `blocked`, `redacted_arguments`, `redacted_result`, `held` (it waits for a
    /// person), `approved` (it was made, once), `refused` (nobody approved it). Of a rule that is tried out: `would_allow`,
    /// `would_deny`, `would_log`, `would_hold`, `would_redact_arguments`, `would_redact_result`.
    pub outcome: &'static str,
}

/// In the extensions of an answer: all that was decided about its request, innermost policy first.
#[derive(Clone, Debug, Default)]
pub struct Decisions(pub Vec<Decided>);

impl Decisions {
    /// Adds decisions to those that an answer carries.
    pub fn add(response: &mut Response, decided: Vec<Decided>) {
        if !decided.is_empty() {
            response.extensions_mut().get_or_insert_default::<Self>().0.extend(decided);
        }
    }
}

/// Decisions that are still being made: those about the events of a stream come after the head of its answer.
#[derive(Clone, Default)]
pub struct Undecided(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    decided: Vec<Decided>,
    listener: Option<Listener>,
}

/// Decisions that are kept for somebody who does not listen yet.
const KEPT: usize = 1000;

type Listener = Box<dyn Fn(Decided) + Send>;

/// In the extensions of a stream: what will be decided about its events.
#[derive(Clone, Debug, Default)]
pub struct LateDecisions(pub Vec<Undecided>);

impl LateDecisions {
    /// Adds decisions to come to those that a stream has.
    pub fn add(response: &mut Response, undecided: Undecided) {
        response.extensions_mut().get_or_insert_default::<Self>().0.push(undecided);
    }
}

impl Undecided {
    /// Notes a decision, or tells it to whoever listens.
    pub fn note(&self, decided: Decided) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.listener {
            Some(listener) => listener(decided),
            None if state.decided.len() < KEPT => state.decided.push(decided),
            None => {}
        }
    }

    /// Adds all of it to an answer: at once where the answer is there, and as it comes in a stream.
    pub fn join(self, response: &mut Response) {
        match response.body() {
            Reply::Events(_) => LateDecisions::add(response, self),
            _ => Decisions::add(response, self.take()),
        }
    }

    /// What was decided so far.
    pub fn take(&self) -> Vec<Decided> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).decided)
    }

    /// Whoever is to hear of everything that was decided, and will be.
    pub fn listen(&self, listener: impl Fn(Decided) + Send + 'static) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut state.decided).into_iter().for_each(&listener);
        state.listener = Some(Box::new(listener));
    }
}

impl fmt::Debug for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undecided")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_late_hears_what_was_decided_before_and_what_is_afterwards() {
        let decided = |outcome| Decided { policy: "one", rule: "a rule".into(), outcome };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (undecided, ear) = (Undecided::default(), Arc::clone(&heard));
        undecided.note(decided("masked"));
        undecided.listen(move |decided| ear.lock().unwrap().push(decided.outcome));
        undecided.note(decided("logged"));
        assert_eq!(*heard.lock().unwrap(), ["masked", "logged"]);
        assert!(undecided.take().is_empty());
    }

    #[test]
    fn what_nobody_ever_hears_is_not_kept_without_end() {
        let undecided = Undecided::default();
        for _ in 0..2 * KEPT {
            undecided.note(Decided { policy: "one", rule: "a rule".into(), outcome: "logged" });
        }
        assert_eq!(undecided.take().len(), KEPT);
    }
}
