//! Fetching documents from addresses that somebody else chose, such as an issuer's keys.
//!
//! The policies only know this trait; the gateway stands behind it with its guarded client, which connects to no private
//! address, follows no redirect, and reads no more than it is told.

use std::{fmt, pin::Pin, time::Duration};

use bytes::Bytes;
use url::{Host, Url};

/// What to fetch, and how much of it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where it is.
    pub url: Url,
    /// Bytes of the body at most.
    pub max_bytes: usize,
    /// How long the whole exchange may take.
    pub patience: Duration,
}

/// A document that came with status 200.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why there is no document. Safe to show to whoever chose the address: it says nothing about what is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The address, or what it resolves to, is not one that may be asked.
    Forbidden(String),
    /// No connection, or it broke.
    Unreachable(String),
    /// It took too long.
    TimedOut,
    /// The answer is longer than allowed.
    TooLarge,
    /// An HTTP status other than 200, redirects included.
    Status(http::StatusCode),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(why) => write!(f, "the address may not be asked: {why}"),
            Self::Unreachable(why) => write!(f, "no answer: {why}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Status(status) if status.is_redirection() => {
                write!(f, "the answer is a redirect ({status}), which is not followed")
            }
            Self::Status(status) => write!(f, "the answer has status {status}"),
        }
    }
}

impl std::error::Error for FetchError {}

/// A document to come.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// Fetches with GET.
pub trait Fetch: fmt::Debug + Send + Sync {
    /// Fetches one document.
    fn fetch(&self, wanted: Wanted) -> Fetching<'_>;
}

/// Does the URL name this machine, whatever DNS says? The host is compared as a host, never as text.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
