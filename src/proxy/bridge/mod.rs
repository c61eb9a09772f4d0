//! Between the eras: a client of one, an upstream of the other.

pub(super) mod legacy_client;
pub(super) mod modern_client;
