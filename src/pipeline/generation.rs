//! One immutable compiled configuration.

use std::sync::Arc;

use http::Extensions;
use portcullis_policies::kit::{
    chain::ServedEras,
    credential::{Connectable, UpstreamAuth, UpstreamTarget},
    edge::Edge,
    names::NameMap,
    sign_in::{Outside, SignIn},
};

use crate::{config::Gateway, proxy::Endpoint};

/// All routes of one configuration, ready to run. Requests that began on it end on it.
#[derive(Debug)]
pub struct Generation {
    routes: NameMap<Arc<str>, Route>,
    order: Vec<Arc<str>>,
    endpoints: Vec<Arc<Endpoint>>,
    audits: bool,
    /// The gateway itself, as configured.
    pub gateway: Gateway,
}

/// One route, ready to run.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its path.
    pub path: Arc<str>,
    /// What is behind it, as rules name it.
    pub upstream: Arc<str>,
    /// The same, as what is kept about upstreams names it.
    pub upstream_key: Arc<str>,
    /// The chain, with the reader in front.
    pub edge: Edge,
    /// How people sign in, if they must.
    pub sign_in: Option<Arc<SignIn>>,
    /// Whose tokens it takes, if they are others'.
    pub outside: Option<Arc<Outside>>,
    /// How its calls are let in at its upstream, and where that is, if a policy sees to it.
    pub upstream_auth: Option<(Arc<UpstreamAuth>, UpstreamTarget)>,
    /// Which clients it serves, if that is not for the upstream to say.
    pub served: Option<ServedEras>,
    /// Does one of its policies keep something in the gateway's store?
    pub needs_store: bool,
    /// Does one of its policies write requests down?
    pub audits: bool,
}

impl Route {
    /// What its policies are told besides where the request came from.
    pub fn tell(&self, facts: &mut Extensions) {
        let Some((auth, target)) = &self.upstream_auth else { return };
        facts.insert(target.clone());
        if let Some(served) = self.served {
            facts.insert(served);
        }
        if auth.mode.is_connected_by_people() {
            facts.insert(Connectable(Arc::clone(auth)));
        }
    }
}

impl Generation {
    pub(super) fn new(routes: Vec<Route>, endpoints: Vec<Arc<Endpoint>>, gateway: Gateway) -> Self {
        let order = routes.iter().map(|route| Arc::clone(&route.path)).collect();
        let audits = routes.iter().any(|route| route.audits);
        let routes: NameMap<_, _> = routes.into_iter().map(|route| (Arc::clone(&route.path), route)).collect();
        Self { routes, order, endpoints, audits, gateway }
    }

    /// The route with exactly this path: a look-up, however many there are.
    pub fn route(&self, path: &str) -> Option<&Route> {
        self.routes.get(path)
    }

    /// The routes' paths, in the order of the file.
    pub fn paths(&self) -> &[Arc<str>] {
        &self.order
    }

    /// Does one of the routes need the gateway's store?
    pub fn needs_store(&self) -> bool {
        self.routes.values().any(|route| route.needs_store)
    }

    /// Are requests written down at one of the routes?
    pub fn audits(&self) -> bool {
        self.audits
    }

    /// Closes connections to upstreams that have rested long enough. To be called every second or so.
    pub fn sweep(&self) {
        self.endpoints.iter().for_each(|endpoint| endpoint.sweep());
    }
}
