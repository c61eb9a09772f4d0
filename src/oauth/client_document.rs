//! Clients that name themselves by the URL of a document (OAuth client-id metadata document).
//!
//! The host of the URL vouches for the document, so the document is fetched from there and nowhere else: no redirect, a
//! few kilobytes, and what is inside must name the URL again. What was good is kept as long as its headers say, within
//! bounds; what was bad is not kept at all.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, header::CACHE_CONTROL};
use moka::sync::Cache;
use portcullis_policies::kit::{
    clock::{Clock, Timestamp},
    fetch::{Fetch, FetchError, Wanted, is_loopback},
    headers::media_type,
};
use url::Url;

use super::client::{BadMetadata, Client, ClientMetadata, ClientOrigin};
use crate::{
    config::OAuthOptions,
    fetch::{self, HostList},
};

/// Bytes of a document at most.
const LARGEST: usize = 5_000;
/// How long a document may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a good document is kept, at least and at most.
const KEPT: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));
/// How long it is kept where its headers do not say.
const KEPT_BY_DEFAULT: Duration = Duration::from_mins(10);

/// Why a document does not make a client. Shown to the person in the browser.
#[derive(Clone, Debug)]
pub(super) enum Undocumented {
    BadUrl(&'static str),
    HostNotAllowed,
    Unfetched(FetchError),
    NotJson,
    /// The document names another client id.
    OtherId,
    Bad(String),
}

impl fmt::Display for Undocumented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl(why) => write!(f, "its id is a URL that {why}"),
            Self::HostNotAllowed => f.write_str("its host is not on this gateway's list"),
            Self::Unfetched(error) => write!(f, "its document could not be fetched: {error}"),
            Self::NotJson => f.write_str("its document is not JSON"),
            Self::OtherId => f.write_str("its document names another `client_id` than its own address"),
            Self::Bad(why) => write!(f, "its document cannot be used: {why}"),
        }
    }
}

impl Undocumented {
    /// May the same document be good in a moment?
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unfetched(FetchError::Status(status)) => status.is_server_error(),
            Self::Unfetched(error) => matches!(error, FetchError::Unreachable(_) | FetchError::TimedOut),
            _ => false,
        }
    }
}

/// Fetches documents, and keeps them for a while.
#[derive(Debug)]
pub(super) struct ClientDocuments {
    fetch: fetch::Client,
    clock: Arc<dyn Clock>,
    kept: Cache<String, (Client, Timestamp)>,
    hosts: HostList,
    schemes: Vec<String>,
    /// May documents be on this machine? Only where the gateway itself is, for development.
    loopback: bool,
}

/// Is a client id one that names a document?
pub(super) fn is_url(id: &str) -> bool {
    id.starts_with("https://") || id.starts_with("http://")
}

impl ClientDocuments {
    pub(super) fn new(options: &OAuthOptions, fetch: fetch::Client, clock: Arc<dyn Clock>, loopback: bool) -> Self {
        let hosts = &options.client_documents;
        Self {
            fetch,
            clock,
            kept: Cache::builder().max_capacity(10_000).time_to_live(KEPT.1).build(),
            hosts: HostList::new(hosts.allowed_hosts.as_deref(), &hosts.blocked_hosts),
            schemes: options.registration.redirect_schemes.clone(),
            loopback,
        }
    }

    /// The client, if its document is still good.
    pub(super) fn kept(&self, id: &str) -> Option<Client> {
        let (client, until) = self.kept.get(id)?;
        (self.clock.now() < until).then_some(client)
    }

    /// Fetches the document that `id` names.
    pub(super) async fn fetch(&self, id: &str) -> Result<Client, Undocumented> {
        let url = parse(id, self.loopback).map_err(Undocumented::BadUrl)?;
        if !self.hosts.allows(&url) {
            return Err(Undocumented::HostNotAllowed);
        }
        let wanted = Wanted { url, max_bytes: LARGEST, patience: PATIENCE };
        let fetched = self.fetch.fetch(wanted).await.map_err(Undocumented::Unfetched)?;
        if !is_json(&fetched.headers) {
            return Err(Undocumented::NotJson);
        }
        let client = self.read(id, &fetched.body)?;
        let until = self.clock.now().plus(freshness(&fetched.headers));
        self.kept.insert(id.to_owned(), (client.clone(), until));
        Ok(client)
    }

