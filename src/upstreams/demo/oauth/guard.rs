//! The door of the MCP endpoint: a good token, or 401 and where to get one (RFC 6750 §3, RFC 9728 §5.1).

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{ProtectedDemo, scope::Scope};
use crate::upstreams::demo::{DemoServer, reply, visitor::Visitor};

/// Answers a message of somebody who may call.
pub(super) async fn answer(
    State(demo): State<ProtectedDemo>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let shown = bearer(&headers);
    let Some(visitor) = demo.admit(shown) else {
        return demo.challenge(StatusCode::UNAUTHORIZED, shown.map(|_| "invalid_token"));
    };
    let server = DemoServer { notebook: demo.notebook(&visitor.name), visitor: Some(Arc::new(visitor)) };
    let mut request = http::Request::new(body);
    (*request.method_mut(), *request.headers_mut()) = (method, headers);
    let mut answer = server.handle(request).await;
    if answer.status() == StatusCode::FORBIDDEN {
        let challenge = demo.challenge(StatusCode::FORBIDDEN, Some("insufficient_scope"));
        let challenge = challenge.headers().get(header::WWW_AUTHENTICATE).cloned();
        challenge.and_then(|challenge| answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge));
    }
    answer
}

impl ProtectedDemo {
    fn admit(&self, token: Option<&str>) -> Option<Visitor> {
        let now = self.now();
        self.book().visitor(token, now)
    }

    /// Says no, and what to bring.
    fn challenge(&self, status: StatusCode, error: Option<&str>) -> Response<Body> {
        let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", self.origin());
        let error = error.map_or_else(String::new, |error| format!(", error=\"{error}\""));
        let scope = self.wanted(status).map_or_else(String::new, |scope| format!(", scope=\"{scope}\""));
        let words = format!("Bearer resource_metadata=\"{metadata}\"{error}{scope}");
        let mut response = reply::plain(status, "Show an access token of this server.");
        if let Ok(challenge) = HeaderValue::from_str(&words) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    /// The scope that a call would have needed, where scopes matter.
    fn wanted(&self, status: StatusCode) -> Option<Scope> {
        let write = status == StatusCode::FORBIDDEN;
        self.0.options.scopes.then_some(Scope { write })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Refuses what a web page of somebody else could send: under another name (DNS rebinding), or from another origin.
pub(super) async fn only_as_ourselves(State(demo): State<ProtectedDemo>, request: Request, next: Next) -> Response {
    if is_for(demo.origin(), request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "This server is reached by its own name, and by its own pages, only.").into_response()
}

fn is_for(origin: &str, headers: &HeaderMap) -> bool {
    let is = |name, expected: &str| headers.get(name).is_none_or(|said| said.as_bytes() == expected.as_bytes());
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    is(header::HOST, authority) && is(header::ORIGIN, origin)
}
