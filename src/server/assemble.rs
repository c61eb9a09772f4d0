//! Builds everything, in order.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    extract::{Extension, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval},
};

use super::{
    metrics::{Counted, Metrics},
    router::{NoSuchPath, Requests, Router, Watching},
    services::{Place, Services},
    shutdown::Shutdown,
    telemetry::Exporters,
    tls::Tls,
};
use crate::{
    api,
    config::Gateway,
    console,
    oauth::{self, Origin, TokenJudge},
    pipeline::{KeyNotice, Live, Reloaded, Watcher, public_origin, watch},
    proxy::Shared,
};

/// A gateway that only needs a listener.
pub struct Assembly {
    /// Takes the requests.
    pub router: Router,
    /// The configuration in force.
    pub live: Arc<Live>,
    /// What the operator must know of the store's key.
    pub key_notice: Option<KeyNotice>,
    services: Services,
    place: Place,
    pub(super) metrics: Metrics,
    pub(super) tls: Option<Tls>,
    pub(super) gateway: Gateway,
    exporters: Exporters,
}

/// Puts the parts together for a listener at `listening`. `process` tells runs of the gateway apart in request ids.
pub async fn assemble(
    live: Arc<Live>,
    services: Services,
    folder: &Path,
    listening: SocketAddr,
    shutdown: &Shutdown,
    process: u32,
) -> anyhow::Result<Assembly> {
    let gateway = live.current().gateway.clone();
    let place = Place { folder: folder.to_owned(), listening };
    let key_notice = services.clone().open(Arc::clone(&live), gateway.clone(), place.clone()).await?;
    let exporters = Exporters::start(gateway.telemetry.as_ref())?;
    let counted = Counted {
        upstreams: services.shared.meter(),
        rows: services.audit.counts(),
        messages: services.approvals.messages(),
    };
    let metrics = Metrics::new(&exporters.meters, exporters.registry.clone(), &counted);
    let tls = gateway.tls.as_ref().map(|files| Tls::load(files, folder)).transpose()?;
    let origin = public_origin(&gateway, &listening).context("gateway.publicUrl is no origin")?;
    let own = own_endpoints(metrics.clone(), shutdown.clone(), &services, &gateway, &origin);
    let own = own.merge(api::router(api_foundation(&services, &live)));
    let watching = Watching {
        metrics: metrics.clone(),
        tracing: exporters.tracing(),
        audit: services.audit.clone(),
        clock: Arc::clone(&services.clock),
    };
    let requests = Requests::new(process, &origin.at(console::TROUBLESHOOTING));
    let router = Router::new(Arc::clone(&live), own, watching, &gateway, listening, requests);
    Ok(Assembly { router, live, key_notice, services, place, metrics, tls, gateway, exporters })
}

impl Assembly {
    /// Starts what runs beside the requests: reloads when `file` or a certificate changes or `again` says so, and the
    /// closing of connections that nobody uses.
    pub fn start_background(&self, file: Option<&Path>, again: mpsc::Receiver<()>) {
        tokio::spawn(sweep(Arc::clone(&self.live), self.services.shared.clone()));
        let (changed, changes) = mpsc::channel(1);
        let watcher = file.map(|file| watch(file, changed));
        let reloader = Reloader {
            live: Arc::clone(&self.live),
            services: self.services.clone(),
            gateway: self.gateway.clone(),
            place: self.place.clone(),
            metrics: self.metrics.clone(),
        };
        tokio::spawn(reloader.run(changes, again, watcher));
        if let Some(tls) = &self.tls {
            let (changed, changes) = mpsc::channel(1);
            let watchers = [watch(tls.files()[0], changed.clone()), watch(tls.files()[1], changed)];
            tokio::spawn(reload_certificate(tls.clone(), changes, watchers));
        }
    }

    /// What sends the last traces and metrics; to be called when nothing is served any more, off the runtime.
    pub fn flusher(&self) -> impl FnOnce() + Send + use<> {
        let exporters = self.exporters.clone();
        move || exporters.flush()
    }
}

async fn sweep(live: Arc<Live>, shared: Shared) {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        live.current().sweep();
        shared.sweep();
    }
}

