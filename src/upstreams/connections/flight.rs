//! Fetching a credential once, however many wait for it.
//!
//! A flight runs in a task of its own: what an authorization server gave must be kept, also when everybody who waited for
//! it has hung up.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderValue, header::RETRY_AFTER};
use portcullis_policies::kit::{
    chain::RequestId,
    credential::{ConnectState, CredentialRefused, UpstreamAuth, UpstreamCredential, UpstreamTarget, Wanted},
    host::Caller,
    refusal::{Reason, Refusal},
};
use secrecy::SecretString;
use tokio::sync::watch;

use super::{
    ConnectionBook,
    slot::{Slot, lock},
};

/// Why there is no credential, before anybody in particular is told.
#[derive(Clone, Debug)]
pub(super) enum Lack {
    /// A person must connect; for these scopes, if the upstream wants more than it did.
    Connect { state: ConnectState, because: Arc<str>, scopes: Arc<[Box<str>]> },
    /// Something else.
    Refused(Refusal),
}

impl Lack {
    pub(super) fn not_connected(because: &str) -> Self {
        Self::Connect { state: ConnectState::Authenticating, because: because.into(), scopes: Arc::default() }
    }

    pub(super) fn once_more(because: &str) -> Self {
        Self::Connect { state: ConnectState::ReconsentRequired, because: because.into(), scopes: Arc::default() }
    }

    /// Nothing that the caller could mend; worth another try after `pause`.
    pub(super) fn for_now(message: impl Into<Cow<'static, str>>, pause: Duration) -> Self {
        let seconds = (pause.as_secs() + u64::from(pause.subsec_nanos() > 0)).max(1);
        let refusal = Refusal::new(Reason::CredentialUnavailable, message);
        Self::Refused(refusal.with_header(RETRY_AFTER, HeaderValue::from(seconds)))
    }
}

/// What comes of a flight.
pub(super) type Outcome = Result<UpstreamCredential, Lack>;

/// A credential that is being fetched.
#[derive(Debug)]
pub(super) struct Flight(watch::Receiver<Option<Outcome>>);

impl Flight {
    /// Waits for what comes of it.
    pub(super) async fn outcome(&self) -> Outcome {
        let mut outcome = self.0.clone();
        let landed = outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        landed.ok().flatten().unwrap_or_else(|| Err(Lack::Refused(Reason::Internal.into())))
    }
}

/// What is needed, by a call that may hang up before it is there.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    pub(super) auth: Arc<UpstreamAuth>,
    pub(super) target: UpstreamTarget,
    pub(super) caller: Option<Caller>,
    pub(super) request_id: Option<RequestId>,
    /// What the call itself showed.
    pub(super) inbound: Option<SecretString>,
    pub(super) goal: Goal,
}

/// How good the credential must be.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    /// One that has not expired.
    Any,
    /// A newer one before this one expires, if it can be had.
    Ahead,
    /// A newer one than that.
    Newer(Box<CredentialRefused>),
    /// None: this one was refused, and is as new as can be.
    GiveUp(Box<CredentialRefused>),
}

impl Goal {
    /// Does the credential reach it?
    pub(super) fn is_reached_by(&self, credential: &UpstreamCredential) -> bool {
        match self {
            Self::Any | Self::Ahead => true,
            Self::Newer(refused) | Self::GiveUp(refused) => {
                let refused = &refused.credential;
                refused.connection() != credential.connection() || refused.version() < credential.version()
            }
        }
    }
}

impl Errand {
    pub(super) fn new(wanted: Wanted<'_>, inbound: Option<&str>, goal: Goal) -> Self {
        Self {
            auth: Arc::clone(wanted.auth),
            target: wanted.target.clone(),
            caller: wanted.caller.cloned(),
            request_id: wanted.request_id,
            inbound: inbound.map(SecretString::from),
            goal,
        }
    }
}

impl ConnectionBook {
    /// The flight that is under way for this slot, or a new one on this errand.
    pub(super) fn board(&self, slot: &Arc<Slot>, errand: impl FnOnce() -> Errand) -> Arc<Flight> {
        let mut flying = lock(&slot.flight);
        if let Some(flight) = &*flying {
            return Arc::clone(flight);
        }
        let (landed, outcome) = watch::channel(None);
        let flight = Arc::new(Flight(outcome));
        *flying = Some(Arc::clone(&flight));
        drop(flying);
        let (book, slot, errand) = (self.clone(), Arc::clone(slot), errand());
        tokio::spawn(async move {
            let landing = Landing(&slot);
            let outcome = book.fly(&slot, errand).await;
            drop(landing);
            landed.send_replace(Some(outcome));
        });
        flight
    }
}

/// Whatever becomes of a flight, the next one can begin.
struct Landing<'a>(&'a Slot);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        lock(&self.0.flight).take();
    }
}
