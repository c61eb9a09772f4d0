//! Where documents are, and which addresses are good enough.

use portcullis_policies::kit::fetch::is_loopback;
use url::Url;

/// Where the metadata of a resource may be (RFC 9728 §3.1): at its path, then at the root.
pub(crate) fn of_resource(target: &Url) -> Vec<Url> {
    let path = target.path().trim_end_matches('/');
    let mut places = vec![at(target, &format!("{RESOURCE}{path}"))];
    if !path.is_empty() {
        places.push(at(target, RESOURCE));
    }
    places
}

/// The resource that metadata at this place are of, by the place alone. None for a place that is not well-known.
pub(super) fn resource_at(place: &Url) -> Option<Url> {
    let path = place.path().strip_prefix(RESOURCE)?;
    (path.is_empty() || path.starts_with('/')).then(|| at(place, path))
}

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// Where the metadata of an authorization server may be (RFC 8414 §3.1, OpenID Connect Discovery §4), in the order of
/// MCP.
pub(crate) fn of_server(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut places = vec![at(issuer, &format!("{SERVER}{path}")), at(issuer, &format!("{OPENID}{path}"))];
    if !path.is_empty() {
        places.push(at(issuer, &format!("{path}{OPENID}")));
    }
    places
}

/// An address on the same origin.
pub(super) fn at(origin: &Url, path: &str) -> Url {
    let mut url = origin.clone();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Is it an address that secrets may be sent to and browsers opened at: https, or http on this machine where the
/// upstream itself is on it (`near`), and nothing that makes two readers see two hosts?
pub(crate) fn is_secure(url: &Url, near: &Url) -> bool {
    let scheme = match url.scheme() {
        "https" => true,
        "http" => is_loopback(url) && is_loopback(near),
        _ => false,
    };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    scheme && bare && url.has_host()
}

/// Are both the same resource, or does `resource` hold `target`: the same origin, and a path that `target`'s goes on
/// from?
pub(crate) fn covers(resource: &Url, target: &Url) -> bool {
    let (whole, part) = (resource.path().trim_end_matches('/'), target.path().trim_end_matches('/'));
    let below = part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let query = resource.query().is_none_or(|query| Some(query) == target.query());
    resource.origin() == target.origin() && resource.fragment().is_none() && below && query
}

/// Is it the same resource but for how it is written: case of scheme and host, a default port, a slash at the end?
pub(crate) fn is_same(resource: &Url, target: &Url) -> bool {
    covers(resource, target) && covers(target, resource)
}

/// The resource as its own servers know it: without fragment, and without the slash that every URL without a path gets.
pub(crate) fn canonical(target: &Url) -> String {
    let mut url = target.clone();
    url.set_fragment(None);
    let text = url.to_string();
    if url.path() == "/" && url.query().is_none() { text.trim_end_matches('/').to_owned() } else { text }
}
