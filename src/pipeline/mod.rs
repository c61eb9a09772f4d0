//! From checked values to running chains.
//!
//! [`plan`] is what `portcullis check` runs: it reads, checks, orders and compiles, and reports everything that is wrong.
//! What it gives is a whole [`Generation`] that only needs to be put in the place of the one before.

mod compile;
mod credentials;
mod gateway;
mod generation;
mod listener_tls;
mod offer;
mod open_store;
mod order;
mod outside;
mod rehearse;
mod reload;
mod sign_in;
mod trust;
mod watch;

use std::{collections::HashSet, path::Path};

use portcullis_policies::kit::{
    edge::Edge,
    host::Host,
    policy::{PolicyKind, Problem, Severity},
};

pub use self::{
    generation::{Generation, Route},
    listener_tls::{certificates, listener_tls},
    offer::{Offer, counted, definitions, misfits, offer},
    open_store::{FoundKey, KeyNotice, existing_key, find_key, is_shared, location, open_store, open_with},
    order::order_problems,
    outside::{fetch_client, fetch_client_with, public_origin},
    rehearse::rehearse,
    reload::{Live, Reloaded, plan_file},
    trust::fetch_roots,
    watch::{Watcher, watch},
};
use crate::{
    config::{self, ChainLink, Checked, Document, Era, PlannedRoute, Report, Surroundings},
    proxy::{LocalServer, Shared},
};

/// What a configuration is compiled with: everything that is not in the file.
#[derive(Clone)]
pub struct Toolbox {
    /// The policies that the file may name.
    pub kinds: Vec<PolicyKind>,
    /// The server behind `"upstream": { "demo": true }`.
    pub demo: Option<LocalServer>,
    /// What policies may ask for.
    pub host: Host,
    /// What all routes share, across reloads.
    pub shared: Shared,
    /// Listens here instead of where the file says.
    pub listen: Option<String>,
}

impl std::fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Toolbox").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

/// A configuration that can run, or the report why not.
#[derive(Debug)]
pub struct Plan {
    /// The text and where everything stands in it.
    pub document: Document,
    /// What the document says.
    pub checked: Checked,
    /// The chains, ready to run; none if there are errors.
    pub generation: Option<Generation>,
    /// Errors and warnings.
    pub report: Report,
}

/// Reads, checks and compiles a configuration. Touches no network and starts nothing.
pub fn plan(name: &str, text: &str, surroundings: &Surroundings<'_>, tools: &Toolbox) -> Plan {
    let (document, unread) = Document::parse(name, text, surroundings);
    let (mut checked, mut problems) = config::check(&document, &tools.kinds);
    if let Some(listen) = &tools.listen {
        checked.gateway.listen.clone_from(listen);
    }
    problems.extend(gateway::gateway_problems(&checked.gateway));
    problems.extend(checked.routes.iter().flat_map(|route| order_problems(&checked, route, &tools.kinds)));
    problems.extend(sign_in::sign_in_problems(&checked));
    problems.extend(credentials::credential_problems(&checked));
    let compiled = compile::compile(&checked, surroundings, tools);
    let generation = match compiled {
        Ok(generation) => Some(generation),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let report = Report::new(&document, &without_echoes(unread, problems));
    Plan { document, checked, generation: generation.filter(|_| !report.has_errors()), report }
}

/// A route of a plan with only those policies that prepare requests for the upstream, and without translating: for asking the
/// upstream itself.
pub fn upstream_only(checked: &Checked, route: &PlannedRoute, file: &Path, tools: &Toolbox) -> Option<Edge> {
    let own = checked.links(route).filter(|(_, link)| link.prepares_upstream());
    let chain = own.map(|(at, link)| (at.clone(), ChainLink::Own(Box::new(link.clone())))).collect();
    let route = PlannedRoute { chain, era: Era::Upstream, ..route.clone() };
    let path = route.path.clone();
    let checked = Checked { gateway: checked.gateway.clone(), policies: Vec::new(), routes: vec![route] };
    let folder = file.parent().unwrap_or(Path::new("."));
    let compiled = Surroundings::of_process(folder, |surroundings| compile::compile(&checked, surroundings, tools));
    compiled.ok()?.route(&path).map(|route| route.edge.clone())
}

/// The same mistake seen twice is reported once, and a place that could not be read is not judged.
fn without_echoes(unread: Vec<Problem>, found: Vec<Problem>) -> Vec<Problem> {
    let errors = unread.iter().filter(|problem| problem.severity == Severity::Error);
    let places: HashSet<_> = errors.map(|problem| problem.at.clone()).collect();
    let mut distinct = unread;
    for problem in found.into_iter().filter(|problem| !places.contains(&problem.at)) {
        if !distinct.iter().any(|known| (&known.at, &known.why) == (&problem.at, &problem.why)) {
            distinct.push(problem);
        }
    }
    distinct
}
