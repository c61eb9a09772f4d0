#![doc = include_str!("README.md")]

#[cfg(test)]
mod tests;

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::{
    chain::{RouteLayer, UpstreamHeaders, carries_message, crosses_to_upstream, gate},
    host::Host,
    policy::{Policy, Problem},
    rehearsal::Rehearsal,
};

/// Sets headers of the request to the upstream.
#[derive(Debug)]
pub struct SetHeaders;

/// The headers to set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetHeadersOptions {
    /// The headers.
    pub headers: Vec<SetHeader>,
}

/// One header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetHeader {
    /// Its name.
    pub name: String,
    /// Its value; `$env(NAME)` keeps secrets out of the file.
    pub value: String,
    /// Whether it replaces one that is set already, by the client or by an earlier policy.
    #[serde(default = "yes")]
    pub overwrite: bool,
}

fn yes() -> bool {
    true
}

impl Policy for SetHeaders {
    const NAME: &'static str = "set-headers";
    const ALIASES: &'static [&'static str] = &["set-headers-inbound"];
    const SUMMARY: &'static str = "sets headers of the request to the upstream, such as an API key";
    const PREPARES_UPSTREAM: bool = true;
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = SetHeadersOptions;

    fn layer(options: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let (headers, problems) = parse(options);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(gate(move |request| {
            let mut own = request.extensions_mut().remove::<UpstreamHeaders>().unwrap_or_default().0;
            for (name, value, overwrite) in &headers {
                set(&mut own, request.headers(), name, value, *overwrite);
            }
            request.extensions_mut().insert(UpstreamHeaders(own));
            Ok(())
        }))
    }
}

fn set(own: &mut HeaderMap, sent: &HeaderMap, name: &HeaderName, value: &HeaderValue, overwrite: bool) {
    // What a client sends counts only where it would arrive: otherwise it could make a header go missing.
    let there = own.contains_key(name) || (crosses_to_upstream(name) && sent.contains_key(name));
    if overwrite || !there {
        own.insert(name.clone(), value.clone());
    }
}

fn parse(options: SetHeadersOptions) -> (Vec<(HeaderName, HeaderValue, bool)>, Vec<Problem>) {
    let (mut headers, mut problems) = (Vec::new(), Vec::new());
    for (index, SetHeader { name, value, overwrite }) in options.headers.into_iter().enumerate() {
        let problem = |key: &str, why: String| Problem::new(format!("/headers/{index}/{key}"), why);
        let parsed = HeaderValue::from_str(&value).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        match (name.parse::<HeaderName>(), parsed) {
            (Ok(name), _) if carries_message(&name) => {
                problems.push(problem("name", format!("the gateway itself sets {name}")).hint("remove it"));
            }
            (Ok(name), Ok(value)) => headers.push((name, value, overwrite)),
            (Err(_), _) => problems.push(problem("name", format!("{name:?} is not a header's name"))),
            // The value may be a secret: it is not repeated.
            (_, Err(_)) => {
                let problem = problem("value", format!("the value of {name} has characters that no header may have"));
                problems.push(problem.hint("look for line breaks and other control characters"));
            }
        }
    }
    (headers, problems)
}
