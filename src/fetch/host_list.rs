//! Lists of hosts, compared as hosts and never as text.

use std::{fmt, str::FromStr};

use url::{Host, Url};

/// One host, or all below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Exactly this host.
    Exactly(Host),
    /// Every host below this one, and not itself. Holds the name with its leading dot.
    Below(String),
}

/// A text that is neither a host nor a host behind a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoHost(String);

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a host; write \"clients.example.com\", or \".example.com\" for all below it", self.0)
    }
}

impl std::error::Error for NoHost {}

impl FromStr for HostPattern {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let no_host = || NoHost(text.to_owned());
        let (below, name) = text.strip_prefix('.').map_or((false, text), |name| (true, name));
        match Host::parse(name).map_err(|_| no_host())? {
            Host::Domain(name) if name.starts_with('.') || name.ends_with('.') || name.contains('*') => Err(no_host()),
            Host::Domain(name) if below => Ok(Self::Below(format!(".{name}"))),
            _ if below => Err(no_host()),
            host => Ok(Self::Exactly(host)),
        }
    }
}

impl HostPattern {
    fn matches(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Exactly(Host::Domain(own)), Host::Domain(name)) => own == name,
            (Self::Exactly(Host::Ipv4(own)), Host::Ipv4(address)) => own == address,
            (Self::Exactly(Host::Ipv6(own)), Host::Ipv6(address)) => own == address,
            (Self::Below(dotted), Host::Domain(name)) => name.len() > dotted.len() && name.ends_with(dotted.as_str()),
            _ => false,
        }
    }
}

/// Hosts that are allowed, less those that are blocked.
#[derive(Clone, Debug)]
pub struct HostList {
    /// None: all.
    allowed: Option<Vec<HostPattern>>,
    blocked: Vec<HostPattern>,
    /// Something that should be blocked is not known, so nothing is allowed.
    closed: bool,
}

impl HostList {
    /// Reads both lists. A text that is no host allows nothing among `allowed`, and closes the whole list among `blocked`;
    /// [`HostPattern::from_str`] says so before.
    pub fn new(allowed: Option<&[String]>, blocked: &[String]) -> Self {
        let read = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect::<Vec<HostPattern>>();
        let known = read(blocked);
        Self { allowed: allowed.map(read), closed: known.len() < blocked.len(), blocked: known }
    }

    /// May this URL's host be used? A name with a dot at its end may not: it is another spelling of one without.
    pub fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        let any = |patterns: &[HostPattern]| patterns.iter().any(|pattern| pattern.matches(&host));
        let dotted = matches!(host, Host::Domain(name) if name.ends_with('.'));
        let listed = self.allowed.as_deref().is_none_or(any);
        !self.closed && !dotted && listed && !any(&self.blocked)
    }
}
