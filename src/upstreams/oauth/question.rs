//! Asking an upstream what it wants to see.
//!
//! Where its metadata are, and which scopes a call needs, stands in its answer to a request without a token (RFC 9728
//! §5.1). No call of a person is sent without one, so the gateway asks a question of its own.

use std::time::Duration;

use http::{
    HeaderValue, Method, Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use portcullis_policies::kit::credential::UpstreamChallenge;
use url::Url;

use super::UpstreamOAuth;
use crate::fetch::Budget;

/// Only the head of the answer is of use, and what comes without a token is not worth a wait.
const BUDGET: Budget = Budget { max_bytes: 64 << 10, patience: Duration::from_secs(5) };

/// Whoever wants to see a token wants to see it for this. `initialize` and `server/discover` are answered without by some.
///
/// First as servers of any revision with sessions read it, where a revision that nobody has agreed on may be refused before
/// the token is missed; then as those of 2026-07-28 do.
const QUESTIONS: [(Option<&str>, &str); 2] = [
    (None, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
    (
        Some("2026-07-28"),
        concat!(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"#,
            r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
            r#""io.modelcontextprotocol/clientInfo":{"name":"portcullis","version":"1"},"#,
            r#""io.modelcontextprotocol/clientCapabilities":{}}}}"#
        ),
    ),
];

impl UpstreamOAuth {
    /// What the upstream at `target` answers to whoever shows nothing. None, if it lets them in, or does not answer: then
    /// its metadata are looked for where they are by default.
    pub async fn challenge(&self, target: &Url) -> Option<UpstreamChallenge> {
        for (revision, text) in QUESTIONS {
            let answer = self.fetch.send(question(target, revision, text)?, BUDGET).await;
            let answer = answer.inspect_err(|error| tracing::debug!(%target, %error, "no challenge")).ok()?;
            let challenge = UpstreamChallenge::of(answer.status(), answer.headers());
            if challenge.is_some() {
                return challenge;
            }
        }
        None
    }
}

fn question(target: &Url, revision: Option<&'static str>, text: &'static str) -> Option<Request<&'static str>> {
    let mut request = Request::new(text);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.as_str().parse().ok()?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if let Some(revision) = revision {
        headers.insert("mcp-protocol-version", HeaderValue::from_static(revision));
        headers.insert("mcp-method", HeaderValue::from_static("tools/list"));
    }
    Some(request)
}
