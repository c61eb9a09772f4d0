//! Pages for people: on which they connect to upstreams, and on which they see and end their connections.
//!
//! ```text
//! link ── /connect/{token} ─┬ sign in ── back to the page                         ┌ "you can close this page"
//!                           └ connect ─┬ the upstream's sign-in ── /connect/callback/{upstream}
//!                                      └ a key, typed in ─────────────────────────┘
//! ```
//!
//! The first page is always ours. It counts for the person whose call asked for the link and for nobody else: so nobody
//! can send somebody else a link, to have them connect what is theirs to calls of the sender.

mod callback;
mod connect;
mod connections;
mod form;
mod pages;
mod router;
mod trouble;

pub use self::router::router;
