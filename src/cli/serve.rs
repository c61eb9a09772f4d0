//! `portcullis serve`

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use portcullis_policies::kit::random;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::read_config;
use crate::{
    config::{Checked, Gateway, PlannedRoute, Secrets},
    pipeline::{Live, Plan, Toolbox, plan_file},
    server::{self, Logging, Services, Stop},
};

/// Serves the routes of a file, and serves them anew when it changes.
pub(super) fn run(file: &Path, parts: Parts, terminal: bool) -> anyhow::Result<ExitCode> {
    let text = read_config(file)?;
    start(&Source { file: file.to_owned(), text, watched: true }, parts, terminal)
}

/// What a gateway is made of besides its configuration.
pub(super) struct Parts {
    pub(super) tools: Toolbox,
    pub(super) services: Services,
}

/// Where the configuration comes from.
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: String,
    /// Is there a file that may change?
    pub(super) watched: bool,
}

pub(super) fn start(source: &Source, parts: Parts, terminal: bool) -> anyhow::Result<ExitCode> {
    let Parts { tools, services } = parts;
    let Plan { document, generation, report, checked } = plan_file(&source.file, &source.text, &tools);
    if !report.is_empty() {
        eprint!("{report}");
    }
    let Some(generation) = generation else { return Ok(ExitCode::FAILURE) };
    let listen = generation.gateway.listen.clone();
    server::start_logging(&Logging { log: checked.gateway.log.clone(), terminal });
    let live = Arc::new(Live::new(generation, source.file.clone(), tools));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let flush = runtime.block_on(serve(source, live, services, &listen, &chains(&checked, &document.secrets)))?;
    flush();
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    source: &Source,
    live: Arc<Live>,
    services: Services,
    address: &str,
    chains: &[(String, String)],
) -> anyhow::Result<impl FnOnce() + use<>> {
    let listener = server::bind(address).await.with_context(|| format!("{address} cannot be listened on"))?;
    let listening = listener.local_addr()?;
    let (stop, shutdown) = Stop::new();
    let folder = source.file.parent().unwrap_or(Path::new("."));
    let process = u32::try_from(random::seed() >> 32).unwrap_or_default();
    let assembly = server::assemble(Arc::clone(&live), services.clone(), folder, listening, &shutdown, process).await?;
    let (again, reloads) = mpsc::channel(1);
    assembly.start_background(source.watched.then_some(source.file.as_path()), reloads);
    listen_to_signals(stop, again)?;
    announce(&live, listening, chains);
    if let Some(notice) = &assembly.key_notice {
        eprintln!("{notice}\n");
    }
    let flush = assembly.flusher();
    server::serve(listener, assembly, shutdown).await;
    services.close().await;
    tracing::info!("stopped");
    Ok(flush)
}

/// SIGTERM and SIGINT drain, the second one ends at once; SIGHUP reads the configuration again.
fn listen_to_signals(stop: Stop, again: mpsc::Sender<()>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut stopping = false;
        loop {
            tokio::select! {
                _ = hang_up.recv() => {
                    let _ = again.try_send(());
                    continue;
                }
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stopping {
                std::process::exit(130);
            }
            stopping = true;
            tracing::info!("stopping: calls in flight may end; a second signal ends everything at once");
            stop.stop();
        }
    });
    Ok(())
}

/// How many routes are announced at the start.
const SHOWN: usize = 20;

/// The first routes, each with its chain in words.
fn chains(checked: &Checked, secrets: &Secrets) -> Vec<(String, String)> {
    let words = |route: &PlannedRoute| {
        let names = checked.links(route).map(|(_, link)| link.name.clone());
        let words: Vec<_> = names.chain([secrets.mask(&route.upstream.to_string())]).collect();
        (route.path.clone(), words.join(" → "))
    };
    checked.routes.iter().take(SHOWN).map(words).collect()
}

/// Says what is served, with addresses to paste into a client.
fn announce(live: &Live, listening: SocketAddr, chains: &[(String, String)]) {
    let generation = live.current();
    let origin = origin(&generation.gateway, listening);
    eprintln!("Portcullis {} listens on {listening}\n", env!("CARGO_PKG_VERSION"));
    for (path, chain) in chains {
        eprintln!("  {origin}{path}\n    {chain}");
    }
    let more = generation.paths().len() - chains.len();
    if more > 0 {
        eprintln!("  and {more} more routes");
    }
    eprintln!();
}

fn origin(gateway: &Gateway, listening: SocketAddr) -> String {
    let scheme = if gateway.tls.is_some() { "https" } else { "http" };
    gateway.public_url.clone().unwrap_or_else(|| format!("{scheme}://{listening}"))
}
