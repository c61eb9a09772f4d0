//! Each route at the URL that people type.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use url::Url;

use super::{
    super::{
        check::Running,
        finding::{Finding, shown},
        server::{AskedBy, Examined, Server, examined},
    },
    case::Deployment,
};
use crate::{
    fault::{Class, Fault},
    fetch::Roots,
};

/// How long the gateway on this machine may take to take a connection.
const KNOCK: Duration = Duration::from_secs(2);

/// The first route tells who is there. Each is examined as by `portcullis doctor URL`.
pub(super) fn answer(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let Some(origin) = case.public_url() else { return vec![Finding::skipped("no public URL is known")] };
        let roots = Roots::of_system();
        let mut findings = Vec::new();
        for (_, route) in case.routes() {
            let Ok(url) = origin.join(&route.path) else { continue };
            if findings.is_empty()
                && let Some(stranger) = stranger(case, &url, &roots).await
            {
                return vec![stranger];
            }
            let Examined { mut faults, summary, .. } = examined(&url, roots.clone(), AskedBy::Clients).await;
            if !signs_in(case, &route.path) {
                faults.retain(|finding| finding.fault.map(Fault::class) != Some(Class::Authorization));
            }
            findings.extend(if faults.is_empty() { vec![Finding::ok(&summary)] } else { faults });
        }
        findings
    })
}

/// Do clients find out here how to sign in? Who shows an API key was given it by hand.
fn signs_in(case: &Deployment, path: &str) -> bool {
    let route = case.generation().and_then(|generation| generation.route(path));
    route.is_some_and(|route| route.sign_in.is_some() || route.outside.is_some())
}

/// Why this gateway does not answer at its public URL, if it does not.
async fn stranger(case: &Deployment, url: &Url, roots: &Roots) -> Option<Finding> {
    let mut server = Server::new(url.as_str(), url.clone(), None, roots.clone());
    let glance = server.glance(true).await;
    if !server.is_reached() {
        return Some(no_way(case, url, roots).await);
    }
    // What fails from here on without an answer, the examination tells apart: TLS, a proxy, an answer that is none.
    let glance = glance?;
    if glance.status.is_redirection() || glance.status.is_server_error() {
        return None;
    }
    match glance.reason.as_deref() {
        Some("host_not_allowed") => {
            let evidence = format!("{}: {}", shown(url), glance.told);
            Some(Finding::of(Fault::HostChanged, &evidence).of_server(url).at(url))
        }
        None if !glance.headers.contains_key("x-request-id") => {
            let evidence = format!("{}: {}, which is none of this gateway's answers", shown(url), glance.told);
            Some(Finding::of(Fault::PublicUrlOfOthers, &evidence).of_server(url).at(url))
        }
        _ => None,
    }
}

/// Nothing takes a connection there: the gateway is not running, or the URL does not lead to it.
async fn no_way(case: &Deployment, url: &Url, roots: &Roots) -> Finding {
    let Some(why) = examined(url, roots.clone(), AskedBy::Clients).await.faults.into_iter().next() else {
        return Finding::skipped(&format!("{} is not reached", shown(url)));
    };
    let listen = &case.gateway().listen;
    let runs_here = match own_address(listen).filter(|_| case.gateway().public_url.is_some()) {
        Some(address) => timeout(KNOCK, TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok()),
        None => false,
    };
    if runs_here {
        let evidence = format!("{}; {listen} takes connections", why.evidence);
        return Finding::of(Fault::PublicUrlUnreachable, &evidence).of_server(url);
    }
    if why.fault == Some(Fault::NoAddress) {
        return why;
    }
    Finding::skipped(&format!(
        "{}, and nothing listens on {listen}: start the gateway (`portcullis serve`), then ask again",
        why.evidence
    ))
}

/// Where the gateway is reached on this machine.
fn own_address(listen: &str) -> Option<SocketAddr> {
    let mut address: SocketAddr = listen.parse().ok()?;
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    Some(address)
}
