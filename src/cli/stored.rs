//! Commands that work on the store of a configuration, beside a gateway that may be running.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::bail;
use portcullis_policies::{STANDARD, kit::clock::SystemClock};

pub(super) use crate::wire::date;

use super::read_config;
use crate::{
    config::{self, Document, Surroundings},
    pipeline::open_store,
    store::{Store, Tenant},
};

/// What such a command works on.
pub(super) struct Stored {
    pub(super) store: Store,
    pub(super) tenant: Tenant,
    /// The routes of the configuration.
    pub(super) routes: Vec<String>,
    /// Their upstreams, as pins name them.
    pub(super) upstreams: Vec<String>,
}

/// Opens the store that a configuration names, and hands it to `command`.
pub(super) fn run(
    file: &Path,
    command: impl AsyncFnOnce(Stored) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let text = read_config(file)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let checked = Surroundings::of_process(folder, |surroundings| {
        let (document, _) = Document::parse(&file.display().to_string(), &text, surroundings);
        let (checked, problems) = config::check(&document, STANDARD);
        let of_gateway = problems.iter().any(|problem| problem.at.starts_with("/gateway") || problem.at.is_empty());
        if of_gateway {
            bail!("the configuration has errors; `portcullis check` shows them");
        }
        Ok(checked)
    })?;
    let routes = checked.routes.iter().map(|route| route.path.clone()).collect();
    let upstreams = checked.routes.iter().map(|route| route.upstream.key()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (store, notice) = open_store(&checked.gateway, folder, Arc::new(SystemClock)).await?;
        if let Some(notice) = notice {
            eprintln!("{notice}\n");
        }
        command(Stored { store, tenant: Tenant::DEFAULT, routes, upstreams }).await
    })
}
