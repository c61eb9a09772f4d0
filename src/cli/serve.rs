//! `portcullis serve`

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::read_config;
use crate::{
    config::{ChainLink, Checked, Gateway, PlannedRoute},
    pipeline::{Live, Plan, Toolbox, plan_file},
    server::{self, Logging, Stop},
};

pub(super) fn run(file: &Path, listen: Option<String>, tools: Toolbox, terminal: bool) -> anyhow::Result<ExitCode> {
    let text = read_config(file)?;
    let Plan { generation, report, checked, .. } = plan_file(file, &text, &tools);
    if !report.is_empty() {
        eprint!("{report}");
    }
    let Some(mut generation) = generation else { return Ok(ExitCode::FAILURE) };
    if let Some(listen) = listen {
        generation.gateway.listen = listen;
    }
    server::start_logging(&Logging { log: checked.gateway.log.clone(), terminal });
    let live = Arc::new(Live::new(generation, file.to_owned(), tools));
    let chains = chains(&checked);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let flush = runtime.block_on(serve(file, live, &chains))?;
    flush();
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    Ok(ExitCode::SUCCESS)
}

async fn serve(file: &Path, live: Arc<Live>, chains: &[(String, String)]) -> anyhow::Result<impl FnOnce() + use<>> {
    let address = live.current().gateway.listen.clone();
    let listener = server::bind(&address).await.with_context(|| format!("{address} cannot be listened on"))?;
    let listening = listener.local_addr()?;
    let (stop, shutdown) = Stop::new();
    let folder = file.parent().unwrap_or(Path::new("."));
    let process = crate::server::random_process_id();
    let assembly = server::assemble(Arc::clone(&live), folder, listening, &shutdown, process)?;
    let (again, reloads) = mpsc::channel(1);
    assembly.start_background(file, reloads)?;
    listen_to_signals(stop, again)?;
    announce(&live, listening, chains);
    let flush = assembly.flusher();
    server::serve(listener, assembly, shutdown).await;
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

/// The first routes, each with its chain in words.
fn chains(checked: &Checked) -> Vec<(String, String)> {
    let name = |link: &ChainLink| match link {
        ChainLink::Shared(index) => checked.policies.get(*index).map_or("?", |link| &link.name).to_owned(),
        ChainLink::Own(link) => link.name.clone(),
    };
    let words = |route: &PlannedRoute| {
        let upstream = route.upstream.url.clone().unwrap_or_else(|| "the built-in demo server".to_owned());
        let words: Vec<_> = route.chain.iter().map(|(_, link)| name(link)).chain([upstream]).collect();
        (route.path.clone(), words.join(" → "))
    };
    checked.routes.iter().take(SHOWN).map(words).collect()
}

/// How many routes are announced at the start.
const SHOWN: usize = 20;

/// Says what is served, with addresses to paste into a client.
fn announce(live: &Live, listening: std::net::SocketAddr, chains: &[(String, String)]) {
    let generation = live.current();
    let origin = origin(&generation.gateway, listening);
    let mut lines = format!("Portcullis {} listens on {listening}\n\n", env!("CARGO_PKG_VERSION"));
    for (path, chain) in chains {
        lines.push_str(&format!("  {origin}{path}\n    {chain}\n"));
    }
    if let Some(more) = generation.paths().len().checked_sub(chains.len()).filter(|more| *more > 0) {
        lines.push_str(&format!("  and {more} more routes\n"));
    }
    eprintln!("{lines}");
}

fn origin(gateway: &Gateway, listening: std::net::SocketAddr) -> String {
    let scheme = if gateway.tls.is_some() { "https" } else { "http" };
    gateway.public_url.clone().unwrap_or_else(|| format!("{scheme}://{listening}"))
}
