#![doc = include_str!("README.md")]

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::{
    chain::{Arrival, RouteLayer, gate},
    host::Host,
    policy::{Deployment, Examining, Policy, Problem},
    refusal::{Reason, Refusal},
    rehearsal::Rehearsal,
};

/// Lets only some addresses in.
#[derive(Debug)]
pub struct IpRestriction;

/// Which addresses.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IpRestrictionOptions {
    /// Addresses or networks that may come in. Left out: all that are not blocked.
    pub allowed_ip_addresses: Option<Vec<String>>,
    /// Addresses or networks that may not, also if they are allowed above.
    pub blocked_ip_addresses: Vec<String>,
}

impl Policy for IpRestriction {
    const NAME: &'static str = "ip-restriction";
    const ALIASES: &'static [&'static str] = &["ip-restriction-inbound"];
    const SUMMARY: &'static str = "lets only some addresses in";
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = IpRestrictionOptions;

    fn layer(options: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let mut problems = Vec::new();
        let allowed = options.allowed_ip_addresses.map(|list| networks("allowedIpAddresses", &list, &mut problems));
        let blocked = networks("blockedIpAddresses", &options.blocked_ip_addresses, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let may_come_in = move |address: IpAddr| {
            let address = address.to_canonical();
            let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
            !within(&blocked) && allowed.as_deref().is_none_or(within)
        };
        Ok(gate(move |request| match request.extensions().get::<Arrival>() {
            Some(arrival) if may_come_in(arrival.client) => Ok(()),
            _ => Err(Refusal::from(Reason::IpNotAllowed)),
        }))
    }

    /// Behind a proxy that is not believed, all have one address.
    fn examine<'a>(_: &'a Self::Options, deployment: &'a Deployment<'a>) -> Examining<'a> {
        let why = "everybody comes from the proxy's address, which is the one that is judged";
        let problem = Problem::new("", why).hint("name the proxy in `gateway.trustedProxies`").warning();
        Box::pin(std::future::ready(if deployment.hides_addresses { vec![problem] } else { Vec::new() }))
    }
}

fn networks(option: &str, list: &[String], problems: &mut Vec<Problem>) -> Vec<IpNet> {
    let mut nets = Vec::new();
    for (index, text) in list.iter().enumerate() {
        match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(net) => nets.push(net),
            Err(_) => problems.push(
                Problem::new(format!("/{option}/{index}"), format!("{text:?} is neither an address nor a network"))
                    .hint("write \"192.0.2.7\" or \"192.0.2.0/24\""),
            ),
        }
    }
    nets
}
