//! The public URL, as far as the configuration alone tells.

use std::net::SocketAddr;

use portcullis_policies::kit::fetch::is_loopback;

use super::{
    super::{
        check::Running,
        finding::{Finding, shown},
    },
    case::Deployment,
};
use crate::{config::Gateway, fault::Fault};

pub(super) fn usable(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let Some(url) = case.public_url().cloned() else {
            return vec![Finding::skipped("the system chooses the port, and no publicUrl says another one")];
        };
        let gateway = case.gateway();
        let mut findings = Vec::new();
        if gateway.public_url.is_none() && !listens_on_loopback(gateway) {
            let evidence = format!("listen is {:?}, so clients are told {}", gateway.listen, shown(&url));
            findings.push(Finding::of(Fault::PublicUrlMissing, &evidence));
        }
        if is_loopback(&url) {
            findings.push(Finding::ok(&format!("{url}, for programs on this machine")));
            return findings;
        }
        if url.scheme() == "http" && gateway.public_url.is_some() {
            findings.push(Finding::of(Fault::NotEncrypted, &format!("publicUrl is {url}")).of_server(&url));
        }
        if let Some(port) = url.port().filter(|_| url.scheme() == "https") {
            findings.push(Finding::of(Fault::PublicPort, &format!("publicUrl is {url}, port {port}")));
        }
        if behind_proxy(gateway) && gateway.trusted_proxies.is_empty() {
            let evidence = format!("publicUrl is {url}, gateway.tls is not set, and trustedProxies is empty");
            findings.push(Finding::of(Fault::ProxyNotTrusted, &evidence));
        }
        if findings.is_empty() {
            findings.push(Finding::ok(url.as_str()));
        }
        findings
    })
}

/// Clients speak TLS, and the gateway does not: something in between does.
pub(super) fn behind_proxy(gateway: &Gateway) -> bool {
    gateway.tls.is_none() && gateway.public_url.as_deref().is_some_and(|url| url.starts_with("https:"))
}

fn listens_on_loopback(gateway: &Gateway) -> bool {
    gateway.listen.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}
