//! The errors of OAuth (RFC 6749 §5.2, RFC 7591 §3.2.2, RFC 8707 §2).

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// Why a client gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) words: &'static str,
}

impl Denied {
    const fn new(code: &'static str, words: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, words }
    }

    pub(super) const fn request(words: &'static str) -> Self {
        Self::new("invalid_request", words)
    }

    pub(super) const fn grant(words: &'static str) -> Self {
        Self::new("invalid_grant", words)
    }

    pub(super) const fn client(words: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, ..Self::new("invalid_client", words) }
    }

    pub(super) const fn unauthorized_client(words: &'static str) -> Self {
        Self::new("unauthorized_client", words)
    }

    pub(super) const fn grant_type() -> Self {
        Self::new("unsupported_grant_type", "grant_type must be one that the metadata name")
    }

    pub(super) const fn response_type() -> Self {
        Self::new("unsupported_response_type", "response_type must be code")
    }

    pub(super) const fn target() -> Self {
        Self::new("invalid_target", "resource must be the address of the MCP endpoint")
    }

    pub(super) const fn redirect_uri(words: &'static str) -> Self {
        Self::new("invalid_redirect_uri", words)
    }

    pub(super) const fn metadata(words: &'static str) -> Self {
        Self::new("invalid_client_metadata", words)
    }

    /// A bound of this server is reached.
    pub(super) const fn busy(words: &'static str) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, ..Self::new("temporarily_unavailable", words) }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let told = Json(json!({ "error": self.code, "error_description": self.words }));
        let mut response = (self.status, [(header::CACHE_CONTROL, "no-store")], told).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        }
        response
    }
}
