//! What sessions hear of without asking: for each, one subscription at the upstream (`subscriptions/listen`), as long as the
//! session is used.
//!
//! It goes out on the streams of the session's calls: a client that only posts has no other.

mod subscription;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portcullis_policies::kit::{
    chain::Request,
    credential::UpstreamCredential,
    message::Method,
    refusal::{Reason, Refusal},
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use self::subscription::Subscription;
use super::{client::Client, outgoing};
use crate::proxy::{
    Forward,
    aside::{Mailbox, Place},
    session::Owner,
};

/// Sessions that this process listens for.
const MOST: usize = 1_000;
/// Those of one caller, on all routes together. The one that was not used for longest makes room for another.
const OF_ONE: usize = 32;
/// Those of callers who did not sign in. They cannot be told apart, so none of them makes room for another.
const OF_NOBODY: usize = MOST / 4;
/// Resources of one session, and bytes of their addresses.
const RESOURCES: (usize, usize) = (100, 32 << 10);

/// The subscriptions of this process, by the sessions' ids.
#[derive(Debug, Default)]
pub(super) struct Listening(Mutex<HashMap<Arc<str>, Listener>>);

/// What a session wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// That lists have changed.
    pub(super) lists: bool,
    /// That these have changed.
    pub(super) resources: BTreeSet<Box<str>>,
}

/// Whose request it is.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) forward: &'a Forward,
    pub(super) request: &'a Request,
    pub(super) client: &'a Client,
}

