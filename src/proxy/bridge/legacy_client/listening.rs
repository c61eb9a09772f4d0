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
/// Resources of one session.
const RESOURCES: usize = 100;

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
            if resources.len() <= RESOURCES {
                return Ok(());
            }
            let why = format!("A session hears of at most {RESOURCES} resources of this upstream.");
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
        if all.len() >= MOST && !all.contains_key(session) {
            return Err(Reason::Overloaded.into());
        }
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
        Some(Self { wanted, mailbox, credential, used: Instant::now(), idle, task })
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
