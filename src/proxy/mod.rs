//! The end of every chain: forward one message to the upstream and stream the answer back.
//!
//! Two rules shape it. A request that may have reached the upstream is never sent again: MCP has no idempotency key. And
//! what breaks off is never shown as success: a JSON answer is held until it is whole, an event until its blank line.

mod alarm;
mod clocks;
mod deadline;
mod endpoint;
mod headers;
mod relay;

mod wire;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use portcullis_policies::kit::{
    chain::{Arrival, Inbound, Request, Response, RouteService},
    credential::{UpstreamChallenge, UpstreamCredential},
    headers::{has, values},
    message::{Kind, Message},
    refusal::{Addressee, Reason, Refusal},
    reply::{EventLimits, Reply},
};

pub use self::{
    alarm::{Quiet, QuietBody},
    clocks::Clocks,
    deadline::ConnectionTimer,
    endpoint::{Connector, Endpoint, Local, LocalAnswer, LocalServer, Trust},
    headers::SessionTag,
};
use self::{endpoint::Answered, relay::Relay};

/// What one route takes from its upstream.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits {
    /// Bytes of a JSON answer.
    pub json_bytes: usize,
    /// Bytes of one event, and of one line of it.
    pub events: EventLimits,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self { json_bytes: 8 << 20, events: EventLimits { event: 1 << 20, line: 256 << 10 } }
    }
}

/// Forwards the messages of one route to one upstream.
#[derive(Debug)]
pub struct Forward {
    endpoint: Arc<Endpoint>,
    session: SessionTag,
    clocks: Clocks,
    limits: AnswerLimits,
}

impl Forward {
    /// Forwards to `endpoint`; sessions are bound to the route of this tag.
    pub fn new(endpoint: Arc<Endpoint>, session: SessionTag, clocks: Clocks, limits: AnswerLimits) -> Self {
        Self { endpoint, session, clocks, limits }
    }

    /// As the end of a chain.
    pub fn into_service(self) -> RouteService {
        let forward = Arc::new(self);
        RouteService::from_fn(move |request| {
            let forward = Arc::clone(&forward);
            Box::pin(async move { Ok(forward.answer(&request).await) })
        })
    }

    async fn answer(&self, request: &Request) -> Response {
        let message = match request.body() {
            Inbound::Message(message) => message,
            Inbound::Refused(refusal) => {
                return refusal.clone().answer(Addressee { id: None, request_id: request_id(request) });
            }
        };
        match self.exchange(request, message).await {
            Ok(response) => response,
            Err(Failure { refusal, challenge }) => {
                tracing::debug!(reason = refusal.reason().code(), "upstream failed: {}", refusal.message());
                let mut response = refusal.answer(Addressee { id: message.id(), request_id: request_id(request) });
                if let Some(challenge) = challenge {
                    response.extensions_mut().insert(*challenge);
                }
                response
            }
        }
    }

    async fn exchange(&self, request: &Request, message: &Message) -> Result<Response, Failure> {
        let headers = headers::to_upstream(self.endpoint.template(), request, self.session)?;
        let credential = request.extensions().get::<UpstreamCredential>();
        let Answered { head: upstream, body } =
            self.endpoint.send(headers, message.bytes().clone(), credential, &self.clocks).await?;
        if let Some(challenge) = UpstreamChallenge::of(upstream.status, &upstream.headers) {
            return Err(Failure { refusal: Reason::UpstreamUnauthorized.into(), challenge: Some(Box::new(challenge)) });
        }
        judge_status(upstream.status)?;
        let kind = MediaType::of(&upstream.headers);
        let reply = match kind {
            MediaType::Events if upstream.status.is_success() => {
                let id = message.id().filter(|_| matches!(message.kind(), Kind::Request(_)));
                let request_id = request.extensions().get::<Arrival>().map(|arrival| arrival.request_id);
                let relay = Relay::new(body, self.limits.events, self.clocks, id, request_id);
                Reply::Events(Box::new(relay))
            }
            _ => {
                let whole = body.says_where_it_ends(&upstream.headers);
                let bytes = body.collect(self.limits.json_bytes, &self.clocks).await.map_err(unknown_outcome)?;
                complete(kind, bytes, whole, upstream.status, message)?
            }
        };
        let events = matches!(reply, Reply::Events(_));
        let mut response = http::Response::new(reply);
        *response.status_mut() = upstream.status;
        *response.headers_mut() = upstream.headers;
        headers::to_client(response.headers_mut(), self.session, headers::Owner::of(request), events);
        Ok(response)
    }
}

fn request_id(request: &Request) -> Option<&str> {
    request.extensions().get::<Arrival>().map(|arrival| arrival.request_id.as_str())
}

/// What the client is told instead of an answer, and what policies are told of it.
struct Failure {
    refusal: Refusal,
    /// What the upstream asks for. Its 401 does not reach the client, to whom it would speak of *our* token.
    challenge: Option<Box<UpstreamChallenge>>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, challenge: None }
    }
}

/// Statuses that must not reach the client as they are: a redirect would leave us.
fn judge_status(status: StatusCode) -> Result<(), Refusal> {
    match status {
        _ if status.is_redirection() || status.is_informational() => {
            let message = format!("The upstream answered {status}, which the gateway does not follow.");
            Err(Refusal::new(Reason::UpstreamInvalid, message)
                .with_remedy("Give the address that it redirects to as the route's `upstream.url`."))
        }
        _ => Ok(()),
    }
}

/// A complete body, if it may be shown as the answer.
fn complete(
    kind: MediaType,
    bytes: Bytes,
    whole: bool,
    status: StatusCode,
    message: &Message,
) -> Result<Reply, Refusal> {
    match kind {
        // Without a length, only the message itself says whether it is all there.
        MediaType::Json if !whole && !bytes.is_empty() && !is_json(&bytes) => {
            Err(unknown_outcome(Reason::UpstreamTruncated.into()))
        }
        MediaType::Json if is_object(&bytes) => Ok(bytes.into()),
        _ if !matches!(message.kind(), Kind::Request(_)) && status.is_success() => Ok(Reply::Empty),
        _ if status.is_success() => {
            let message = "The upstream's answer is neither JSON nor an event stream.";
            Err(unknown_outcome(Refusal::new(Reason::UpstreamInvalid, message)))
        }
        _ => Err(Refusal::new(Reason::UpstreamStatus, format!("The upstream answered {status}.")).with_status(status)),
    }
}

/// The upstream had the request and did not refuse it: the call may have had an effect, whatever came of the answer.
fn unknown_outcome(refusal: Refusal) -> Refusal {
    refusal.with_data("outcome", "unknown")
}

/// A look at both ends, which events, pages and compressed bytes under the name of JSON do not pass.
fn is_object(bytes: &[u8]) -> bool {
    let message = bytes.trim_ascii();
    message.starts_with(b"{") && message.ends_with(b"}")
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// What an upstream says its answer is; compared exactly, after parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MediaType {
    Json,
    Events,
    Other,
}

impl MediaType {
    fn of(headers: &HeaderMap) -> Self {
        let mut types = values(headers, &header::CONTENT_TYPE);
        let (Some(value), None) = (types.next(), types.next()) else { return Self::Other };
        if has(headers, &header::CONTENT_ENCODING) {
            return Self::Other;
        }
        if value == "application/json" {
            return Self::Json;
        }
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Events
        } else {
            Self::Other
        }
    }
}
