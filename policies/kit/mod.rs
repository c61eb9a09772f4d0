//! What every policy is written with.

pub mod bench;
pub mod catalogue;
pub mod chain;
pub mod clock;
pub mod edge;
pub mod fetch;
pub mod host;
pub mod json;
pub mod message;
pub mod policy;
pub mod refusal;
pub mod reply;
pub mod sign_in;
