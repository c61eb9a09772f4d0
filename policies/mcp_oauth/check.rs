//! What people get wrong when they describe a provider, each with the value that they probably meant.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::kit::{fetch::is_loopback, policy::Problem};

/// Where discovery documents are (OpenID Connect Discovery §4).
pub(super) const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The gateway as a client of the provider.
pub(super) struct Registration<'a> {
    pub(super) client_id: &'a str,
    pub(super) client_secret: &'a SecretString,
    pub(super) scope: &'a str,
}

impl Registration<'_> {
    pub(super) fn check(&self, at: &str, problems: &mut Vec<Problem>) {
        let mut blank = |key: &str, value: &str| {
            if value.trim().is_empty() {
                let problem = Problem::new(format!("{at}/{key}"), format!("`{key}` is empty"));
                problems.push(problem.hint("copy it from the application that you registered at the provider"));
            }
        };
        blank("clientId", self.client_id);
        blank("clientSecret", self.client_secret.expose_secret());
        if !self.scope.split(' ').any(|scope| scope == "openid") {
            let problem = Problem::new(format!("{at}/scope"), "without `openid` the provider gives no ID token");
            problems.push(problem.hint(format!("write {:?}", format!("openid {}", self.scope).trim_end())));
        }
    }
}

/// An https URL, or an http one on this machine.
pub(super) fn url(at: &str, value: &str) -> Result<Url, Problem> {
    let problem = |why: &str| Problem::new(at, format!("{value:?} {why}"));
    let url = match Url::parse(value) {
        Ok(url) if url.has_host() => url,
        _ if bare(value).is_some() => return Err(problem("is not a URL").hint(format!("write \"https://{value}\""))),
        _ => return Err(problem("is not a URL").hint("write it whole, such as \"https://login.example.com\"")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::new(at, "the URL carries a user name or password").hint("remove it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("has a query or a fragment").hint("leave out what begins with `?` or `#`"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(problem("is not encrypted").hint(format!("write \"https{}\"", &value["http".len()..]))),
        _ => Err(problem("is not an https URL").hint("write it with https://")),
    }
}

/// A URL that is an origin, given back without a slash at its end. `corrected` knows what else people write there.
pub(super) fn origin<'a>(at: &str, value: &'a str) -> Result<&'a str, Problem> {
    let url = url(at, value)?;
    if url.path() == "/" {
        return Ok(value.trim_end_matches('/'));
    }
    let origin = url.origin().ascii_serialization();
    Err(Problem::new(at, format!("{value:?} has a path")).hint(format!("write {origin:?}")))
}

/// A host by itself, with at least one dot and no scheme, port or path.
pub(super) fn host<'a>(at: &str, value: &'a str, example: &str) -> Result<&'a str, Problem> {
    if bare(value).is_some() {
        return Ok(value);
    }
    let rest = value.trim().split_once("://").map_or(value.trim(), |(_, rest)| rest);
    let corrected = rest.split(['/', '?', '#', ':']).next().unwrap_or_default().to_ascii_lowercase();
    let why = match value {
        _ if value.contains("://") => "has a scheme, and must be a host by itself",
        _ if value.contains(['/', '?', '#', ':']) => "has more in it than a host",
        _ => "is not a host",
    };
    let problem = Problem::new(at, format!("{value:?} {why}"));
    Err(match bare(&corrected) {
        Some(host) => problem.hint(format!("write {host:?}")),
        None => problem.hint(format!("write it like {example:?}")),
    })
}

fn bare(value: &str) -> Option<&str> {
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && is_word(label);
    (value.contains('.') && value.len() <= 253 && value.split('.').all(label)).then_some(value)
}

/// Letters, digits and hyphens.
pub(super) fn is_word(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A UUID, in lower case as issuers write it.
pub(super) fn uuid(at: &str, value: &str, remedy: &str) -> Result<String, Problem> {
    let groups: Vec<_> = value.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    if lengths == [8, 4, 4, 4, 12] && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(value.to_ascii_lowercase());
    }
    let found = value.trim_matches(['{', '}', ' ']);
    let problem = Problem::new(at, format!("{value:?} is not a UUID"));
    Err(if found != value && uuid(at, found, remedy).is_ok() {
        problem.hint(format!("write {found:?}"))
    } else {
        problem.hint(remedy)
    })
}

/// All of several checks, or the problems of all.
pub(super) fn all<const N: usize>(checks: [Option<Problem>; N]) -> Result<(), Vec<Problem>> {
    let problems: Vec<_> = checks.into_iter().flatten().collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
