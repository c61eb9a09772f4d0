//! Where HTTP becomes MCP: method, media types, size and speed of the body, and the one reading of the message.
//!
//! An [`Edge`] is a whole route as a Tower service over any request body, for the gateway and for other programs alike.

mod batch;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method as HttpMethod,
    header::{ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

pub use self::batch::InBatch;
use crate::kit::{
    chain::{Answer, Arrival, Inbound, Request, Response, RouteService},
    headers::{has, values},
    json::{FlawKind, Limits},
    message::{Disagreement, FIRST_MODERN, Kind, Message, Method, Unreadable, check_headers, speaks_modern},
    refusal::{Addressee, Reason, Refusal},
};

/// What one route takes from clients.
#[derive(Clone, Debug)]
pub struct EdgeLimits {
    /// Bytes of a request's body.
    pub request_bytes: usize,
    /// Shape of a message.
    pub message: Limits,
    /// How long a body may take before its speed is looked at.
    pub body_grace: Duration,
    /// Slowest allowed body after that, in bytes a second, on average.
    pub body_rate: u32,
    /// Methods beyond those that MCP defines.
    pub allow_methods: Vec<Box<str>>,
    /// May tools have names outside `[A-Za-z0-9_.\-/]{1,128}`?
    pub unusual_tool_names: bool,
    /// What becomes of several messages in one request.
    pub batches: Batches,
}

/// What becomes of a JSON-RPC batch: several messages in one HTTP request, which only MCP 2025-03-26 has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batches {
    /// It is refused.
    #[default]
    Refuse,
    /// Each of its messages passes the chain as a request of its own.
    Split,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            request_bytes: 1 << 20,
            message: Limits::MESSAGE,
            body_grace: Duration::from_secs(5),
            body_rate: 1 << 10,
            allow_methods: Vec::new(),
            unusual_tool_names: false,
            batches: Batches::Refuse,
        }
    }
}

/// An answer, and the message that it answers if there was one: for logs and metrics.
#[derive(Debug)]
pub struct Handled {
    /// The answer.
    pub response: Response,
    /// What was asked. None for what could not be read, and for a batch.
    pub message: Option<Message>,
}

/// A route: reads what comes and hands it to a chain.
#[derive(Clone, Debug)]
pub struct Edge {
    chain: RouteService,
    limits: Arc<EdgeLimits>,
}

impl Edge {
    /// Puts the edge in front of a chain.
    pub fn new(chain: RouteService, limits: EdgeLimits) -> Self {
        Self { chain, limits: Arc::new(limits) }
    }

    /// Answers one HTTP request. [`Arrival`] should stand in its extensions, for ids and for policies that look at the
    /// client's address.
    pub fn handle<B>(&self, request: http::Request<B>) -> impl Future<Output = Handled>
    where
        B: Body<Data = Bytes>,
    {
        // Taken apart before the future begins: an `async fn` would carry the request as well as its parts.
        let (head, body) = request.into_parts();
        async move {
            match self.read(&head.method, &head.headers, body).await {
                Ok(Posted::Message(message)) => {
                    let inbound = Inbound::Message(message.clone());
                    let response = answer(self.chain.run(Request::from_parts(head, inbound))).await;
                    Handled { response, message: Some(message) }
                }
                Ok(Posted::Batch(bytes)) => {
                    Handled { response: Box::pin(self.split(head, &bytes)).await, message: None }
                }
                Err(unread) => Handled { response: Box::pin(self.refuse(head, unread)).await, message: None },
            }
        }
    }

    /// Lets the chain see a request without a message.
    async fn refuse(&self, head: http::request::Parts, unread: Unread) -> Response {
        let Unread { refusal, id } = unread;
        match id {
            None => answer(self.chain.run(Request::from_parts(head, Inbound::Refused(refusal)))).await,
            // The id of a message that was understood well enough to have one.
            Some(id) => self.refuse_with_id(head, refusal, &id).await,
        }
    }

    /// The chain still sees the request, without a message, and may answer otherwise (401, CORS); if it has nothing to
    /// say against it, the refusal that comes back carries the caller's id.
    async fn refuse_with_id(&self, head: http::request::Parts, refusal: Refusal, id: &str) -> Response {
        let request_id = head.extensions.get::<Arrival>().map(|arrival| arrival.request_id);
        let reason = refusal.reason();
        let addressee = Addressee { id: Some(id), request_id: request_id.as_ref() };
        let body = refusal.body(addressee);
        let mut response = answer(self.chain.run(Request::from_parts(head, Inbound::Refused(refusal)))).await;
        if response.extensions().get() == Some(&reason) {
            *response.body_mut() = body.into();
        }
        response
    }

