//! From the text of `routes.json` to checked values.
//!
//! Parse, check, and report every problem at its place. Nothing here touches the network or the clock; environment
//! variables and files come in through [`Surroundings`].

mod check;
mod document;
mod file;
mod interpolate;
mod pointer;
mod report;
mod schema;
mod shape;

pub use self::{
    check::{Chain, ChainLink, Checked, Link, PlannedRoute, check, own_paths},
    document::Document,
    file::{
        ApprovalOptions, AuditOptions, Batches, ClientDocuments, ConfiguredClient, Era, FetchOptions, Gateway, Hidden,
        HiddenHeaders, ListenerLimits, Log, LogFormat, OAuthOptions, OtlpLogs, Registration, RouteClocks, RouteLimits,
        SignedWebhook, Telemetry, TlsFiles, Upstream, UpstreamTls, Webhook, service_name,
    },
    interpolate::{Secrets, Surroundings},
    pointer::Pointer,
    report::{Located, Report},
    schema::json_schema,
};
