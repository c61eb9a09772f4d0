//! An MCP server on the official Rust SDK that has every tool, resource and prompt of which the official conformance suite
//! speaks. It listens on loopback only, and speaks both protocol eras or one of them.

#![expect(deprecated, reason = "of 2026-07-28, but the suite judges the revisions before it too")]

mod asking;
mod fixture;
mod server;
mod state;
mod tools;

use std::{net::Ipv4Addr, sync::Arc};

use clap::{Parser, ValueEnum};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;

use crate::{fixture::Fixture, server::Conformance, tools::Shared};

#[derive(Parser)]
struct Options {
    /// The port of 127.0.0.1 to listen on; the endpoint is `/mcp`.
    port: u16,
    /// The revisions to serve.
    #[arg(long, value_enum, default_value = "both")]
    era: Era,
    /// Serve the revisions with sessions without a session.
    #[arg(long)]
    stateless: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Era {
    Both,
    /// Up to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let sessions = Arc::new(LocalSessionManager::default());
    let shared = Arc::new(Shared::new(Fixture::read()?, Arc::clone(&sessions)));
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(!options.stateless);
    let server = move || Ok(Conformance::new(Arc::clone(&shared), options.era));
    let service = StreamableHttpService::new(server, sessions, config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    axum::serve(listener, axum::Router::new().route_service("/mcp", service)).await
}
