#![doc = include_str!("README.md")]

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

use crate::kit::{
    chain::{ForeignOrigin, RouteLayer, gate, lift, stack},
    host::Host,
    policy::{Policy, Problem},
    rehearsal::Rehearsal,
};

/// Lets web pages of other origins call the route: tower-http's `CorsLayer`, set up for MCP.
#[derive(Debug)]
pub struct Cors;

/// Which web pages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CorsOptions {
    /// Origins, such as `https://inspector.example.com`; or `["*"]` for any.
    pub allowed_origins: Vec<String>,
    /// Response headers that pages may read, beyond those of MCP.
    #[serde(default)]
    pub expose_headers: Vec<String>,
    /// Seconds for which a browser may remember the answer to its preflight.
    #[serde(default = "ten_minutes")]
    pub max_age_seconds: u32,
}

fn ten_minutes() -> u32 {
    600
}

/// What a client in a browser must be able to read (MCP, "Streamable HTTP", and RFC 9728 for the challenge).
const EXPOSED: [&str; 5] =
    ["www-authenticate", "mcp-session-id", "mcp-protocol-version", "x-request-id", "retry-after"];

impl Policy for Cors {
    const NAME: &'static str = "cors";
    const SUMMARY: &'static str = "lets web pages of other origins call the route";
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = CorsOptions;

    fn layer(options: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let mut problems = Vec::new();
        let any = options.allowed_origins.iter().any(|origin| origin == "*");
        let origins = origins(&options.allowed_origins, &mut problems);
        let exposed = exposed(&options.expose_headers, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let cors = CorsLayer::new()
            .allow_origin(if any { AllowOrigin::any() } else { AllowOrigin::list(origins.clone()) })
            .allow_methods([Method::POST])
            // `*` would leave out `Authorization`, so what is asked for is what is granted.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::list(exposed))
            .max_age(Duration::from_secs(options.max_age_seconds.into()));
        let accept = gate(move |request| {
            let known = |origin: &HeaderValue| any || origins.contains(origin);
            let origins = request.headers().get_all(header::ORIGIN);
            if origins.iter().next().is_some() && origins.iter().all(known) {
                request.extensions_mut().remove::<ForeignOrigin>();
            }
            Ok(())
        });
        Ok(stack(vec![lift(cors), accept]))
    }
}

fn origins(list: &[String], problems: &mut Vec<Problem>) -> Vec<HeaderValue> {
    let mut origins = Vec::new();
    for (index, origin) in list.iter().enumerate().filter(|(_, origin)| *origin != "*") {
        match origin.parse::<HeaderValue>() {
            Ok(value) if is_origin(origin) => origins.push(value),
            _ => problems.push(
                Problem::new(format!("/allowedOrigins/{index}"), format!("{origin:?} is not an origin"))
                    .hint("write scheme, host and port only, such as \"https://inspector.example.com\""),
            ),
        }
    }
    if list.len() > 1 && origins.len() < list.len() && problems.is_empty() {
        problems.push(
            Problem::new("/allowedOrigins", "`*` allows every origin, so the others mean nothing")
                .hint("remove one or the other"),
        );
    }
    origins
}

/// Scheme and authority, in lower case, without a slash at the end: as browsers send it.
fn is_origin(text: &str) -> bool {
    let uri: Result<http::Uri, _> = text.parse();
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    lower
        && uri.is_ok_and(|uri| {
            uri.scheme().is_some()
                && uri.authority().is_some()
                && uri.path() == "/"
                && uri.query().is_none()
                && !text.ends_with('/')
        })
}

fn exposed(more: &[String], problems: &mut Vec<Problem>) -> Vec<HeaderName> {
    let mut names: Vec<_> = EXPOSED.into_iter().map(HeaderName::from_static).collect();
    for (index, name) in more.iter().enumerate() {
        match name.parse() {
            Ok(name) => names.push(name),
            Err(_) => problems
                .push(Problem::new(format!("/exposeHeaders/{index}"), format!("{name:?} is not a header's name"))),
        }
    }
    names
}
