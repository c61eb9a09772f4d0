//! `portcullis demo-server`: the built-in server by itself, for everybody or behind a sign-in of its own.

use std::process::ExitCode;

use serde_json::json;

use super::serve::{Parts, Source, start};

const LISTEN: &str = "127.0.0.1:8090";

/// What kind of server.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Let in only who shows a token of the server's own sign-in, as servers of vendors do. A toy: it asks for a name and
    /// no password, and listens on loopback only.
    #[arg(long)]
    oauth: bool,
    /// How long its access tokens are good.
    #[arg(long, requires = "oauth", value_name = "SECONDS", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    token_seconds: u64,
    /// Let tokens change notes only if they were asked for the scope `notes:write`.
    #[arg(long, requires = "oauth")]
    scopes: bool,
}

/// Serves until it is told to stop.
pub(super) fn run(options: &Options, listen: Option<&str>, parts: Parts, terminal: bool) -> anyhow::Result<ExitCode> {
    let listen = listen.unwrap_or(LISTEN);
    if options.oauth {
        return protected::run(options, listen);
    }
    // One route without policies in front of the built-in server.
    let config = json!({
        "compatibilityDate": "2026-11-20",
        "gateway": { "listen": listen },
        "routes": { "/mcp": { "upstream": { "demo": true }, "policies": [] } },
    });
    let source = Source { file: "demo-server".into(), text: config.to_string(), watched: false };
    start(&source, parts, terminal)
}

#[cfg(not(feature = "demo"))]
mod protected {
    pub(super) fn run(_: &super::Options, _: &str) -> anyhow::Result<super::ExitCode> {
        anyhow::bail!("this build has no demo server: build it with `--features demo`")
    }
}

#[cfg(feature = "demo")]
mod protected {
    use std::{process::ExitCode, sync::Arc, time::Duration};

    use anyhow::{Context, ensure};
    use portcullis_policies::kit::clock::SystemClock;
    use tokio::signal::unix::{SignalKind, signal};

    use super::Options;
    use crate::{
        server::bind,
        upstreams::demo::{OAuthOptions, ProtectedDemo},
    };

    pub(super) fn run(options: &Options, listen: &str) -> anyhow::Result<ExitCode> {
        tokio::runtime::Runtime::new()?.block_on(serve(options, listen))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(options: &Options, listen: &str) -> anyhow::Result<()> {
        let listener = bind(listen).await.with_context(|| format!("{listen} cannot be listened on"))?;
        let address = listener.local_addr()?;
        ensure!(address.ip().is_loopback(), "a sign-in without passwords is for loopback only: use {}", super::LISTEN);
        let demo = ProtectedDemo::new(
            OAuthOptions {
                token_life: Duration::from_secs(options.token_seconds),
                scopes: options.scopes,
                ..OAuthOptions::at(format!("http://{address}"))
            },
            Arc::new(SystemClock),
        );
        let mut terminate = signal(SignalKind::terminate())?;
        eprintln!("The demo server with a sign-in of its own listens on {address}\n");
        eprintln!("  {}\n    MCP, for who shows a token", demo.mcp_url());
        eprintln!("  http://{address}/\n    who is connected, and a button to end it\n");
        // It keeps nothing, so nothing has to be brought to an end.
        tokio::select! {
            served = demo.serve(listener) => served?,
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(())
    }
}
