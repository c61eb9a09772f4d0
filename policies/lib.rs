//! The policies of Portcullis: what a route's chain is made of.
//!
//! Each policy is a folder with its declaration, options, layer, documentation and tests; [`STANDARD`] lists them. A
//! policy is a [`tower::Layer`], and needs nothing of the gateway to run: see [`kit::edge::Edge`] for how to put a chain
//! into another program.
#![doc = ""]
#![doc = include_str!("README.md")]

pub mod api_key;
pub mod argument_validation;
pub mod audit_log;
pub mod capability_filter;
pub mod cors;
pub mod ip_restriction;
pub mod jwt_inbound;
pub mod kit;
pub mod mcp_oauth;
pub mod rate_limit;
pub mod remove_headers;
pub mod request_size_limit;
pub mod rules;
pub mod secret_guard;
pub mod set_headers;
pub mod timeout;
pub mod token_exchange;
pub mod tool_pinning;
pub mod upstream_auth_retry;

use kit::{
    chain::RouteLayer,
    host::Host,
    policy::{Policy, PolicyKind, Problem},
};

/// Every policy that a gateway has without further ado, in the order of the documentation.
pub const STANDARD: &[PolicyKind] = &[
    PolicyKind::of::<audit_log::AuditLog>(),
    PolicyKind::of::<mcp_oauth::McpOAuth>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::Auth0>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::Okta>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::Entra>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::Cognito>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::Google>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::Keycloak>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::Logto>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::OneLogin>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::PingOne>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::Clerk>>(),
    PolicyKind::of::<mcp_oauth::PresetOAuth<mcp_oauth::presets::WorkOs>>(),
    PolicyKind::of::<mcp_oauth::DevLogin>(),
    PolicyKind::of::<api_key::ApiKey>(),
    PolicyKind::of::<jwt_inbound::JwtInbound>(),
    PolicyKind::of::<capability_filter::CapabilityFilter>(),
    PolicyKind::of::<rules::McpRules>(),
    PolicyKind::of::<tool_pinning::ToolPinning>(),
    PolicyKind::of::<secret_guard::SecretGuard>(),
    PolicyKind::of::<argument_validation::ArgumentValidation>(),
    PolicyKind::of::<rate_limit::RateLimit>(),
    PolicyKind::of::<upstream_auth_retry::UpstreamAuthRetry>(),
    PolicyKind::of::<token_exchange::TokenExchange>(),
    PolicyKind::of::<set_headers::SetHeaders>(),
    PolicyKind::of::<remove_headers::RemoveHeaders>(),
    PolicyKind::of::<request_size_limit::RequestSizeLimit>(),
    PolicyKind::of::<ip_restriction::IpRestriction>(),
    PolicyKind::of::<timeout::Timeout>(),
    PolicyKind::of::<cors::Cors>(),
];

/// One policy as a Tower layer, for programs of your own. The options are those of `routes.json`.
///
/// ```
/// use portcullis_policies::{layer, kit::host::Host, rate_limit::RateLimit};
///
/// let options = serde_json::json!({ "rateLimitBy": "ip", "requestsAllowed": 60, "timeWindowMinutes": 1 });
/// let layer = layer::<RateLimit>(&options, &Host::default()).expect("the options are right");
/// # let _: portcullis_policies::kit::chain::RouteLayer = layer;
/// ```
pub fn layer<P: Policy>(options: &serde_json::Value, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
    PolicyKind::of::<P>().layer(options, host)
}
