//! One deployment under examination.

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use portcullis_policies::kit::{
    catalogue::Catalogue,
    clock::Clock,
    sign_in::{OpenIdProvider, Provider},
};
use url::Url;

use super::super::{check::Case, finding::Finding};
use crate::{
    config::{Gateway, Link, Located, PlannedRoute, Secrets, Surroundings, Upstream},
    fault::Fault,
    fetch::{self, Roots},
    oauth::Origin,
    pipeline::{Generation, Plan, Toolbox, fetch_client, plan_file, public_origin},
    store::{OpenError, Store},
};

/// Routes that are looked at, and upstreams.
pub(super) const MOST: usize = 20;

/// What a check can find that others build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Fact {
    /// The configuration can run.
    Plan,
    /// A policy keeps something in the store.
    NeedOfStore,
    /// An upstream said what it has.
    Offers,
}

/// One deployment under examination: its configuration, and what was found so far.
pub(in crate::doctor) struct Deployment {
    /// The configuration's file.
    pub(super) file: PathBuf,
    /// The folder that it is in, from which its paths start.
    pub(super) folder: PathBuf,
    /// What it says.
    pub(super) plan: Plan,
    /// What it is compiled with.
    pub(super) tools: Toolbox,
    /// The guarded client, as the gateway would have it.
    pub(super) client: fetch::Client,
    /// The address that clients use.
    pub(super) origin: Url,
    /// The store, opened to look at it. `None` where the first start has yet to make it.
    pub(super) store: Result<Option<Store>, OpenError>,
    /// What upstreams have, each with the index of its route.
    pub(super) offers: Vec<(usize, Catalogue)>,
    facts: Vec<Fact>,
}

impl Deployment {
    /// Reads the configuration; nothing else is looked at yet.
    pub(in crate::doctor) fn new(file: &Path, text: &str, mut tools: Toolbox) -> Self {
        let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
        let plan = plan_file(file, text, &tools);
        let known = origin(&plan.checked.gateway);
        let client = fetch_client(&plan.checked.gateway, &known, &folder);
        // Policies ask as they would in the gateway.
        tools.host.fetch = Some(Arc::new(client.clone()));
        let origin = known.as_str().parse().unwrap_or_else(|_| unreachable!("an origin is a URL"));
        let (file, facts) = (file.to_owned(), Vec::new());
        Self { file, folder, plan, tools, client, origin, store: Ok(None), offers: Vec::new(), facts }
    }

    /// What is not to be shown.
    pub(in crate::doctor) fn secrets(&self) -> Secrets {
        self.plan.document.secrets.clone()
    }

    /// Lets go of the store.
    pub(in crate::doctor) async fn close(self) {
        if let Ok(Some(store)) = self.store {
            store.close().await;
        }
    }

    /// Notes what later checks need.
    pub(super) fn found(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// The gateway itself.
    pub(super) fn gateway(&self) -> &Gateway {
        &self.plan.checked.gateway
    }

    /// The time of day.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.tools.host.clock)
    }

    /// The compiled chains.
    pub(super) fn generation(&self) -> Option<&Generation> {
        self.plan.generation.as_ref()
    }

    /// The address that clients use; `None` where its port is for the system to choose.
    pub(super) fn public_url(&self) -> Option<&Url> {
        Some(&self.origin).filter(|url| url.port() != Some(0))
    }

    /// The name of the file, without its folder.
    pub(super) fn file_name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The routes, as many as are looked at.
    pub(super) fn routes(&self) -> impl Iterator<Item = (usize, &PlannedRoute)> {
        self.plan.checked.routes.iter().enumerate().take(MOST)
    }

    /// Each policy once, with the first route that it stands on.
    pub(super) fn links(&self) -> Vec<(&PlannedRoute, &Link)> {
        let mut seen = HashSet::new();
        let routes = self.plan.checked.routes.iter();
        let links = routes.flat_map(|route| self.plan.checked.links(route).map(move |(_, link)| (route, link)));
        links.filter(|(_, link)| seen.insert(link.at.to_string())).collect()
    }

    /// The identity providers at which its policies sign people in, each issuer once.
    pub(super) fn identity_providers(&self) -> Vec<OpenIdProvider> {
        let mut all = Vec::<OpenIdProvider>::new();
        for (_, link) in self.links() {
            if let Some(Provider::OpenId(provider)) = link.sign_in().map(|sign_in| sign_in.provider)
                && !all.iter().any(|known| known.issuer == provider.issuer)
            {
                all.push(*provider);
            }
        }
        all
    }

    /// A problem of the file as a finding, with the place where `hint` is to be followed.
    pub(super) fn finding(&self, fault: Fault, problem: &Located, hint: Option<&str>) -> Finding {
        let file = self.file_name();
        let finding = Finding::of(fault, &problem.in_a_line(&file));
        match hint {
            Some(hint) => finding.with_fix(format!("{}: {hint}", problem.place(&file))),
            None => finding,
        }
    }

    /// Whose certificates the gateway trusts at an upstream.
    pub(super) fn roots(&self, upstream: &Upstream) -> Roots {
        let mut roots = Roots::of_system();
        Surroundings::of_process(&self.folder, |surroundings| {
            for file in &upstream.tls.roots {
                // What is wrong with a file has been reported with the configuration.
                let _ = (surroundings.file)(Path::new(file)).map(|pem| roots.add_pem(&pem));
            }
        });
        roots
    }
}

/// What is no address was reported with the configuration, and nothing is asked then.
fn origin(gateway: &Gateway) -> Origin {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let known = public_origin(gateway, &gateway.listen.parse().unwrap_or(nowhere));
    known
        .or_else(|| public_origin(&Gateway::default(), &nowhere))
        .unwrap_or_else(|| unreachable!("an address is an origin"))
}

impl Case for Deployment {
    type Fact = Fact;

    fn has(&self, fact: Fact) -> bool {
        self.facts.contains(&fact)
    }

    fn missing(fact: Fact) -> &'static str {
        match fact {
            Fact::Plan => "the configuration has errors",
            Fact::NeedOfStore => "no policy keeps anything in a store",
            Fact::Offers => "no upstream said what it has",
        }
    }
}
