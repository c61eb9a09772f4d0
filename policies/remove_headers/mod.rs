#![doc = include_str!("README.md")]

#[cfg(test)]
mod tests;

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::{
    chain::{RouteLayer, UpstreamHeaders, gate},
    host::Host,
    policy::{Policy, Problem},
    rehearsal::Rehearsal,
};

/// Removes headers from the request to the upstream.
#[derive(Debug)]
pub struct RemoveHeaders;

/// The headers to remove.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveHeadersOptions {
    /// Their names.
    pub headers: Vec<String>,
}

impl Policy for RemoveHeaders {
    const NAME: &'static str = "remove-headers";
    const ALIASES: &'static [&'static str] = &["remove-headers-inbound"];
    const SUMMARY: &'static str = "removes headers from the request to the upstream";
    const PREPARES_UPSTREAM: bool = true;
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = RemoveHeadersOptions;

    fn layer(options: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut names = Vec::new();
        for (index, name) in options.headers.iter().enumerate() {
            match name.parse::<HeaderName>() {
                Ok(name) => names.push(name),
                Err(_) => {
                    problems
                        .push(Problem::new(format!("/headers/{index}"), format!("{name:?} is not a header's name")));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(gate(move |request| {
            for name in &names {
                request.headers_mut().remove(name);
                if let Some(UpstreamHeaders(own)) = request.extensions_mut().get_mut() {
                    own.remove(name);
                }
            }
            Ok(())
        }))
    }
}