/// Puts new configurations in force.
struct Reloader {
    live: Arc<Live>,
    services: Services,
    gateway: Gateway,
    place: Place,
    metrics: Metrics,
}

impl Reloader {
    async fn run(self, mut changes: mpsc::Receiver<()>, mut again: mpsc::Receiver<()>, _watcher: Option<Watcher>) {
        loop {
            tokio::select! {
                Some(()) = changes.recv() => {}
                Some(()) = again.recv() => {}
                else => return,
            }
            let reloading = Arc::clone(&self.live);
            match tokio::task::spawn_blocking(move || reloading.reload()).await {
                Ok(reloaded) => self.metrics.reloaded(report(&reloaded)),
                Err(error) => {
                    tracing::error!(%error, "reading the configuration failed, so the one in force stays");
                    continue;
                }
            }
            // A route that is new may need what none needed before. Until that is open, nobody is let in there.
            let (services, live) = (self.services.clone(), Arc::clone(&self.live));
            match services.open(live, self.gateway.clone(), self.place.clone()).await {
                Ok(None | Some(KeyNotice::Missing(_))) => {}
                Ok(Some(notice)) => tracing::warn!("{notice}"),
                Err(error) => tracing::error!("{error:#}"),
            }
        }
    }
}

/// Says what came of a reload, and returns the outcome's name.
fn report(reloaded: &Reloaded) -> &'static str {
    match reloaded {
        Reloaded::Swapped(report) if report.is_empty() => {
            tracing::info!("configuration reloaded");
            "swapped"
        }
        Reloaded::Swapped(report) => {
            tracing::warn!("configuration reloaded\n{report}");
            "swapped"
        }
        Reloaded::Kept(report) => {
            tracing::error!("the configuration has errors, so the one in force stays\n{report}");
            "kept"
        }
        Reloaded::Unreadable(error) => {
            tracing::error!(%error, "the configuration cannot be read, so the one in force stays");
            "unreadable"
        }
    }
}

async fn reload_certificate(tls: Tls, mut changes: mpsc::Receiver<()>, _watchers: [Watcher; 2]) {
    while changes.recv().await.is_some() {
        let tls = tls.clone();
        let _ = tokio::task::spawn_blocking(move || tls.reload()).await;
    }
}

fn own_endpoints(
    metrics: Metrics,
    shutdown: Shutdown,
    services: &Services,
    gateway: &Gateway,
    origin: &Origin,
) -> axum::Router {
    let ready = move || async move {
        if shutdown.has_begun() { (StatusCode::SERVICE_UNAVAILABLE, "draining\n") } else { (StatusCode::OK, "ready\n") }
    };
    axum::Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(metrics)
        .merge(oauth::router(services.tokens.clone()))
        .merge(console::router(console_foundation(services, gateway)))
        .merge(console::troubleshooting(origin))
        .fallback(any(elsewhere).with_state(services.tokens.clone()))
}

fn console_foundation(services: &Services, gateway: &Gateway) -> console::Foundation {
    console::Foundation {
        tokens: services.tokens.clone(),
        connections: services.connections.clone(),
        approvals: services.approvals.clone(),
        store: services.store.clone(),
        operators: gateway.operators.as_slice().into(),
    }
}

fn api_foundation(services: &Services, live: &Arc<Live>) -> api::Foundation {
    api::Foundation {
        tokens: services.tokens.clone(),
        keys: services.keys.clone(),
        store: services.store.clone(),
        approvals: services.approvals.clone(),
        connections: services.connections.clone(),
        live: Arc::clone(live),
        clock: Arc::clone(&services.clock),
        reading: Arc::new(Semaphore::new(1)),
    }
}

/// What no pattern of the router says.
async fn elsewhere(State(tokens): State<TokenJudge>, uri: Uri) -> Response {
    let document = oauth::openid_configuration_below(&tokens, uri.path());
    document.unwrap_or_else(|| (StatusCode::NOT_FOUND, Extension(NoSuchPath)).into_response())
}

async fn scrape(State(metrics): State<Metrics>) -> Response {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], metrics.scrape()).into_response()
}
