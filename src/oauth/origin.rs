//! The one public address from which every issuer, resource and endpoint is made. It comes from the configuration; no
//! header of a request has a part in it.

use std::sync::Arc;

use portcullis_policies::kit::fetch::is_loopback;
use url::Url;

/// The gateway's public origin: scheme, host and port, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Arc<str>);

impl Origin {
    /// From `gateway.publicUrl`, or from the address that is listened on. `None` if it is no http(s) origin.
    pub fn parse(url: &str) -> Option<Self> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let bare = parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
        bare.then(|| Self(parsed.origin().ascii_serialization().into()))
    }

    /// As written in metadata, such as `https://mcp.example.com`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The issuer (RFC 8414 §2). With a path it is the issuer of that route alone: the one that clients assume which take
    /// an MCP server's address for its authorization server's.
    pub(super) fn issuer(&self, route: Option<&str>) -> String {
        self.at(route.unwrap_or_default())
    }

    /// The canonical URI of a route (RFC 8707 §2), which is what people type into their clients.
    pub fn resource(&self, route: &str) -> String {
        self.at(route)
    }

    /// The path of the route that `resource` names, if it names one of this origin. Scheme and host may be in upper
    /// case and the scheme's own port may be written out; the path is compared exactly.
    pub(super) fn route_of(&self, resource: &str) -> Option<String> {
        let url = Url::parse(resource).ok()?;
        let plain = url.fragment().is_none() && url.query().is_none();
        let plain = plain && url.username().is_empty() && url.password().is_none();
        (plain && url.origin().ascii_serialization() == self.as_str()).then(|| url.path().to_owned())
    }

    /// Where the metadata of a route as a protected resource are (RFC 9728 §3.1).
    pub(super) fn resource_metadata(&self, route: &str) -> String {
        format!("{}/.well-known/oauth-protected-resource{route}", self.0)
    }

    /// The address of one of the gateway's own paths.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Is it served over TLS?
    pub(super) fn is_secure(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Does it name this machine alone?
    pub fn is_loopback(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| is_loopback(&url))
    }
}
