//! The policies of Portcullis: what a route's chain is made of.
//!
//! Each policy is a folder with its declaration, options, layer, documentation and tests; [`STANDARD`] lists them. A
//! policy is a [`tower::Layer`], and needs nothing of the gateway to run: see [`kit::edge::Edge`] for how to put a chain
//! into another program.
#![doc = ""]
#![doc = include_str!("README.md")]

pub mod capability_filter;
pub mod cors;
pub mod ip_restriction;
pub mod kit;
pub mod rate_limit;
pub mod remove_headers;
pub mod request_size_limit;
pub mod set_headers;
pub mod timeout;

use kit::policy::PolicyKind;

/// Every policy that a gateway has without further ado, in the order of the documentation.
pub const STANDARD: &[PolicyKind] = &[
    PolicyKind::of::<capability_filter::CapabilityFilter>(),
    PolicyKind::of::<rate_limit::RateLimit>(),
    PolicyKind::of::<set_headers::SetHeaders>(),
    PolicyKind::of::<remove_headers::RemoveHeaders>(),
    PolicyKind::of::<request_size_limit::RequestSizeLimit>(),
    PolicyKind::of::<ip_restriction::IpRestriction>(),
    PolicyKind::of::<timeout::Timeout>(),
    PolicyKind::of::<cors::Cors>(),
];
