//! The connections of a configuration, for commands beside a gateway that may be running.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, bail};
use portcullis_policies::kit::clock::SystemClock;

use super::services::{Services, journal, upstream_route};
use crate::{
    pipeline::{Toolbox, plan_file, public_origin},
    store::{Store, Tenant},
    upstreams::connections::{ConnectionBook, Foundation, UpstreamRoute, UpstreamRoutes},
};

/// The routes of one reading of the configuration.
#[derive(Debug)]
struct AsRead(Vec<UpstreamRoute>);

impl UpstreamRoutes for AsRead {
    fn upstream_auth(&self, path: &str) -> Option<UpstreamRoute> {
        self.0.iter().find(|route| *route.path == *path).cloned()
    }

    fn all(&self) -> Vec<UpstreamRoute> {
        self.0.clone()
    }

    fn version(&self) -> u64 {
        0
    }
}

/// The connections that `store` keeps, with the routes of the configuration in `file`.
pub async fn book_beside(file: &Path, tools: &Toolbox, store: Store) -> anyhow::Result<ConnectionBook> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let Some(generation) = plan_file(file, &text, tools).generation else {
        bail!("the configuration has errors; `portcullis check` shows them");
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    let gateway = &generation.gateway;
    // Only a gateway without `publicUrl` is reached at the address that it listens on.
    let listening: SocketAddr = gateway.listen.parse().or_else(|_| "127.0.0.1:0".parse())?;
    let origin = public_origin(gateway, &listening).context("gateway.publicUrl is no origin")?;
    let clock = Arc::new(SystemClock);
    let services = Services::new(clock.clone());
    services.promise_fetch(gateway, &origin, folder);
    let Some(fetch) = services.fetch.get().cloned() else { bail!("the client for documents of others is not there") };
    let routes = generation.paths().iter().filter_map(|path| generation.route(path).and_then(upstream_route));
    let foundation = Foundation {
        origin: origin.as_str().parse().context("gateway.publicUrl is no URL")?,
        store,
        tenant: Tenant::DEFAULT,
        clock,
        fetch,
        routes: Arc::new(AsRead(routes.collect())),
        subjects: Arc::new(services.tokens.clone()),
        journal: journal(gateway, folder),
    };
    Ok(ConnectionBook::open(foundation))
}
