//! The REST API under `/api/v1`: what the commands serve, for programs.
//!
//! ```text
//! request ── throttle ── table ─┬ no such path, no such method
//!                               └ key, scope ── path, query, body ── the endpoint ── JSON, or problem details (RFC 9457)
//! ```
//!
//! Programs show an API key. Nobody is let in by a cookie, and no web page of another origin may read the answers. Which key may
//! do what is said once, in the `table`: the router and the `OpenAPI` document are made from it, so there is no endpoint without a
//! scope. A key that is bound to routes comes in if this path is one of them.

mod approvals;
mod audit;
mod connections;
mod door;
mod endpoint;
mod keys;
mod office;
mod openapi;
mod page;
mod pins;
mod router;
mod table;

pub use self::{
    office::Foundation,
    openapi::document,
    router::router,
    table::{Operation, Scope, operations},
};

/// Where it is, and what it is called among the routes of a key.
pub const PATH: &str = "/api/v1";
