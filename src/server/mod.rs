//! The running gateway: listens, decides which path goes where, and stops in an orderly way.

mod access;
mod assemble;
mod hosts;
mod listen;
mod metrics;
mod outgoing;
mod router;
mod shutdown;
mod telemetry;
mod tls;

pub use self::{
    assemble::{Assembly, assemble},
    listen::{bind, serve},
    router::Router,
    shutdown::{Shutdown, Stop},
    telemetry::{Logging, start_logging},
};

/// Tells runs of the gateway apart in request ids. The one place where chance comes in.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn random_process_id() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(random >> 32).unwrap_or_default()
}
