//! What signing in demands of the gateway's own address.

use std::net::SocketAddr;

use portcullis_policies::kit::{fetch, policy::Problem, sign_in::Provider};
use url::Url;

use crate::config::{Checked, Gateway, Link};

/// What is wrong with the gateway's address for the policies that sign people in on its routes.
pub(super) fn sign_in_problems(checked: &Checked) -> Vec<Problem> {
    let links = checked.routes.iter().flat_map(|route| checked.links(route).map(|(_, link)| link));
    let signing: Vec<_> = links.filter_map(|link| Some((link, link.sign_in()?))).collect();
    let without_password = signing.iter().filter(|(_, sign_in)| matches!(sign_in.provider, Provider::Dev));
    let mut problems: Vec<_> =
        without_password.filter_map(|(link, _)| reachable_without_password(link, &checked.gateway)).collect();
    let with_provider = signing.iter().find(|(_, sign_in)| !matches!(sign_in.provider, Provider::Dev));
    problems.extend(with_provider.and_then(|(link, _)| no_one_address(link, &checked.gateway)));
    problems
}

fn reachable_without_password(link: &Link, gateway: &Gateway) -> Option<Problem> {
    let listen = &gateway.listen;
    let reached = match &gateway.public_url {
        Some(url) if !is_loopback(url) => format!("`publicUrl` is {url:?}"),
        _ if !listens_on_loopback(gateway) => format!("the gateway listens on {listen:?}"),
        _ => return None,
    };
    let name = &link.name;
    let why = format!("`{name}` asks for no password, and {reached}, which others can reach");
    let hint = format!(
        "listen on \"127.0.0.1:8080\" under a `publicUrl` of this machine, or put an identity provider in the place of `{name}`"
    );
    Some(Problem::new(link.at.clone(), why).hint(hint))
}

/// Whatever clients are told (issuer, metadata, the audience of tokens) begins with one address, which is never taken
/// from a request.
fn no_one_address(link: &Link, gateway: &Gateway) -> Option<Problem> {
    if gateway.public_url.is_some() || listens_on_loopback(gateway) {
        return None;
    }
    let why = format!(
        "`{}` signs people in, and nothing says under which address clients reach {:?}: they must be told one",
        link.name, gateway.listen
    );
    Some(Problem::new("/gateway/listen", why).hint("add \"publicUrl\": \"https://…\", what clients type"))
}

/// What is no address has been reported by the check of the gateway.
fn listens_on_loopback(gateway: &Gateway) -> bool {
    gateway.listen.parse::<SocketAddr>().ok().is_none_or(|address| address.ip().is_loopback())
}

fn is_loopback(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| fetch::is_loopback(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_a20_only_hosts_of_this_machine_are_loopback() {
        let own =
            ["http://localhost", "http://LOCALHOST:1", "https://127.0.0.1:8443", "http://127.9.9.9", "http://[::1]:1"];
        for url in own {
            assert!(is_loopback(url), "{url}");
        }
        let others = [
            "http://localhost.evil.example",
            "http://localhost.",
            "http://localhost.localdomain",
            "http://xlocalhost",
            "http://localhost-evil.example",
            "http://127.0.0.1.evil.example",
            "http://127-0-0-1.nip.io",
            "http://0.0.0.0",
            "http://127.0.0.1@evil.example",
            "http://evil.example/127.0.0.1",
            "http://evil.example#localhost",
            "http://evil.example?localhost",
            "http://128.0.0.1",
            "http://[::]",
            "http://[::2]",
            "http://[::ffff:10.0.0.1]",
            "http://10.0.0.1",
            "http://192.168.0.1",
            "http://169.254.169.254",
            "http://evil.localhost.example",
            "http://localhos",
            "http://l\u{43e}calhost",
            "localhost",
            "127.0.0.1",
            "",
        ];
        assert_eq!(others.len(), 25);
        for url in others {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
