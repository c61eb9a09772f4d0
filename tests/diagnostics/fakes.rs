//! Policies that do nothing but declare facts, for chains that the standard policies cannot get wrong yet.

use std::sync::Arc;

use portcullis::{pins, upstreams::connections::Handle};
use portcullis_policies::kit::{
    chain::{RouteLayer, gate},
    host::Host,
    policy::{Fact, Policy, PolicyKind, Problem},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Beside the standard policies.
pub(crate) const FAKES: &[PolicyKind] = &[
    PolicyKind::of::<SignIn>(),
    PolicyKind::of::<Rename>(),
    PolicyKind::of::<Credential>(),
    PolicyKind::of::<Retry>(),
    PolicyKind::of::<Audit>(),
];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoOptions {}

macro_rules! fake {
    ($policy:ident = $name:literal { $($declaration:item)* }) => {
        struct $policy;

        impl Policy for $policy {
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = "declares facts";
            $($declaration)*
            type Options = NoOptions;

            fn layer(_: NoOptions, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
                Ok(gate(|_| Ok(())))
            }
        }
    };
}

fake!(SignIn = "fake-sign-in" {
    const GIVES: &'static [Fact] = &[Fact::CALLER];
});
fake!(Rename = "fake-rename" {
    const GIVES: &'static [Fact] = &[Fact::RENAMED_TARGET];
});
fake!(Credential = "fake-credential" {
    const NEEDS: &'static [Fact] = &[Fact::CALLER];
    const GIVES: &'static [Fact] = &[Fact::UPSTREAM_CREDENTIAL];
});
fake!(Retry = "fake-retry" {
    const BEFORE: &'static [Fact] = &[Fact::UPSTREAM_CREDENTIAL];
});
fake!(Audit = "fake-audit" {
    const OUTERMOST: bool = true;
});

/// A host with connections of nobody and no pins: none are asked for while a configuration is checked.
pub(crate) fn host(host: Host) -> Host {
    Host { connections: Some(Arc::new(Handle::default())), pins: Some(Arc::new(pins::Handle::default())), ..host }
}
