//! What the policies of any configuration are given, and what is opened once a configuration needs it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use portcullis_policies::kit::{
    clock::Clock,
    host::Host,
    sign_in::{Outside, SignIn},
    unjudged::ChainEnd,
};
use tokio::sync::Mutex;

use crate::{
    api_keys::{KeyJudge, KeyRing},
    approvals::{self, ApprovalDesk},
    audit,
    config::Gateway,
    fetch,
    oauth::{Authority, Foundation, Origin, Resources, Routes, TokenJudge},
    pins::{self, PinBook},
    pipeline::{KeyNotice, Live, Route, fetch_client, find_key, is_shared, open_with, public_origin},
    proxy::Shared,
    store::{self, Location, Tenant},
    upstreams::connections::{self, ConnectionBook, UpstreamRoute, UpstreamRoutes},
};

/// Handed to policies when they are built. Nothing of it works before it is opened, which takes a listener and a store;
/// until then it lets nobody in.
#[derive(Clone, Debug)]
pub struct Services {
    pub(super) tokens: TokenJudge,
    pub(super) keys: KeyJudge,
    pub(super) connections: connections::Handle,
    pub(super) approvals: approvals::Handle,
    pub(super) store: store::Handle,
    pins: pins::Handle,
    pub(super) audit: audit::Handle,
    pub(super) fetch: fetch::Handle,
    /// What all routes share, across reloads.
    pub shared: Shared,
    pub(super) clock: Arc<dyn Clock>,
    opening: Arc<Mutex<()>>,
}

/// Where the gateway is, as far as opening needs it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The folder of the configuration.
    pub(super) folder: PathBuf,
    /// The address that is listened on.
    pub(super) listening: SocketAddr,
}

impl Services {
    /// Services that keep to `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            tokens: TokenJudge::default(),
            keys: KeyJudge::default(),
            connections: connections::Handle::default(),
            approvals: approvals::Handle::default(),
            store: store::Handle::default(),
            pins: pins::Handle::default(),
            audit: audit::Handle::default(),
            fetch: fetch::Handle::default(),
            shared: Shared::new(),
            clock,
            opening: Arc::default(),
        }
    }

    /// What policies may ask for.
    pub fn host(&self, seed: u64) -> Host {
        Host {
            seed,
            clock: Arc::clone(&self.clock),
            access_tokens: Some(Arc::new(self.tokens.clone())),
            api_keys: Some(Arc::new(self.keys.clone())),
            fetch: Some(Arc::new(self.fetch.clone())),
            connections: Some(Arc::new(self.connections.clone())),
            approvals: Some(Arc::new(self.approvals.clone())),
            pins: Some(Arc::new(self.pins.clone())),
            audit: Some(Arc::new(self.audit.clone())),
            chain_end: ChainEnd::Guarded,
        }
    }

    /// The authorization server, if one is open.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.tokens.authority()
    }

    /// Closes what was opened, when nothing is served any more.
    pub async fn close(&self) {
        self.audit.close().await;
        if let Some(book) = self.connections.book() {
            book.close().await;
        }
        if let Some(authority) = self.tokens.authority() {
            authority.close().await;
        }
    }

    /// Opens what the configuration in force needs and what is not open yet.
    pub(super) async fn open(
        self,
        live: Arc<Live>,
        gateway: Gateway,
        place: Place,
    ) -> anyhow::Result<Option<KeyNotice>> {
        let _one_at_a_time = Arc::clone(&self.opening).lock_owned().await;
        let origin = public_origin(&gateway, &place.listening).context("gateway.publicUrl is no origin")?;
        self.promise_fetch(&gateway, &origin, &place.folder);
        let routes: Arc<dyn Routes> = Arc::new(LiveRoutes(Arc::clone(&live)));
        self.tokens.describe(Resources { origin: origin.clone(), routes: Arc::clone(&routes) });
        if !live.current().needs_store() || self.tokens.authority().is_some() {
            return Ok(None);
        }
        let Some(fetch) = self.fetch.get().cloned() else { bail!("the client for documents of others is not there") };
        let key = match find_key(&gateway, &place.folder).await {
            Err(absent) if absent.is_absence() => {
                tracing::error!("the store stays closed, for it has no key: {absent}");
                return Ok(Some(KeyNotice::Missing(absent)));
            }
            found => found?,
        };
        let (store, notice) = open_with(&gateway, &place.folder, key, Arc::clone(&self.clock)).await?;
        if is_shared(&gateway, &place.folder) {
            self.shared.expect_peers();
        }
        self.shared.seal().use_key(&store.sealer().prf("what clients keep", b""));
        self.store.open(store.clone(), Tenant::DEFAULT);
        let of_audit = audit::Foundation {
            store: store.clone(),
            tenant: Tenant::DEFAULT,
            clock: Arc::clone(&self.clock),
            sinks: audit::Sink::of(&gateway, &place.folder, &fetch)?,
            keep: Duration::from_hours(24 * u64::from(gateway.audit.keep_days)),
        };
        audit::open(of_audit, &self.audit).await?;
        let of_connections = connections::Foundation {
            origin: origin.as_str().parse().context("gateway.publicUrl is no URL")?,
            store: store.clone(),
            tenant: Tenant::DEFAULT,
            clock: Arc::clone(&self.clock),
            fetch: fetch.clone(),
            routes: Arc::new(LiveRoutes(Arc::clone(&live))),
            subjects: Arc::new(self.tokens.clone()),
            journal: journal(&gateway, &place.folder),
        };
        let (tenant, clock) = (Tenant::DEFAULT, Arc::clone(&self.clock));
        let desk = ApprovalDesk::new(store.clone(), tenant, clock, Some(origin.as_str().to_owned()));
        let desk = desk.below(Arc::new(LiveRoutes(Arc::clone(&live)))).beside(self.audit.clone());
        let webhook = gateway.approvals.webhook.as_ref();
        let webhook = webhook.map(|webhook| approvals::Webhook::of(webhook, &fetch)).transpose()?;
        let desk = if webhook.is_some() { desk.telling() } else { desk };
        self.approvals.open(desk.clone());
        if let Some(webhook) = webhook {
            tokio::spawn(desk.clone().send_messages(webhook, self.approvals.messages().clone()));
        }
        tokio::spawn(desk.keep_house());
        let foundation = Foundation {
            origin,
            store: store.clone(),
            tenant: Tenant::DEFAULT,
            clock: Arc::clone(&self.clock),
            routes,
            fetch,
            options: gateway.oauth,
        };
        let authority = Authority::open(foundation).await?;
        tokio::spawn(store.clone().keep_resealing());
        let pins = PinBook::new(store.clone(), Tenant::DEFAULT, Arc::clone(&self.clock));
        self.pins.open(pins.clone());
        tokio::spawn(pins.keep_house());
        let ring = Arc::new(KeyRing::new(store, Tenant::DEFAULT, Arc::clone(&self.clock)));
        self.keys.open(Arc::clone(&ring));
        tokio::spawn(ring.keep_house());
        self.tokens.open(Arc::clone(&authority));
        tokio::spawn(authority.keep_house());
        let book = ConnectionBook::open(of_connections);
        book.replay().await;
        self.connections.open(book.clone());
        tokio::spawn(book.keep_house());
        Ok(notice)
    }

    pub(super) fn promise_fetch(&self, gateway: &Gateway, origin: &Origin, folder: &Path) {
        let (gateway, origin, folder) = (gateway.clone(), origin.clone(), folder.to_owned());
        self.fetch.promise(move || fetch_client(&gateway, &origin, &folder));
    }
}

