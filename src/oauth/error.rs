//! What a client is told when a request to one of the JSON endpoints fails (RFC 6749 §5.2, RFC 7591 §3.2.2).

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
};
use portcullis_policies::kit::jwt::SigningError;
use serde_json::json;

use crate::store::StoreError;

/// The registered error codes that this server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    AccessDenied,
    LoginRequired,
    ConsentRequired,
    InvalidRedirectUri,
    InvalidClientMetadata,
    TemporarilyUnavailable,
    ServerError,
    SlowDown,
}

impl Code {
    /// As on the wire.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::TemporarilyUnavailable | Self::SlowDown => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::SlowDown => StatusCode::TOO_MANY_REQUESTS,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// A request that failed, with words for whoever wrote the client.
#[derive(Clone, Debug)]
pub(super) struct OAuthError {
    pub(super) code: Code,
    pub(super) description: String,
    /// The client tried HTTP Basic, so it is challenged for it (RFC 6749 §5.2).
    basic: bool,
}

impl OAuthError {
    /// `description` goes out: no internals.
    pub(super) fn new(code: Code, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), basic: false }
    }

    pub(super) fn challenging_basic(mut self) -> Self {
        self.basic = true;
        self
    }

    /// Is it nobody's fault, and over in a moment?
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self.code, Code::TemporarilyUnavailable | Code::ServerError)
    }

    /// The words, reduced to the characters that RFC 6749 §5.2 permits.
    pub(super) fn permitted_description(&self) -> String {
        let permitted = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        self.description.chars().map(|c| if permitted(c) { c } else { '\'' }).collect()
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::new(Code::TemporarilyUnavailable, "the gateway's store does not answer; try again in a moment")
    }
}

impl From<SigningError> for OAuthError {
    fn from(error: SigningError) -> Self {
        tracing::error!(%error, "an access token could not be signed");
        Self::new(Code::ServerError, "the token could not be signed; the gateway's log says why")
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.code.as_str(), "error_description": self.permitted_description() });
        let mut response = json_answer(self.code.status(), &body);
        let headers = response.headers_mut();
        if self.basic {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="Portcullis""#));
        }
        if matches!(self.code, Code::TemporarilyUnavailable | Code::SlowDown) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// A JSON answer that nobody may keep (RFC 6749 §5.1).
pub(super) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];
    (status, headers, body.to_string()).into_response()
}
