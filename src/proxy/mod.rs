//! The end of every chain: carries a message to the upstream, in the era that it speaks, and streams the answer back.
//!
//! Two rules shape it. A request of which the upstream may have made something is never sent again: MCP has no
//! idempotency key. And what breaks off is never shown as success: a JSON answer is held until it is whole, an event
//! until its blank line.
//!
//! So a request is sent again only on the upstream's own word that it has done nothing, and each time once: when first
//! contact shows that it speaks the other era (`contact`), when it does not know a session that the gateway holds, and
//! when it wants other headers (-32020; both in `bridge`). A call in which it asks back goes on with the answers.
//!
//! ```text
//! Forward ─ served: whom the route serves; session: what an id says; eras: which way
//!   ├ straight: as it is ──────── contact: is the upstream of the other era?  ended: is the session over?
//!   │   └ spoken ─ aside ─ hearing: what is said beside answers, and finds its way into them
//!   ├ begin: `initialize`, and what was agreed on
//!   └ across ─ bridge: from one era to the other
//!
//! upstream: one exchange ─ endpoint ─ wire, http2: connections
//!   ├ headers, answer: what crosses, and what may be shown
//!   ├ relay, line ─ resume: event streams, also those that upstreams break off
//!   └ clocks ─ watch, deadline, alarm: how long all of this may take
//!
//! shared: what outlives a configuration ─ seal: what clients keep;  meter ─ past: how warm the ways are
//! ```

mod across;
mod alarm;
mod answer;
mod aside;
mod begin;
mod bridge;
mod clocks;
mod contact;
mod deadline;
mod ended;
mod endpoint;
mod eras;
mod headers;
mod hearing;
mod http2;
mod line;
mod meter;
mod past;
mod relay;
mod resume;
mod seal;
mod served;
mod session;
mod shared;
mod spoken;
mod straight;
mod upstream;
mod watch;
mod wire;

use std::sync::Arc;

use portcullis_policies::kit::{
    chain::{Inbound, Request, Response, RouteService, refuse},
    message::Message,
    refusal::Reason,
    reply::EventLimits,
};

pub use self::{
    alarm::{Quiet, QuietBody},
    bridge::{Direction, cannot},
    clocks::Clocks,
    deadline::ConnectionTimer,
    endpoint::{Connector, Endpoint, Local, LocalAnswer, LocalServer, Trust},
    meter::{Meter, Miss, Use},
    seal::Seal,
    shared::Shared,
};
use self::{
    eras::{Eras, Way},
    session::{Owner, Sessions},
    upstream::{Failure, Upstream},
};

/// What one route takes from its upstream.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits {
    /// Bytes of a JSON answer.
    pub json_bytes: usize,
    /// Bytes of one event, and of one line of it.
    pub events: EventLimits,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self { json_bytes: 8 << 20, events: EventLimits { event: 1 << 20, line: 256 << 10 } }
    }
}

/// Where the messages of one route go, and how.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The route's path.
    pub route: Arc<str>,
    /// The upstream, as the configuration names it: routes to the same one share what is known of it.
    pub upstream: Arc<str>,
    /// How to reach it.
    pub endpoint: Arc<Endpoint>,
    /// How long things may take.
    pub clocks: Clocks,
    /// What is taken from it.
    pub limits: AnswerLimits,
    /// Which clients are served.
    pub serves: Serves,
}

/// Which clients a route serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serves {
    /// Those of either era, whatever the upstream speaks.
    #[default]
    Both,
    /// Those whose era the upstream speaks: nothing is translated.
    Upstream,
    /// Only those with sessions.
    Legacy,
    /// Only those of 2026-07-28 and later.
    Modern,
}

impl Serves {
    /// Is an upstream of the other era reached by translating?
    fn translates(self) -> bool {
        self != Self::Upstream
    }
}

/// Stands in the extensions of a DELETE with which the gateway itself ends a session at the upstream. Clients may not: their
/// DELETE is answered with 405, and says nothing to the upstream.
#[derive(Clone, Copy, Debug)]
pub struct EndsSession;

/// Forwards the messages of one route to one upstream.
#[derive(Clone, Debug)]
pub struct Forward(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstream: Upstream,
    route: Arc<str>,
    serves: Serves,
    sessions: Sessions,
    eras: Arc<Eras>,
    shared: Shared,
    /// The upstream, as the configuration names it.
    address: Arc<str>,
}

impl Forward {
    /// Forwards where `destination` says.
    pub fn new(destination: Destination, shared: &Shared) -> Self {
        let Destination { route, upstream, endpoint, clocks, limits, serves } = destination;
        Self(Arc::new(Inner {
            upstream: Upstream { endpoint, clocks, limits },
            serves,
            sessions: Sessions::new(shared.seal().clone(), Arc::clone(&route)),
            eras: shared.eras(&upstream),
            shared: shared.clone(),
            route,
            address: upstream,
        }))
    }

    /// As the end of a chain.
    pub fn into_service(self) -> RouteService {
        RouteService::from_fn(move |request| {
            let forward = self.clone();
            Box::pin(async move { Ok(forward.answer(&request).await) })
        })
    }

    async fn answer(&self, request: &Request) -> Response {
        let message = match request.body() {
            Inbound::Message(message) => message,
            Inbound::Refused(refusal) => {
                if request.extensions().get::<EndsSession>().is_some() {
                    Box::pin(self.end_session(request)).await;
                }
                return refuse(request, refusal.clone());
            }
        };
        match self.exchange(request, message).await {
            Ok(response) => response,
            Err(Failure { refusal, challenge }) => {
                let cause = refusal.cause();
                tracing::debug!(
                    reason = refusal.reason().code(),
                    fault = cause.map(|cause| cause.code),
                    remedy = cause.map(|cause| cause.remedy),
                    "upstream failed: {}",
                    refusal.message()
                );
                let mut response = refuse(request, refusal);
                if let Some(challenge) = challenge {
                    response.extensions_mut().insert(*challenge);
                }
                response
            }
        }
    }

    async fn exchange(&self, request: &Request, message: &Message) -> Result<Response, Failure> {
        let Inner { serves, sessions, eras, .. } = &*self.0;
        served::check(*serves, request.headers(), message)?;
        // Whoever names a revision of 2026-07-28 or later has no session, whatever its headers say.
        let session = if message.is_modern() {
            None
        } else {
            headers::session(request.headers(), |id| sessions.open(Owner::of(request), id))?
        };
        served::check_batch(request, session.as_ref())?;
        // Boxed, like everything that is rare and large here: each call carries the space for it otherwise.
        match Way::of(*serves, eras, message, session.as_ref()) {
            Way::Straight => self.straight(request, message, session.as_ref()).await,
            Way::Begin => Box::pin(self.begin(request, message)).await,
            Way::Initialize => Box::pin(self.begin_without_session(request, message)).await,
            Way::LegacyClient(session) => Box::pin(self.without_session(request, message, session)).await,
            Way::ModernClient => Box::pin(self.through_session(request, message)).await,
            Way::Sessionless => Err(Reason::SessionRequired.into()),
        }
    }

    /// The upstream.
    fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }

    /// The sessions of this route.
    fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What all routes share.
    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// The route's path.
    fn route(&self) -> &Arc<str> {
        &self.0.route
    }

    /// What is known of the upstream.
    fn eras(&self) -> &Eras {
        &self.0.eras
    }
}
