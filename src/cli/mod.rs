//! What people type.

// All commands print with these, in the place of the standard ones.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::output::print(format_args!($($text)*)) };
}
macro_rules! println {
    () => { print!("\n") };
    ($($text:tt)*) => { print!("{}\n", format_args!($($text)*)) };
}
macro_rules! eprint {
    ($($text:tt)*) => { $crate::cli::output::complain(format_args!($($text)*)) };
}
macro_rules! eprintln {
    () => { eprint!("\n") };
    ($($text:tt)*) => { eprint!("{}\n", format_args!($($text)*)) };
}

mod approvals;
mod audit;
mod check;
mod connections;
mod demo_server;
mod doctor;
mod explain;
mod grants;
mod keys;
mod output;
mod pins;
mod schema;
mod serve;
mod stored;
mod vault;

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use portcullis_policies::kit::{catalogue::nearest, clock::SystemClock, policy::PolicyKind, random};

use self::serve::Parts;
use crate::{pipeline::Toolbox, server::Services};

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
    /// Show a route's chain: each policy with what it needs and gives. With --call or --list, what each of them would make
    /// of a request that is not sent.
    #[command(after_help = explain::AFTER_HELP)]
    Explain {
        /// The route's path; without one, every route.
        path: Option<String>,
        /// Do not ask the upstream what it offers.
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        rehearsal: Box<explain::Rehearsal>,
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
    /// List the calls that wait for a person, and decide about them.
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Show what tools are pinned to, what has changed since, and approve it.
    #[command(subcommand)]
    Pins(pins::Pins),
    /// Show, export and verify the audit log.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show which key the store is sealed with, and change it.
    #[command(subcommand)]
    Vault(vault::Vault),
    /// Say what is wrong with the URL of an MCP server, this gateway's or anybody's, or with this deployment, and what to do
    /// about it.
    #[command(after_help = doctor::AFTER_HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Doctor(doctor::Options),
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
        Command::Explain { path, offline, rehearsal } => {
            explain::run(&config, path.as_deref(), offline, &rehearsal, &parts.tools, json)
        }
        Command::Schema => schema::run(&parts.tools),
        Command::Keys(command) => keys::run(command, &config, json),
        Command::Grants(command) => grants::run(command, &config, json),
        Command::Connections(command) => connections::run(command, &config, &parts.tools, json),
        Command::Approvals(command) => approvals::run(command, &config, json),
        Command::Pins(command) => pins::run(command, &config, json),
        Command::Audit(command) => audit::run(command, &config, json),
        Command::Vault(command) => vault::run(command, &config, json),
        Command::Doctor(options) => doctor::run(&options, &config, parts.tools, json),
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

/// What to say of a path that no route has, beside those that there are.
fn no_route<'a>(path: &str, paths: impl Iterator<Item = &'a str>) -> anyhow::Error {
    match nearest(path, paths) {
        Some(near) => anyhow::anyhow!("there is no route {path}; did you mean {near}?"),
        None => anyhow::anyhow!("there is no route {path}"),
    }
}