/// Where tokens are kept that the store would not take: beside its file, or beside the configuration.
pub(super) fn journal(gateway: &Gateway, folder: &Path) -> PathBuf {
    match Location::parse(&gateway.store, folder) {
        Ok(Location::Sqlite(file)) => file.with_added_extension("journal"),
        _ => folder.join("portcullis.journal"),
    }
}

/// The routes of whatever configuration is in force.
#[derive(Debug)]
struct LiveRoutes(Arc<Live>);

impl Routes for LiveRoutes {
    fn sign_in(&self, path: &str) -> Option<Arc<SignIn>> {
        self.0.current().route(path)?.sign_in.clone()
    }

    fn version(&self) -> u64 {
        self.0.version()
    }

    fn outside(&self, path: &str) -> Option<Arc<Outside>> {
        self.0.current().route(path)?.outside.clone()
    }

    fn signed_in(&self) -> Vec<Arc<str>> {
        let generation = self.0.current();
        let paths = generation.paths().iter();
        paths.filter(|path| generation.route(path).is_some_and(|route| route.sign_in.is_some())).cloned().collect()
    }
}

impl approvals::Configurations for LiveRoutes {
    fn version(&self) -> u64 {
        self.0.version()
    }
}

impl UpstreamRoutes for LiveRoutes {
    fn upstream_auth(&self, path: &str) -> Option<UpstreamRoute> {
        self.0.current().route(path).and_then(upstream_route)
    }

    fn all(&self) -> Vec<UpstreamRoute> {
        let generation = self.0.current();
        generation.paths().iter().filter_map(|path| generation.route(path).and_then(upstream_route)).collect()
    }

    fn version(&self) -> u64 {
        self.0.version()
    }
}

/// A route as connections see it.
pub(super) fn upstream_route(route: &Route) -> Option<UpstreamRoute> {
    let (auth, target) = route.upstream_auth.clone()?;
    Some(UpstreamRoute { path: Arc::clone(&route.path), auth, target })
}
