#![doc = include_str!("README.md")]

mod ask;
mod carrier;
mod check;
mod client;
mod meaning;
mod options;
#[cfg(test)]
mod tests;
mod unconnected;

use std::sync::Arc;

use aws_lc_rs::digest;

pub use self::options::{
    AuthMethod, ClassicOptions, ClientOptions, ClientRegistration, ExchangeOptions, HeaderOptions, IdJagOptions,
    IdpOptions, KeyOptions, Mode, RegistrationMode, ResourceAsOptions, SubjectTokenOption, TokenExchangeOptions,
};
use self::{
    carrier::Carrier,
    meaning::{Meaning, meaning},
};
use crate::kit::{
    chain::{RouteLayer, direct, gate},
    credential::{UpstreamAuth, UpstreamCredential},
    host::Host,
    policy::{Fact, Policy, Problem},
    rehearsal::Rehearsal,
};

/// Shows the upstream the caller's own credential, or one that all callers share.
#[derive(Debug)]
pub struct TokenExchange;

impl Policy for TokenExchange {
    const NAME: &'static str = "mcp-token-exchange";
    const ALIASES: &'static [&'static str] = &["mcp-token-exchange-inbound"];
    const SUMMARY: &'static str = "shows the upstream each caller's own credential, which people connect once";
    const GIVES: &'static [Fact] = &[Fact::UPSTREAM_CREDENTIAL];
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = TokenExchangeOptions;

    fn needs(options: &Self::Options) -> Vec<Fact> {
        if options.auth_mode.is_personal() { vec![Fact::CALLER] } else { Vec::new() }
    }

    fn needs_store(options: &Self::Options) -> bool {
        options.auth_mode != Mode::SharedKey
    }

    fn prepares_upstream(options: &Self::Options) -> bool {
        options.auth_mode == Mode::SharedKey
    }

    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        match meaning(&options)? {
            Meaning::Constant(headers) => Ok(constant(&options.id, headers)),
            Meaning::Connection(auth) => match &host.connections {
                Some(connections) => {
                    let carrier = Arc::new(Carrier::new(*auth, Arc::clone(connections), host));
                    Ok(direct(move |request, inner| carrier.call(request, inner)))
                }
                None => {
                    let why = format!("`{}` needs the program's connections, and it keeps none", Self::NAME);
                    let hint = "give `Host::connections`, or say \"authMode\": \"shared-key\", which needs none";
                    Err(vec![Problem::new("", why).hint(hint)])
                }
            },
        }
    }

    fn upstream_auth(options: &Self::Options) -> Option<UpstreamAuth> {
        match meaning(options).ok()? {
            Meaning::Connection(auth) => Some(*auth),
            Meaning::Constant(_) => None,
        }
    }
}

/// `shared-key`: there is nothing to look up, and nothing to renew.
fn constant(id: &str, headers: Vec<(http::HeaderName, http::HeaderValue)>) -> RouteLayer {
    // Another name for other keys, the same on every node: sessions and connections are kept apart by it.
    let mut sum = digest::Context::new(&digest::SHA256);
    for (name, value) in &headers {
        sum.update(name.as_str().as_bytes());
        sum.update(&value.len().to_be_bytes());
        sum.update(value.as_bytes());
    }
    let name = sum.finish().as_ref()[..16].iter().fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
    let credential = UpstreamCredential::new(format!("shared-key:{id}:{name}"), 0, headers);
    gate(move |request| {
        request.extensions_mut().insert(credential.clone());
        Ok(())
    })
}
