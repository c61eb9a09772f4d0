//! What a check is.

use std::pin::Pin;

use super::finding::Finding;

/// What is examined: what is known of it when the examination begins, and what checks find out for those after them.
pub(super) trait Case: Sized {
    /// What a check can find that others build on.
    type Fact: Copy + 'static;

    /// Has a check found this?
    fn has(&self, fact: Self::Fact) -> bool;

    /// Why a check is skipped that needs it, where it is missing.
    fn missing(fact: Self::Fact) -> &'static str;
}

/// One question. An examination is a list of them, asked from the first to the last.
pub(super) struct Check<C: Case> {
    /// A word for the list.
    pub(super) name: &'static str,
    /// What is asked.
    pub(super) question: &'static str,
    /// What earlier checks must have found; without it there is nothing to look at.
    pub(super) needs: &'static [C::Fact],
    /// Looks, and notes in the case what later checks need.
    pub(super) run: for<'a> fn(&'a mut C) -> Running<'a>,
}

/// A check under way.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + 'a>>;

impl<C: Case> Check<C> {
    /// Asks the question, if what it needs is there.
    pub(super) async fn look(&self, case: &mut C) -> Vec<Finding> {
        match self.needs.iter().find(|fact| !case.has(**fact)) {
            Some(missing) => vec![Finding::skipped(C::missing(*missing))],
            None => (self.run)(case).await,
        }
    }
}

/// Are names unique, and questions questions?
#[cfg(test)]
pub(super) fn assert_is_a_list<C: Case>(checks: &[Check<C>]) {
    for (at, check) in checks.iter().enumerate() {
        assert!(checks[..at].iter().all(|other| other.name != check.name), "{} is there twice", check.name);
        assert!(check.question.ends_with('?'), "{}", check.name);
    }
}
