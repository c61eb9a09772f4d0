//! Which hosts are this gateway's, so that a web page cannot reach it under a name of its own (DNS rebinding).

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{HeaderMap, Uri, header};
use portcullis_policies::kit::{
    headers::values,
    refusal::{Reason, Refusal},
};

use crate::config::Gateway;

/// The hosts that requests may name, and the origins that count as our own.
#[derive(Debug)]
pub(super) struct Hosts {
    /// The one that clients are told.
    public: String,
    /// Was it said that clients come under another one?
    noticed: AtomicBool,
    /// The first one that a request named rightly: hardly any names another, and none is looked at letter by letter that
    /// names the same.
    usual: OnceLock<Box<str>>,
    /// In lower case, with a port unless it is the scheme's own.
    names: Vec<String>,
    loopback: bool,
}

impl Hosts {
    pub(super) fn new(gateway: &Gateway, listening: SocketAddr) -> Self {
        let public = gateway.public_url.as_deref().and_then(|url| url.parse::<Uri>().ok());
        let public = public.as_ref().and_then(Uri::authority).map(ToString::to_string);
        let told = public.clone().unwrap_or_else(|| listening.to_string());
        let names =
            public.into_iter().chain(gateway.allowed_hosts.iter().cloned()).map(|name| name.to_ascii_lowercase());
        Self {
            names: names.collect(),
            loopback: listening.ip().is_loopback(),
            public: told,
            noticed: AtomicBool::new(false),
            usual: OnceLock::new(),
        }
    }

    /// Exactly one `Host`, one of ours; over HTTP/2 the authority stands for it.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = values(headers, &header::HOST);
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().ok(),
            (None, None) => uri.authority().map(http::uri::Authority::as_str),
            _ => None,
        };
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return Err(Refusal::new(Reason::BadRequest, "The request must have exactly one Host header.").closing());
        };
        if uri.authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
            return Err(Refusal::new(Reason::BadRequest, "The request names two different hosts.").closing());
        }
        if self.usual.get().is_some_and(|usual| **usual == *host) {
            return Ok(());
        }
        if self.has(host) {
            self.usual.get_or_init(|| host.into());
            return Ok(());
        }
        tracing::warn!(
            host,
            "a request names a host that is not one of this gateway's: set `gateway.publicUrl`, or add it to `gateway.allowedHosts`"
        );
        Err(Refusal::from(Reason::HostNotAllowed).closing())
    }

    /// Says once in the log that clients reach routes with sign-in under another host than the one that they are told: they
    /// compare the two, and refuse to go on.
    pub(super) fn notice(&self, uri: &Uri, headers: &HeaderMap) {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let Some(host) = host.or(uri.authority().map(http::uri::Authority::as_str)) else { return };
        if host != self.public && !same(host, &self.public) && !self.noticed.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                host,
                public = self.public,
                "a client came under another host than it is told in the metadata, which most clients take for an attack: \
                 give people the public URL, or set `gateway.publicUrl` to what they type"
            );
        }
    }

    /// Is the web page that sent the request one of this gateway's own? It is if it came from the host that the request
    /// names, or from one that is configured. An address in an origin is somebody's server, and need not be this one.
    pub(super) fn is_own_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let page = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        page.is_some_and(|page| {
            host.is_some_and(|host| same(page, host)) || self.names.iter().any(|name| same(name, page))
        })
    }

    /// A name can be made to point here by whoever owns it; an address cannot. So addresses pass, and names must be
    /// known. `localhost` is nobody's, but means us only if we listen there.
    fn has(&self, host: &str) -> bool {
        if self.names.iter().any(|name| same(name, host)) {
            return true;
        }
        let name = without_port(host);
        name.parse::<IpAddr>().is_ok() || (self.loopback && name.eq_ignore_ascii_case("localhost"))
    }
}

/// The same host and port; the ports of http and https need not be said.
fn same(a: &str, b: &str) -> bool {
    let short = |host: &str| host.strip_suffix(":443").or(host.strip_suffix(":80")).unwrap_or(host).len();
    a[..short(a)].eq_ignore_ascii_case(&b[..short(b)])
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((address, port)) if port.is_empty() || is_port(port.strip_prefix(':')) => address,
            _ => "",
        };
    }
    match host.rsplit_once(':') {
        Some((name, port)) if is_port(Some(port)) => name,
        Some(_) => "",
        None => host,
    }
}

fn is_port(port: Option<&str>) -> bool {
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(public_url: Option<&str>, listening: &str) -> Hosts {
        let gateway = Gateway { public_url: public_url.map(Into::into), ..Gateway::default() };
        Hosts::new(&gateway, listening.parse().unwrap())
    }

    #[test]
    fn sec_d1_a_name_that_anybody_could_own_is_refused() {
        let local = hosts(None, "127.0.0.1:8080");
        for good in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "10.0.0.7"] {
            assert!(local.has(good), "{good}");
        }
        for bad in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil", "", "[::1", "a:b:c"]
        {
            assert!(!local.has(bad), "{bad}");
        }
    }

    #[test]
    fn the_public_url_is_ours_wherever_we_listen() {
        let public = hosts(Some("https://mcp.example.com"), "0.0.0.0:8080");
        assert!(public.has("MCP.example.com"));
        assert!(!public.has("mcp.example.com:8443"));
        assert!(!public.has("localhost"));
        assert!(public.has("mcp.example.com:443"));
        assert!(public.is_own_origin("https://mcp.example.com", None));
        for foreign in ["https://mcp.example.com.evil.example", "null", "http://203.0.113.5", "http://localhost:3000"] {
            assert!(!public.is_own_origin(foreign, Some("mcp.example.com")), "{foreign}");
        }
        assert!(public.is_own_origin("http://127.0.0.1:8080", Some("127.0.0.1:8080")));
    }
}
