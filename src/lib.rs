//! Portcullis, a self-hosted MCP gateway.
pub mod cli;
pub mod config;
pub mod pipeline;
pub mod proxy;
pub mod server;
pub mod upstreams;