    async fn read<B>(&self, method: &HttpMethod, headers: &HeaderMap, body: B) -> Result<Posted, Unread>
    where
        B: Body<Data = Bytes>,
    {
        check_http(method, headers)?;
        let bytes = self.collect(headers, body).await?;
        if self.limits.batches == Batches::Split && batch::is_batch(&bytes) {
            return Ok(Posted::Batch(bytes));
        }
        self.read_message(bytes, headers).map(Posted::Message)
    }

    fn read_message(&self, bytes: Bytes, headers: &HeaderMap) -> Result<Message, Unread> {
        let message = Message::read(bytes, &self.limits.message)?;
        match self.judge(&message, headers) {
            Ok(()) => Ok(message),
            Err(refusal) => {
                let refusal = refusal.in_era(speaks_modern(&message, headers));
                Err(Unread { refusal, id: message.id().map(Into::into) })
            }
        }
    }

    /// What the message must be on any route, whatever its policies.
    fn judge(&self, message: &Message, headers: &HeaderMap) -> Result<(), Refusal> {
        let missing = |key: &str| {
            let why = format!("`params._meta` must have `io.modelcontextprotocol/{key}` in this revision");
            Refusal::new(Reason::InvalidParams, why)
        };
        check_headers(message, headers).map_err(|disagreement| match disagreement {
            Disagreement::Header(what) => Refusal::new(Reason::HeaderMismatch, what),
            Disagreement::MissingMeta => missing("protocolVersion"),
        })?;
        let Kind::Request(method) = message.kind() else { return Ok(()) };
        // Of revisions after it nothing is known here.
        if message.version() == Some(FIRST_MODERN) {
            if method.is_of_sessions() {
                let why = format!("MCP {FIRST_MODERN} has no `{method}`.");
                return Err(Refusal::new(Reason::UnknownMethod, why).with_remedy("Use what has taken its place."));
            }
            if !message.declares_capabilities() {
                return Err(missing("clientCapabilities"));
            }
        }
        if let Method::Unknown(name) = method
            && !self.limits.allow_methods.iter().any(|allowed| allowed == name)
        {
            return Err(Reason::UnknownMethod.into());
        }
        match message.tool() {
            Some(name) if !self.limits.unusual_tool_names && !is_usual_name(name) => {
                Err(Refusal::from(Reason::UnusualName))
            }
            _ => Ok(()),
        }
    }

    /// Reads the whole body, within its limits of size and time.
    async fn collect<B>(&self, headers: &HeaderMap, body: B) -> Result<Bytes, Unread>
    where
        B: Body<Data = Bytes>,
    {
        let limit = self.limits.request_bytes;
        let announced =
            values(headers, &CONTENT_LENGTH).next().and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large(limit).into());
        }
        let mut body = pin!(body);
        let mut collected = Collected::default();
        let mut clock = BodyClock::new(&self.limits);
        let mut sleep = pin!(None);
        poll_fn(|context| {
            loop {
                match body.as_mut().poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            collected.push(data, announced);
                        }
                        if collected.len() > limit {
                            return Poll::Ready(Err(too_large(limit).into()));
                        }
                        if body.is_end_stream() {
                            return Poll::Ready(Ok(collected.take()));
                        }
                    }
                    Poll::Ready(Some(Err(_))) => {
                        return Poll::Ready(Err(Refusal::new(Reason::BadRequest, "The body broke off.")
                            .closing()
                            .into()));
                    }
                    Poll::Ready(None) => return Poll::Ready(Ok(collected.take())),
                    Poll::Pending => return clock.poll(sleep.as_mut(), collected.len(), context).map(Err),
                }
            }
        })
        .await
    }
}

/// For the routers of other programs, which should put an [`Arrival`] into the request's extensions. A program that also
/// wants to know which message was answered calls [`Edge::handle`].
impl<B> Service<http::Request<B>> for Edge
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        let edge = self.clone();
        Box::pin(async move { Ok(edge.handle(request).await.response) })
    }
}

/// A body that has come, usually in one piece: then it is not copied.
#[derive(Default)]
struct Collected {
    first: Bytes,
    rest: BytesMut,
}

impl Collected {
    fn push(&mut self, data: Bytes, announced: Option<usize>) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            self.rest.reserve(announced.unwrap_or(2 * (self.first.len() + data.len())));
            self.rest.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.rest.extend_from_slice(&data);
    }

    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn take(&mut self) -> Bytes {
        if self.rest.is_empty() { std::mem::take(&mut self.first) } else { self.rest.split().freeze() }
    }
}

