//! Which fault an answer of HTTP is that is no message of MCP.

use http::{HeaderMap, StatusCode};
use portcullis_policies::kit::headers::media_type;

use super::{
    Fault,
    guards::{fronts, guard},
};

/// Bytes of a body that are searched for words: pages say at their beginning whose they are.
const LOOKED_AT: usize = 64 << 10;

/// An answer, as far as it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    body: &'a [u8],
    is_message: bool,
}

impl<'a> Seen<'a> {
    /// An answer, of which `body` has come.
    pub fn new(status: StatusCode, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { status, headers, body: &body[..body.len().min(LOOKED_AT)], is_message: false }
    }

    /// The same, known to hold an error of MCP: nobody has answered in the server's place.
    #[must_use]
    pub fn of_mcp(self, is_message: bool) -> Self {
        Self { is_message, ..self }
    }

    /// Its body, as far as it is looked at.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Is its body of this type?
    pub fn is(&self, wanted: &str) -> bool {
        media_type(self.headers).eq_ignore_ascii_case(wanted)
    }

    /// The servers of the SDKs, and those of development, refuse a host that they do not know with words about it.
    fn speaks_of_the_host(&self) -> bool {
        let text = String::from_utf8_lossy(self.body).to_ascii_lowercase();
        ["invalid host", "host header", "host not allowed", "host is not allowed", "this host (", "host_not_allowed"]
            .iter()
            .any(|words| text.contains(words))
    }
}

impl Fault {
    /// An answer that is not what MCP servers answer: by what stands in front of the server, by its status, by its type.
    pub fn of_answer(seen: &Seen<'_>) -> Self {
        if let Some(guard) = guard(*seen).filter(|_| !seen.is_message) {
            return guard.fault;
        }
        match seen.status {
            status if status.is_redirection() => Self::Redirects,
            StatusCode::MISDIRECTED_REQUEST => Self::HostRefused,
            StatusCode::FORBIDDEN if seen.speaks_of_the_host() => Self::HostRefused,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => Self::TooManyRequests,
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Self::ProxySignIn,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::JsonRefused,
            // What serves files says so of every method that it does not know.
            StatusCode::NOT_IMPLEMENTED if !seen.is_message => Self::PostNotAllowed,
            status if status.is_server_error() => of_failure(seen),
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::PostNotAllowed,
            _ if seen.is("text/html") => Self::AnswersHtml,
            _ => Self::NotMcp,
        }
    }
}

/// Whose failure it is. A gateway of MCP answers with an error of MCP, which says more.
fn of_failure(seen: &Seen<'_>) -> Fault {
    match seen.status.as_u16() {
        _ if seen.is_message => Fault::ServerError,
        // 52x and 530 are Cloudflare's.
        504 | 522 | 524 => Fault::GatewayTimeout,
        502 | 520..=530 => Fault::BadGateway,
        503 if !fronts(*seen).is_empty() => Fault::BadGateway,
        _ => Fault::ServerError,
    }
}