#[derive(Debug)]
struct Listener {
    /// Whose it is.
    subject: Arc<str>,
    wanted: watch::Sender<Wanted>,
    mailbox: Arc<Mailbox>,
    credential: Option<UpstreamCredential>,
    used: Instant,
    /// For how long it is held after the last use.
    idle: Duration,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listening {
    /// The session is in use: what it wants to hear of is listened for. Gives where that comes.
    pub(super) fn attend(&self, whose: Whose<'_>) -> Option<Arc<Mailbox>> {
        // Where there are too many already, the session just hears less.
        self.change(whose, |_| Ok(())).ok().flatten()
    }

    /// It wants to hear of a resource.
    pub(super) fn subscribe(&self, whose: Whose<'_>, uri: &str) -> Result<(), Refusal> {
        let add = |resources: &mut BTreeSet<Box<str>>| {
            resources.insert(uri.into());
            let (most, bytes) = RESOURCES;
            if resources.len() <= most && resources.iter().map(|uri| uri.len()).sum::<usize>() <= bytes {
                return Ok(());
            }
            let why = format!(
                "A session hears of at most {most} resources of this upstream, whose URIs have at most {bytes} bytes together."
            );
            Err(Refusal::new(Reason::Overloaded, why).with_remedy("Unsubscribe from some of them first."))
        };
        self.change(whose, add).map(drop)
    }

    /// It does not any more.
    pub(super) fn unsubscribe(&self, whose: Whose<'_>, uri: &str) -> Result<(), Refusal> {
        let take = |resources: &mut BTreeSet<Box<str>>| {
            resources.remove(uri);
            Ok(())
        };
        self.change(whose, take).map(drop)
    }

    fn change(
        &self,
        whose: Whose<'_>,
        change: impl FnOnce(&mut BTreeSet<Box<str>>) -> Result<(), Refusal>,
    ) -> Result<Option<Arc<Mailbox>>, Refusal> {
        let session = &whose.client.session;
        let mut all = self.lock();
        let known = all.get(session).map(|listener| listener.wanted.borrow().clone());
        let mut wanted = known.unwrap_or_else(|| Wanted { lists: whose.client.listens, ..Wanted::default() });
        change(&mut wanted.resources)?;
        if wanted == Wanted::default() {
            all.remove(session);
            return Ok(None);
        }
        let credential = whose.request.extensions().get();
        if let Some(listener) = all.get_mut(session).filter(|listener| listener.is_good_for(credential)) {
            return Ok(Some(listener.use_for(wanted)));
        }
        make_room(&mut all, whose.client)?;
        let listener = Listener::open(whose, wanted).ok_or(Reason::Overloaded)?;
        let mailbox = Arc::clone(&listener.mailbox);
        all.insert(Arc::clone(session), listener);
        Ok(Some(mailbox))
    }

    /// Ends what no session has used for long enough, or may not use any more.
    pub(super) fn sweep(&self) {
        let is_over = |listener: &Listener| listener.credential.as_ref().is_some_and(UpstreamCredential::is_over);
        self.lock().retain(|_, listener| listener.used.elapsed() < listener.idle && !is_over(listener));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more session of this client, if it may have one.
fn make_room(all: &mut HashMap<Arc<str>, Listener>, client: &Client) -> Result<(), Refusal> {
    if all.contains_key(&client.session) {
        return Ok(());
    }
    let own = || all.iter().filter(|(_, listener)| listener.subject == client.subject);
    let count = own().count();
    if client.subject.is_empty() && count >= OF_NOBODY {
        let why = "As many sessions of callers who did not sign in are listened for as may be.";
        return Err(Refusal::new(Reason::Overloaded, why));
    }
    if !client.subject.is_empty() && count >= OF_ONE {
        let oldest = own().min_by_key(|(_, listener)| listener.used).map(|(session, _)| Arc::clone(session));
        oldest.and_then(|oldest| all.remove(&oldest));
        return Ok(());
    }
    if all.len() >= MOST { Err(Reason::Overloaded.into()) } else { Ok(()) }
}

impl Listener {
    /// None if there is no place for what comes.
    fn open(whose: Whose<'_>, wanted: Wanted) -> Option<Self> {
        let Whose { forward, request, client } = whose;
        let idle = forward.upstream().clocks.idle_session;
        let place = Place { route: forward.route(), owner: Owner::of(request), session: &client.session };
        let mailbox = forward.shared().asides().mailbox(place, idle)?;
        let credential: Option<UpstreamCredential> = request.extensions().get().cloned();
        let subscription = Subscription {
            upstream: forward.upstream().clone(),
            headers: outgoing::headers(forward, request, &Method::Listen, None),
            credential: credential.clone(),
            client: client.clone(),
            mailbox: Arc::clone(&mailbox),
        };
        let (wanted, changes) = watch::channel(wanted);
        let task = tokio::spawn(subscription.hold(changes));
        Some(Self {
            subject: Arc::clone(&client.subject),
            wanted,
            mailbox,
            credential,
            used: Instant::now(),
            idle,
            task,
        })
    }

    fn is_good_for(&self, credential: Option<&UpstreamCredential>) -> bool {
        match (&self.credential, credential) {
            (None, None) => true,
            (Some(own), Some(other)) => own.version() == other.version(),
            _ => false,
        }
    }

    fn use_for(&mut self, wanted: Wanted) -> Arc<Mailbox> {
        self.used = Instant::now();
        self.wanted.send_if_modified(|before| {
            let changed = *before != wanted;
            *before = wanted;
            changed
        });
        Arc::clone(&self.mailbox)
    }
}

#[cfg(test)]
mod tests {
    use std::iter::successors;

    use super::*;
    use crate::proxy::{aside::Asides, session::Declared};

    fn client(subject: &str, session: usize) -> Client {
        Client {
            session: format!("{subject}-{session}").into(),
            subject: subject.into(),
            version: "2025-11-25".into(),
            declared: Declared::default().into(),
            listens: true,
            log_level: None,
        }
    }

    /// Listens for one more session of this caller, if there may be one.
    fn one_more(all: &mut HashMap<Arc<str>, Listener>, client: &Client) -> Result<(), Refusal> {
        make_room(all, client)?;
        let place = Place { route: &"/mcp".into(), owner: Owner { credential: None, subject: "" }, session: "1" };
        let listener = Listener {
            subject: Arc::clone(&client.subject),
            wanted: watch::channel(Wanted::default()).0,
            mailbox: Asides::default().mailbox(place, Duration::ZERO).unwrap(),
            credential: None,
            used: Instant::now(),
            idle: Duration::from_mins(5),
            task: tokio::spawn(async {}),
        };
        all.insert(Arc::clone(&client.session), listener);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn sb_05_nobody_listens_in_the_places_of_others() {
        let mut all = HashMap::new();
        for session in 0..OF_NOBODY {
            one_more(&mut all, &client("", session)).unwrap();
        }
        assert_eq!(one_more(&mut all, &client("", OF_NOBODY)).unwrap_err().reason(), Reason::Overloaded);
        make_room(&mut all, &client("", 0)).unwrap();
        for session in 0..=OF_ONE {
            tokio::time::advance(Duration::from_secs(1)).await;
            one_more(&mut all, &client("ada", session)).unwrap();
        }
        let adas = all.values().filter(|listener| &*listener.subject == "ada").count();
        assert_eq!((adas, all.contains_key("ada-0"), all.contains_key("ada-1")), (OF_ONE, false, true));
        one_more(&mut all, &client("bob", 0)).unwrap();
        let full = successors(Some(0), |number| Some(number + 1))
            .find(|number| one_more(&mut all, &client(&format!("person-{number}"), 0)).is_err());
        assert_eq!((full.is_some(), all.len()), (true, MOST));
        one_more(&mut all, &client("ada", OF_ONE + 1)).unwrap();
    }
}