    fn read(&self, id: &str, body: &[u8]) -> Result<Client, Undocumented> {
        let document: serde_json::Value = serde_json::from_slice(body).map_err(|_| Undocumented::NotJson)?;
        if document["client_id"].as_str() != Some(id) {
            return Err(Undocumented::OtherId);
        }
        if document.get("client_secret").is_some() || document.get("client_secret_expires_at").is_some() {
            return Err(Undocumented::Bad("it has a client_secret, which everybody could read".to_owned()));
        }
        let metadata: ClientMetadata =
            serde_json::from_value(document).map_err(|error| Undocumented::Bad(error.to_string()))?;
        if metadata.token_endpoint_auth_method.is_some_and(super::client::AuthMethod::needs_secret) {
            return Err(Undocumented::Bad("it asks for a shared secret; use none or private_key_jwt".to_owned()));
        }
        if metadata.client_name.as_deref().is_none_or(|name| name.trim().is_empty()) {
            return Err(Undocumented::Bad("it has no client_name".to_owned()));
        }
        let metadata = ClientMetadata { secret_digest: None, ..metadata };
        Client::new(id.to_owned(), ClientOrigin::Document, metadata, &self.schemes).map_err(|bad| match bad {
            BadMetadata::RedirectUri(why) | BadMetadata::Other(why) => Undocumented::Bad(why),
        })
    }
}

/// The URL of a document: https with a path, spelled in the one way in which the parser would write it, so that two ids
/// never mean one document.
fn parse(id: &str, loopback: bool) -> Result<Url, &'static str> {
    let url = Url::parse(id).map_err(|_| "cannot be read")?;
    let of_this_machine = loopback && is_loopback(&url);
    if url.scheme() != "https" && !of_this_machine {
        return Err("is not https");
    }
    if url.path() == "/" || url.path().is_empty() {
        return Err("has no path");
    }
    if id.contains('#') {
        return Err("has a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() || id.contains('@') && !url.path().contains('@') {
        return Err("has user information");
    }
    if url.as_str() != id {
        return Err("is not in its normal form (dot segments, the scheme's own port, upper case, or odd characters)");
    }
    Ok(url)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = media_type(headers).to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// How long a document may be kept (RFC 9111 §5.2.2), within our bounds.
fn freshness(headers: &HeaderMap) -> Duration {
    let directives: Vec<String> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|directive| directive.trim().to_ascii_lowercase())
        .collect();
    if directives.iter().any(|directive| directive == "no-store" || directive == "no-cache") {
        return KEPT.0;
    }
    let age = directives.iter().find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok());
    age.map_or(KEPT_BY_DEFAULT, Duration::from_secs).clamp(KEPT.0, KEPT.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_60_oauth_61_as_05_a_document_has_one_address() {
        for good in ["https://app.example/client.json", "https://app.example:8443/a/b", "https://app.example/c?v=1"] {
            assert!(parse(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://app.example/client.json",
            "https://app.example",
            "https://app.example/",
            "https://app.example/c#x",
            "https://app.example/c#",
            "https://u@app.example/c",
            "https://u:p@app.example/c",
            "https://@app.example/c",
            "https://app.example:443/c",
            "https://APP.example/c",
            "HTTPS://app.example/c",
            "https://app.example/./c",
            "https://app.example/a/../c",
            "https://app.example/%2e%2e/c",
            "https://app.example/c d",
            "https:/app.example/c",
            "https://app.example\\c",
            " https://app.example/c",
            "https://app.example/c\n",
            "https://127.1/c",
            "https://2130706433/c",
            "https://app。example/c",
            "http://127.0.0.1/c",
            "http://localhost:1/c",
        ] {
            assert!(parse(bad, false).is_err(), "{bad}");
        }
        assert!(parse("http://127.0.0.1:9/c", true).is_ok());
        assert!(parse("http://app.example/c", true).is_err());
    }

    #[test]
    fn oauth_64_how_long_a_document_is_kept_is_bounded() {
        let kept = |value: &'static str| {
            freshness(&[(CACHE_CONTROL, http::HeaderValue::from_static(value))].into_iter().collect())
        };
        assert_eq!(kept("max-age=300"), Duration::from_mins(5));
        assert_eq!(kept("public, max-age=99999999"), KEPT.1);
        assert_eq!(kept("max-age=0"), KEPT.0);
        assert_eq!(kept("no-store"), KEPT.0);
        assert_eq!(kept("max-age=soon"), KEPT_BY_DEFAULT);
        assert_eq!(freshness(&HeaderMap::new()), KEPT_BY_DEFAULT);
    }
}
