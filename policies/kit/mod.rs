//! What every policy is written with.

pub mod admission;
pub mod bench;
pub mod catalogue;
pub mod chain;
pub mod challenge;
pub mod claims;
pub mod clock;
pub mod credential;
pub mod edge;
pub mod fetch;
pub mod headers;
pub mod host;
pub mod json;
pub mod jwt;
pub mod message;
pub mod names;
pub mod policy;
pub mod refusal;
pub mod reply;
pub mod scopes;
pub mod sign_in;
pub mod words;
