//! Whether the client that was named can reach the server at all. If none was, whether some cannot.

use super::{
    super::{
        check::Running,
        clients::{Origin, Profile},
        finding::Finding,
    },
    case::Server,
};
use crate::fault::Fault;

/// The only port that clients ask which do so from their maker's machines.
const HTTPS: u16 = 443;

pub(super) fn reach(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let Some(client) = case.client else {
            return vec![by_any(case)];
        };
        let profile = client.profile();
        match profile.origin {
            Origin::Machine => vec![Finding::ok(&format!("{} asks from the machine on which it runs", profile.name))],
            Origin::Maker => from_its_maker(case, profile),
        }
    })
}

/// A server in a private network, or on this machine, is not meant for clients that ask from their maker's machines.
fn by_any(case: &Server) -> Finding {
    match case.url.port() {
        Some(port) if case.is_public() && case.url.scheme() == "https" => {
            Finding::of(Fault::NonstandardPort, &format!("port {port}, at a public address"))
        }
        _ => Finding::skipped("no client was named (--client)"),
    }
}

fn from_its_maker(case: &Server, profile: &Profile) -> Vec<Finding> {
    let name = profile.name;
    let port = case.url.port_or_known_default().unwrap_or_default();
    let inner = case.addresses.iter().find(|_| !case.is_public());
    let faults = [
        inner.map(|inner| {
            (Fault::ClientAddress, format!("{inner} is not public, and {name} asks from its maker's machines"))
        }),
        (case.url.scheme() != "https")
            .then(|| (Fault::ClientNeedsHttps, format!("the URL is http, and {name} asks https only"))),
        (port != HTTPS).then(|| (Fault::ClientPort, format!("the port is {port}, and {name} asks {HTTPS} only"))),
    ];
    let findings: Vec<_> =
        faults.into_iter().flatten().map(|(fault, evidence)| Finding::of(fault, &evidence)).collect();
    if !findings.is_empty() {
        return findings;
    }
    vec![Finding::ok(&format!("{name} asks from its maker's machines: https, port {HTTPS}, public addresses"))]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use url::Url;

    use super::*;
    use crate::fetch::Roots;

    #[test]
    fn another_port_than_443_is_a_warning_only_at_a_public_address() {
        for (url, address, fault) in [
            ("https://mcp.example/mcp", [93, 184, 216, 34], None),
            ("https://mcp.example:8443/mcp", [93, 184, 216, 34], Some(Fault::NonstandardPort)),
            ("https://mcp.example:8443/mcp", [10, 0, 0, 1], None),
            ("https://127.0.0.1:8443/mcp", [127, 0, 0, 1], None),
        ] {
            let mut case = Server::new(url, Url::parse(url).unwrap(), None, Roots::none());
            case.addresses = vec![Ipv4Addr::from(address).into()];
            assert_eq!(by_any(&case).fault, fault, "{url}");
        }
    }
}
