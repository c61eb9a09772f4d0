//! Between the eras: a client of one, an upstream of the other.

mod cannot;
mod common;
pub(super) mod legacy_client;
pub(super) mod modern_client;
mod object;
mod told;

pub use self::cannot::{Direction, cannot};
