//! The running gateway: listens, decides which path goes where, and stops in an orderly way.

mod access;
mod assemble;
mod beside;
mod connection;
mod draining;
mod hosts;
mod impatient;
mod listen;
mod metrics;
mod outgoing;
mod router;
mod services;
mod shutdown;
mod telemetry;
mod tls;

pub use self::{
    assemble::{Assembly, assemble},
    beside::book_beside,
    listen::{bind, serve},
    router::Router,
    services::Services,
    shutdown::{Shutdown, Stop},
    telemetry::{Logging, start_logging},
};
