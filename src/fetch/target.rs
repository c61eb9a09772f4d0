//! What a URL asks for, read once.

use std::net::IpAddr;

use http::{HeaderValue, Uri};
use portcullis_policies::kit::fetch::FetchError;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use url::{Host, Position, Url};

/// A URL that may be asked, as far as that can be said before its host is resolved. Everything about a request comes from
/// here, so that no second reading of the URL can mean another host.
#[derive(Debug)]
pub(super) struct Target {
    url: Url,
    pub(super) host: Host<String>,
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl Target {
    /// Reads a URL: https, or http if `plain`; no user name, no fragment.
    pub(super) fn new(url: Url, plain: bool) -> Result<Self, FetchError> {
        let forbidden = |why: &str| Err(FetchError::Forbidden(why.to_owned()));
        let tls = url.scheme() == "https";
        let secure_enough = tls || (plain && url.scheme() == "http");
        if !secure_enough {
            return forbidden("it is not https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return forbidden("it carries a user name or password; remove it");
        }
        if url.fragment().is_some() {
            return forbidden("it has a fragment (`#`), which is never sent; remove it");
        }
        match (url.host().map(|host| host.to_owned()), url.port_or_known_default()) {
            (Some(host), Some(port)) => Ok(Self { url, host, port, tls }),
            _ => forbidden("it has no host"),
        }
    }

    /// The host's address, where the URL says it.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// Path and query, as the request line has them (RFC 9112 §3.2.1).
    pub(super) fn path(&self) -> Result<Uri, FetchError> {
        let path = &self.url[Position::BeforePath..Position::AfterQuery];
        path.parse().map_err(|_| FetchError::Forbidden("its path cannot be written in a request".to_owned()))
    }

    /// The `Host` header: host, and port where it is not the scheme's own.
    pub(super) fn authority(&self) -> Result<HeaderValue, FetchError> {
        let authority = &self.url[Position::BeforeHost..Position::AfterPort];
        HeaderValue::from_str(authority).map_err(|_| FetchError::Forbidden("its host cannot be written".to_owned()))
    }

    /// Whom the certificate must name.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, FetchError> {
        server_name(&self.host)
            .map_err(|_| FetchError::Forbidden(format!("{} is not a name that a certificate could have", self.host)))
    }
}

/// Whom the certificate of a host must name.
pub(crate) fn server_name(host: &Host<impl AsRef<str>>) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.as_ref().to_owned()),
        Host::Ipv4(address) => Ok(IpAddr::from(*address).into()),
        Host::Ipv6(address) => Ok(IpAddr::from(*address).into()),
    }
}
