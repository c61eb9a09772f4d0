//! Portcullis, a self-hosted MCP gateway: a route in `routes.json` is a chain of Tower layers in front of an MCP server.
//!
//! # The path of a request
//!
//! ```text
//! listen → router ─ /healthz /readyz /metrics → the gateway's own endpoints
//!                 ├ /.well-known/* /oauth/*   → the authorization server
//!                 ├ /connect/* /connections   → pages on which people connect to upstreams
//!                 ├ /approvals /audit /pins   → pages on which people approve calls and tools, and see what happened
//!                 ├ /api/v1/*                 → the same for programs
//!                 ├ /troubleshooting          → what errors mean, and what to do
//!                 └ a route's path → read the message → policy 1 → … → policy n → proxy → upstream
//!                                    ↑ the answer comes back through the same layers
//! ```
//!
//! The message is read once, strictly, by [`Edge`](portcullis_policies::kit::edge::Edge). Every request passes the whole
//! chain, also one that could not be read: the end of the chain gives its refusal, and by its type it cannot be forwarded.
//! A request runs on the [`Generation`](pipeline::Generation) that was in force when it came.
//!
//! # From the file to a running chain
//!
//! ```text
//! routes.json ─parse→ Document ─check→ Checked ─order, compile→ Generation ─swap→ Live
//!                        └──────── all problems, each at its line ────────┘
//! ```
//!
//! # Levels
//!
//! A module uses only those below it, which `tests/it/rules.rs` checks (with two neighbours that it names); policies see nothing
//! of this crate.
//!
//! ```text
//! cli                  what people type
//! server               listens; puts everything together
//! doctor               what is wrong, and what to do about it
//! console, api         pages for people; the REST API for programs
//! pipeline             checked values → running chains
//! oauth, api_keys      the authorization server that MCP clients talk to; keys for programs
//! approvals            calls that wait until a person approves them
//! pins                 which definitions of upstreams' tools are good
//! upstreams            the servers behind us: people's connections, the OAuth client, the built-in one
//! proxy                the end of every chain: to the upstream, in the era that it speaks
//! audit                what happened: rows in a chain that shows if it was changed
//! store, fetch         all SQL and all encryption at rest; the one client for addresses that others chose
//! config               text → checked values; pure
//! fault, wire          what can be wrong: one table of causes and remedies; how programs read moments and ids
//! ```

pub mod api;
pub mod api_keys;
pub mod approvals;
pub mod audit;
pub mod cli;
pub mod config;
pub mod console;
pub mod doctor;
pub mod fault;
pub mod fetch;
pub mod oauth;
pub mod pins;
pub mod pipeline;
pub mod proxy;
pub mod server;
pub mod store;
pub mod upstreams;
pub mod wire;
