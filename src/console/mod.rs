//! Pages for people: on which they connect to upstreams, see and end their connections, approve calls, and read what errors
//! mean; and for operators, on which they see what happened and approve tools.
//!
//! ```text
//! link ── /connect/{token} ─┬ sign in ── back to the page                         ┌ "you can close this page"
//!                           └ connect ─┬ the upstream's sign-in ── /connect/callback/{upstream}
//!                                      └ a key, typed in ─────────────────────────┘
//! ```
//!
//! The first page is always ours. It counts for the person whose call asked for the link and for nobody else: so nobody
//! can send somebody else a link, to have them connect what is theirs to calls of the sender.

mod approvals;
mod audit;
mod callback;
mod connect;
mod connections;
mod form;
mod operators;
mod pages;
mod pins;
mod router;
mod sign_in;
mod trouble;
mod troubleshooting;

pub use self::{
    router::{Foundation, router},
    troubleshooting::{TROUBLESHOOTING, troubleshooting},
};
