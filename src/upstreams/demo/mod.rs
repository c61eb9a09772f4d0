//! A sample MCP server inside the binary: an in-memory notebook.
//!
//! It is what a route with `"upstream": { "demo": true }` talks to, so that every policy can be tried with
//! no second process and no network. It speaks both protocol eras on one endpoint, by POST only:
//!
//! - *legacy* (2025-03-26, 2025-06-18, 2025-11-25): `initialize`, then plain requests. No session id is
//!   minted, which is legal ("a server MAY assign a session id"), so nothing is remembered between requests
//!   except the notes;
//! - *modern* (2026-07-28): each request carries its version in `_meta`; `server/discover`,
//!   `subscriptions/listen`.
//!
//! ```text
//! handle → message (JSON-RPC) → version, headers (era, agreement) → methods ─ hello
//!                                                                           ─ tools/*
//!                                                                           ─ resources, prompts, completion
//!                                                                           ─ listen
//! ```
//! Two duties of a server in the open are not done here, because the gateway in front has done them: judging
//! `Origin` and `Host`, and knowing who is calling. [`ProtectedDemo`] does both: the same server behind a sign-in of
//! its own, for trying what a gateway does about people's credentials.
//!
//! Sources: modelcontextprotocol/modelcontextprotocol `docs/specification/<revision>/` and
//! `schema/<revision>/schema.ts`. No clock is read and nothing is random: note ids are a counter. Only `oauth` needs both.

mod base64;
mod call;
mod completion;
mod events;
mod fault;
mod headers;
mod hello;
mod id;
mod listen;
mod message;
mod methods;
mod notebook;
mod oauth;
mod prompts;
mod reply;
mod resources;
mod result;
mod tools;
mod version;
mod visitor;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};

use self::{
    call::Call,
    fault::Fault,
    message::{Message, Meta, Params, RequestMessage},
    notebook::Notebook,
    version::Era,
    visitor::Visitor,
};

pub use self::oauth::{Counts, KnownClient, OAuthOptions, ProtectedDemo};

/// Larger bodies are refused with 413. The largest note is 64 KiB, so nothing honest comes close.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The sample MCP server. Cheap to clone; all clones share one notebook.
#[derive(Clone, Default)]
pub struct DemoServer {
    notebook: Notebook,
    /// Whose call it is, on a server with a sign-in of its own.
    visitor: Option<Arc<Visitor>>,
}

impl DemoServer {
    /// A server whose notebook holds the three notes it is born with.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers one HTTP request of Streamable HTTP (POST only).
    ///
    /// Dropping the returned future, or the body of the response, stops the work behind it.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        let (head, body) = request.into_parts();
        if let Some(refusal) = refuse_as_http(&head.method, &head.headers, &body) {
            return refusal;
        }
        match Message::read(&body) {
            Ok(Message::Request(request)) => self.request(&head.headers, request).await,
            Ok(other) => accept(&head.headers, &other).unwrap_or_else(|fault| reply::fault(None, &fault)),
            Err(fault) => reply::fault(None, &fault),
        }
    }

    async fn request(&self, headers: &HeaderMap, request: RequestMessage) -> Response<Body> {
        let id = request.id.clone();
        let answer = match self.judge(headers, request) {
            Ok(call) => methods::answer(call).await,
            Err(fault) => Err(fault),
        };
        answer.unwrap_or_else(|fault| reply::fault(Some(&id), &fault))
    }

    /// Which era the request opens, and whether it keeps that era's rules.
    fn judge(&self, headers: &HeaderMap, request: RequestMessage) -> Result<Call, Fault> {
        let params = Params::read(request.params.as_deref())?;
        let era = headers::era(headers, &params.meta)?;
        if era == Era::Modern {
            headers::agree(headers, &request.method, &params.fields)?;
            params.meta.require_client_capabilities()?;
        }
        let (notebook, visitor) = (self.notebook.clone(), self.visitor.clone());
        Ok(Call { era, id: request.id, method: request.method, params, notebook, visitor })
    }
}

/// What HTTP alone can refuse; such answers are plain text, because no JSON-RPC message was read.
fn refuse_as_http(method: &Method, headers: &HeaderMap, body: &Bytes) -> Option<Response<Body>> {
    if method != Method::POST {
        let mut refusal = reply::plain(StatusCode::METHOD_NOT_ALLOWED, "This endpoint takes POST only.");
        refusal.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("POST"));
        return Some(refusal);
    }
    if !headers::says_json(headers) {
        return Some(reply::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content type must be application/json."));
    }
    (body.len() > MAX_BODY_BYTES)
        .then(|| reply::plain(StatusCode::PAYLOAD_TOO_LARGE, "The body must be at most 1 MiB."))
}

/// Takes note of a message that asks for no answer: 202 without a body.
///
/// Header rules for notification posts are undefined in 2026-07-28 (`basic/transports/streamable-http.mdx`),
/// so only the version must be one that this server knows. JSON-RPC responses exist in the legacy era only.
fn accept(headers: &HeaderMap, message: &Message) -> Result<Response<Body>, Fault> {
    let era = headers::era(headers, &Meta::default())?;
    if era == Era::Modern && matches!(message, Message::Response) {
        return Err(Fault::invalid_request("a client of 2026-07-28 does not send responses"));
    }
    Ok(reply::accepted())
}
