//! People's connections to upstreams: who is connected, with what, and until when.
//!
//! ```text
//! none ──link given──▶ authenticating ──yes, redeemed──▶ connected ──ended upstream──▶ reconsent_required
//!                                                           ▲ └──refreshed──┘                 │
//!                                                           └───────────yes, redeemed─────────┘
//! ```
//!
//! A call asks for its credential ([`Connections`](portcullis_policies::kit::credential::Connections)). Mostly it is at hand
//! in a `slot`. If not, one `flight` fetches it for all who wait: it reads the store, refreshes what is over (`refresh`),
//! or asks an authorization server (`granted`). Whoever must connect gets a link (`links`) to our own page, goes from there
//! to the upstream's authorization server and comes back (`flow`); what came of it is kept (`made`). Each change of state is
//! written down with its cause (`transition`), and other nodes hear of it within a second.

mod end;
mod error;
mod flight;
mod flow;
mod granted;
mod handle;
mod journal;
mod json;
mod kept;
mod links;
mod list;
mod made;
mod obtain;
mod refresh;
mod rehearsed;
mod seams;
mod setup;
mod slot;
mod slots;
mod step_up;
mod stored;
#[cfg(test)]
mod tests;
mod transition;
mod view;

use std::{path::PathBuf, sync::Arc, time::Duration};

use portcullis_policies::kit::{clock::Clock, random};
use tokio::{
    sync::Semaphore,
    time::{interval, timeout},
};
use url::Url;

pub use self::{
    error::SetupFailure,
    handle::Handle,
    json::ConnectionJson,
    list::{document_url, redirect_uri},
    rehearsed::Rehearsed,
    seams::{NoSubjectToken, SubjectTokens, UpstreamRoute, UpstreamRoutes},
    view::{ConnectError, Connected, ConnectionView, Departure, LinkView},
};
use self::{journal::Journal, links::Offers, setup::Setups, slots::Slots};
pub use super::oauth::CallbackParameters;
use super::oauth::UpstreamOAuth;
use crate::{
    fetch,
    store::{Feed, Store, Tenant, every},
};

/// What a book is made of.
#[derive(Debug)]
pub struct Foundation {
    /// The gateway's public origin.
    pub origin: Url,
    /// Where connections are kept.
    pub store: Store,
    /// Whose connections.
    pub tenant: Tenant,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Asks upstreams and their authorization servers.
    pub fetch: fetch::Client,
    /// The routes of the configuration in force.
    pub routes: Arc<dyn UpstreamRoutes>,
    /// What people signed in with.
    pub subjects: Arc<dyn SubjectTokens>,
    /// A folder for what the store would not take; it need not exist.
    pub journal: PathBuf,
}

/// People's connections to upstreams. Cloning is one reference count.
#[derive(Clone, Debug)]
pub struct ConnectionBook(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Url,
    /// What the gateway calls itself where it registers.
    client_name: String,
    store: Store,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    oauth: UpstreamOAuth,
    routes: Arc<dyn UpstreamRoutes>,
    subjects: Arc<dyn SubjectTokens>,
    journal: Journal,
    slots: Slots,
    setups: Setups,
    offers: Offers,
    feed: Feed,
    /// A seat for each flight, so that stopping can wait for them.
    flights: Arc<Semaphore>,
}

/// Flights at once.
const FLIGHTS: u32 = 2048;
/// How often the store is asked what changed elsewhere.
const LISTEN: Duration = Duration::from_millis(500);
/// How often what the store would not take is written again.
const WRITE: Duration = Duration::from_secs(1);
/// A credential that nobody uses for so long is not held in memory.
const SWEEP: Duration = Duration::from_mins(15);
/// How long stopping waits for what is being redeemed.
const LAST: Duration = Duration::from_secs(10);

impl ConnectionBook {
    /// Opens the book.
    pub fn open(foundation: Foundation) -> Self {
        let Foundation { origin, store, tenant, clock, fetch, routes, subjects, journal } = foundation;
        Self(Arc::new(Inner {
            client_name: format!("Portcullis at {}", origin.host_str().unwrap_or_default()),
            origin,
            oauth: UpstreamOAuth::new(fetch, Arc::clone(&clock)),
            feed: Feed::new(clock.now()),
            store,
            tenant,
            clock,
            routes,
            subjects,
            journal: Journal::new(journal),
            slots: Slots::new(random::seed()),
            setups: Setups::default(),
            offers: Offers::new(),
            flights: Arc::new(Semaphore::new(FLIGHTS as usize)),
        }))
    }

    /// Runs what runs beside the requests, until it is dropped.
    pub async fn keep_house(self) {
        let listening = every(LISTEN, "connections that are known stay as they are", || self.listen());
        let writing = async {
            let mut clock = interval(WRITE);
            loop {
                clock.tick().await;
                self.write_all_again().await;
            }
        };
        let sweeping = async {
            let mut clock = interval(SWEEP);
            loop {
                clock.tick().await;
                self.0.slots.sweep();
                self.0.setups.sweep();
            }
        };
        tokio::join!(listening, writing, sweeping);
    }

    /// Waits for what is being redeemed, for a while. After that no credential is fetched any more.
    pub async fn close(&self) {
        if timeout(LAST, self.0.flights.acquire_many(FLIGHTS)).await.is_err() {
            tracing::warn!("some credentials were still being fetched when the gateway stopped");
        }
        self.0.flights.close();
    }
}
