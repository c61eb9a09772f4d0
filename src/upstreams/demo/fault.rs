//! The one way to say no to a JSON-RPC request.
//!
//! Codes: 2026-07-28 `schema.ts`, "MCP error codes"; `-32002` is the legacy "resource not found" that
//! 2026-07-28 replaced by `-32602`.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Value, json};

use super::version::{self, Era};

/// How much of a name that the client chose is repeated in an error.
const MAX_ECHOED_CHARS: usize = 100;

/// A JSON-RPC error and the HTTP status that it travels under.
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) code: i32,
    pub(super) message: Cow<'static, str>,
    pub(super) data: Option<Value>,
}

impl Fault {
    fn new(status: StatusCode, code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), data: None }
    }

    fn with_data(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }

    /// The body is not JSON.
    pub(super) fn parse_error() -> Self {
        Self::new(StatusCode::BAD_REQUEST, -32700, "Parse error: the body is not valid JSON")
    }

    /// JSON, but not one JSON-RPC 2.0 message.
    pub(super) fn invalid_request(why: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, -32600, format!("Invalid request: {why}"))
    }

    /// The method exists, what it was given does not fit. Travels under 200, like any answer of a method.
    pub(super) fn invalid_params(why: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::OK, -32602, format!("Invalid params: {why}"))
    }

    /// The part of the params that the protocol itself requires is missing or misshapen.
    pub(super) fn malformed_params(why: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, ..Self::invalid_params(why) }
    }

    /// A method that this era does not have; 404 in the modern era (`streamable-http.mdx`, "Protocol
    /// Version Header"), an ordinary answer before.
    pub(super) fn unknown_method(era: Era, method: &str) -> Self {
        let status = match era {
            Era::Modern => StatusCode::NOT_FOUND,
            Era::Legacy => StatusCode::OK,
        };
        Self::new(status, -32601, format!("Method not found: {}", clip(method)))
    }

    /// The code for this changed with the era; the URI stays in `data`.
    pub(super) fn no_such_resource(era: Era, uri: &str) -> Self {
        let code = match era {
            Era::Modern => -32602,
            Era::Legacy => -32002,
        };
        Self::new(StatusCode::OK, code, "Resource not found").with_data(json!({ "uri": clip(uri) }))
    }

    /// Headers and body do not say the same (2026-07-28, "Server Validation").
    pub(super) fn header_mismatch(why: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, -32020, format!("Header mismatch: {why}"))
    }

    /// A version that this server does not implement.
    pub(super) fn unsupported_version(requested: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, -32022, "Unsupported protocol version")
            .with_data(json!({ "supported": version::SUPPORTED, "requested": clip(requested) }))
    }

    /// The access token does not let its holder change anything. `oauth` adds the challenge.
    pub(super) fn insufficient_scope() -> Self {
        Self::new(StatusCode::FORBIDDEN, -32600, "The access token does not let you change notes")
    }

    /// A bound of this server is reached; later it may work.
    pub(super) fn busy(why: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, -32603, why)
    }
}

/// The beginning of a text that somebody else chose, short enough to repeat in an error.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(MAX_ECHOED_CHARS).collect()
}