/// Cuts off bodies that trickle. No timer exists until a body keeps us waiting.
struct BodyClock {
    grace: Duration,
    rate: u32,
    started: Option<Instant>,
    /// How much had come, and when.
    last: (usize, Option<Instant>),
}

impl BodyClock {
    fn new(limits: &EdgeLimits) -> Self {
        Self { grace: limits.body_grace, rate: limits.body_rate.max(1), started: None, last: (0, None) }
    }

    fn poll(&mut self, mut sleep: Pin<&mut Option<Sleep>>, received: usize, context: &mut Context<'_>) -> Poll<Unread> {
        let started = *self.started.get_or_insert_with(Instant::now);
        let earned = Duration::from_secs(received as u64) / self.rate;
        if self.last.0 != received || self.last.1.is_none() {
            self.last = (received, Some(Instant::now()));
        }
        // What has come buys time for more, but not for silence.
        let heard = self.last.1.unwrap_or(started);
        let deadline = (started + self.grace + earned).min(heard + self.grace);
        if sleep.is_none() {
            sleep.set(Some(sleep_until(deadline)));
        }
        while let Some(timer) = sleep.as_mut().as_pin_mut() {
            if timer.poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(Refusal::from(Reason::BodyTooSlow).closing().into());
            }
            sleep.set(Some(sleep_until(deadline)));
        }
        Poll::Pending
    }
}

/// What a client has posted.
enum Posted {
    Message(Message),
    /// Several, in an array that nobody has looked into.
    Batch(Bytes),
}

/// Why there is no message, and whom the answer is for.
struct Unread {
    refusal: Refusal,
    id: Option<Box<str>>,
}

impl From<Refusal> for Unread {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, id: None }
    }
}

impl From<Unreadable> for Unread {
    fn from(unreadable: Unreadable) -> Self {
        let (reason, message) = match unreadable {
            Unreadable::Batch => return Refusal::from(Reason::BatchNotSupported).into(),
            Unreadable::NotAMessage(why) => (Reason::NotAMessage, why.into()),
            Unreadable::Params(why, id) => {
                let id = (!id.is_empty()).then_some(id);
                // The envelope is sound: the call fails, not the HTTP request.
                return Self {
                    refusal: Refusal::new(Reason::InvalidParams, why).with_status(http::StatusCode::OK),
                    id,
                };
            }
            Unreadable::Flaw(flaw) => {
                let reason = match &flaw.kind {
                    FlawKind::Syntax(_) | FlawKind::NotUtf8 => Reason::MalformedJson,
                    kind if kind.is_ambiguous() => Reason::AmbiguousJson,
                    _ => Reason::MessageTooComplex,
                };
                (reason, flaw.to_string())
            }
        };
        Refusal::new(reason, message).into()
    }
}

async fn answer(answer: Answer) -> Response {
    match answer.await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn check_http(method: &HttpMethod, headers: &HeaderMap) -> Result<(), Refusal> {
    if method != HttpMethod::POST {
        let refusal = Refusal::from(Reason::MethodNotAllowed).closing();
        return Err(refusal.with_header(ALLOW, HeaderValue::from_static("POST")));
    }
    if !is_json(headers) {
        return Err(Refusal::from(Reason::UnsupportedMediaType).closing());
    }
    if has(headers, &CONTENT_ENCODING) {
        return Err(Refusal::from(Reason::EncodedBody).closing());
    }
    if !accepts_both(headers) {
        return Err(Refusal::from(Reason::NotAcceptable).closing());
    }
    Ok(())
}

/// Exactly one `Content-Type`, exactly JSON, and if it names a charset, UTF-8 (RFC 8259 §8.1).
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = values(headers, &CONTENT_TYPE);
    let (Some(value), None) = (types.next(), types.next()) else { return false };
    if value == "application/json" {
        return true;
    }
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    json && parts.all(|parameter| {
        let charset = parameter.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        charset.is_none_or(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"))
    })
}

/// A client that takes only one of the two kinds of answers would be at the mercy of the upstream's choice.
fn accepts_both(headers: &HeaderMap) -> bool {
    let mut any = false;
    let (mut json, mut events) = (false, false);
    for value in values(headers, &ACCEPT) {
        if value == "application/json, text/event-stream" {
            return true;
        }
        any = true;
        for range in value.as_bytes().split(|byte| *byte == b',') {
            let range = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            let is = |kind: &str| range.eq_ignore_ascii_case(kind.as_bytes());
            json |= is("application/json") || is("application/*") || is("*/*");
            events |= is("text/event-stream") || is("text/*") || is("*/*");
        }
    }
    !any || (json && events)
}

fn is_usual_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/'))
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(Reason::BodyTooLarge, format!("The request's body is longer than {limit} bytes.")).closing()
}
