//! What an upstream says beside its answers: on a session's own stream (GET), or on a subscription. A client that only posts
//! has no place for it but the streams of its open calls.
//!
//! ```text
//! upstream ─ GET stream → listen ─ put, ask → Mailbox ─ Inlet → Injected → the session's oldest open stream
//! ```

mod injected;
mod listen;
mod mailbox;
mod offers;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(in crate::proxy) use self::{
    injected::{Injected, One},
    mailbox::{Inlet, Mailbox},
    offers::speaks_aside,
};
use super::session::Owner;

/// Whose session it is, where, and which one: no two of these see anything of each other.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Place<'a> {
    /// The route's path.
    pub(in crate::proxy) route: &'a Arc<str>,
    /// The caller, and their connection to the upstream.
    pub(in crate::proxy) owner: Owner<'a>,
    /// The session, by a name that tells it from the caller's others.
    pub(in crate::proxy) session: &'a str,
}

/// The mailboxes of all sessions that are heard by this process.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Asides(Mutex<Mailboxes>);

#[derive(Debug, Default)]
struct Mailboxes {
    of: BTreeMap<Person, Vec<Named>>,
    held: usize,
    /// Those among them of callers who did not sign in.
    of_nobody: usize,
}

/// One session's, by its name.
type Named = (Box<str>, Arc<Mailbox>);

/// Route, subject and connection.
type Person = (Arc<str>, Box<str>, Box<str>);

impl Asides {
    /// Sessions of all callers together.
    const MOST: usize = 4096;
    /// Those of callers who did not sign in, on all routes together: any stranger can begin as many as there may be, and
    /// must not take the places of people who did sign in.
    const OF_NOBODY: usize = Self::MOST / 4;
    /// Sessions of one caller. The one that was not used for longest makes room for another.
    const OF_ONE: usize = 16;

    /// The mailbox of a session, which is made if there is none; none when there are as many as there may be. It is given up
    /// when it was not used for `idle`.
    pub(in crate::proxy) fn mailbox(&self, place: Place<'_>, idle: Duration) -> Option<Arc<Mailbox>> {
        let mut all = self.lock();
        let is_somebody = !place.owner.subject.is_empty();
        let is_full = all.held >= Self::MOST || (!is_somebody && all.of_nobody >= Self::OF_NOBODY);
        let own = all.of.entry(place.person()).or_default();
        if let Some((_, mailbox)) = own.iter().find(|(session, _)| **session == *place.session) {
            return Some(Arc::clone(mailbox));
        }
        let replaced = is_somebody && own.len() >= Self::OF_ONE;
        if replaced {
            let oldest = own.iter().enumerate().min_by_key(|(_, (_, mailbox))| mailbox.last_use());
            let oldest = oldest.map_or(0, |(at, _)| at);
            own.swap_remove(oldest);
        } else if is_full {
            return None;
        }
        let mailbox = Arc::new(Mailbox::new(idle));
        own.push((place.session.into(), Arc::clone(&mailbox)));
        all.held += usize::from(!replaced);
        all.of_nobody += usize::from(!is_somebody);
        Some(mailbox)
    }

    /// The session has ended.
    pub(in crate::proxy) fn forget(&self, place: Place<'_>) {
        self.retain(Some(&place.person()), |session, _| *session != *place.session);
    }

    /// Closes what nobody listens to any more. To be called every second or so.
    pub(in crate::proxy) fn sweep(&self) {
        self.retain(None, |_, mailbox| {
            mailbox.close_if_over();
            // One that somebody else holds is in use.
            Arc::strong_count(mailbox) > 1 || !mailbox.is_idle()
        });
    }

    fn retain(&self, whose: Option<&Person>, stays: impl Fn(&str, &Arc<Mailbox>) -> bool) {
        let mut all = self.lock();
        let mut gone = Vec::new();
        let is_meant = |person: &Person| whose.is_none_or(|whose| whose == person);
        let mut gone_of_nobody = 0;
        for (person, own) in all.of.iter_mut().filter(|(person, _)| is_meant(person)) {
            let before = gone.len();
            gone.extend(own.extract_if(.., |(session, mailbox)| !stays(session, mailbox)));
            if person.1.is_empty() {
                gone_of_nobody += gone.len() - before;
            }
        }
        all.of.retain(|_, own| !own.is_empty());
        all.held -= gone.len();
        all.of_nobody -= gone_of_nobody;
        drop(all);
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Mailboxes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    fn person(&self) -> Person {
        (Arc::clone(self.route), self.owner.subject.into(), self.owner.connection().into())
    }
}
