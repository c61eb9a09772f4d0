#![doc = include_str!("README.md")]

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::{
    chain::{RouteLayer, gate},
    host::Host,
    policy::{Policy, Problem},
    refusal::{Reason, Refusal},
    rehearsal::Rehearsal,
};

/// Refuses long messages.
#[derive(Debug)]
pub struct RequestSizeLimit;

/// How long a message may be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestSizeLimitOptions {
    /// Bytes of a message.
    pub max_size_in_bytes: NonZeroU32,
}

impl Policy for RequestSizeLimit {
    const NAME: &'static str = "request-size-limit";
    const ALIASES: &'static [&'static str] = &["request-size-limit-inbound"];
    const SUMMARY: &'static str = "refuses messages over a size of its own";
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = RequestSizeLimitOptions;

    fn layer(options: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let limit = options.max_size_in_bytes;
        Ok(gate(move |request| match request.body().message() {
            Some(message) if message.bytes().len() > limit.get() as usize => {
                let why = format!("The message is longer than the {limit} bytes that this route allows.");
                Err(Refusal::new(Reason::BodyTooLarge, why).with_remedy("Send less."))
            }
            _ => Ok(()),
        }))
    }
}
