//! What people type.

mod check;
mod connections;
mod demo_server;
mod explain;
mod grants;
mod keys;
mod schema;
mod serve;
mod stored;
mod vault;

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use portcullis_policies::kit::{clock::SystemClock, policy::PolicyKind};

use self::serve::Parts;
use crate::{pipeline::Toolbox, server::Services, store::random};

/// A self-hosted gateway for MCP servers.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration.
    #[arg(long, global = true, default_value = "routes.json", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Listen on this address instead of the configured one.
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Write for programs instead of people.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the configured routes (the default).
    Serve,
    /// Report every problem of the configuration.
    Check,
    /// Show a route's chain: each policy with what it needs and gives.
    Explain {
        /// The route's path; without one, every route.
        path: Option<String>,
        /// Do not ask the upstream what it offers.
        #[arg(long)]
        offline: bool,
    },
    /// Write the JSON Schema of the configuration.
    Schema,
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// List and revoke what people allowed programs to do.
    #[command(subcommand)]
    Grants(grants::Grants),
    /// List and end people's connections to upstreams, and connect the shared ones.
    #[command(subcommand)]
    Connections(connections::Connections),
    /// Show which key the store is sealed with, and change it.
    #[command(subcommand)]
    Vault(vault::Vault),
    /// Serve the built-in sample MCP server by itself.
    DemoServer(demo_server::Options),
}

/// Runs the command that was typed, with these policies. The program for a gateway with policies of your own is this
/// function with your kinds added to [`STANDARD`](portcullis_policies::STANDARD).
pub fn main(kinds: Vec<PolicyKind>) -> ExitCode {
    let arguments = Arguments::parse();
    let services = Services::new(Arc::new(SystemClock));
    let tools = Toolbox {
        kinds,
        demo: crate::upstreams::demo_server(),
        host: services.host(random::seed()),
        shared: services.shared.clone(),
        listen: arguments.listen.clone(),
    };
    match run(arguments, Parts { tools, services }) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments, parts: Parts) -> anyhow::Result<ExitCode> {
    let Arguments { command, config, listen, json } = arguments;
    let terminal = std::io::stderr().is_terminal();
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&config, parts, terminal),
        Command::Check => check::run(&config, &parts.tools, json),
        Command::Explain { path, offline } => explain::run(&config, path.as_deref(), offline, &parts.tools, json),
        Command::Schema => schema::run(&parts.tools),
        Command::Keys(command) => keys::run(command, &config, json),
        Command::Grants(command) => grants::run(command, &config, json),
        Command::Connections(command) => connections::run(command, &config, &parts.tools, json),
        Command::Vault(command) => vault::run(command, &config, json),
        Command::DemoServer(options) => demo_server::run(&options, listen.as_deref(), parts, terminal),
    }
}

/// Reads the configuration, with a remedy where there is none.
fn read_config(file: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        anyhow::anyhow!(
            "{} cannot be read: {error}\n  Start in the folder of your routes.json, or name it with --config.",
            file.display()
        )
    })
}
