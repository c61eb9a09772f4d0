//! A test bench: one policy between a scripted client and a scripted upstream, and nothing else.
//!
//! A policy on the bench sees only what the test gives it: a message, an [`Arrival`], and the facts and headers that
//! the test adds.
//!
//! ```
//! use portcullis_policies::{kit::bench::Bench, request_size_limit::RequestSizeLimit};
//! use serde_json::json;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let bench = Bench::of::<RequestSizeLimit>(&json!({ "maxSizeInBytes": 150 }));
//!
//! let short = bench.call("tools/call", json!({ "name": "echo" })).send().await;
//! assert!(short.got_through());
//!
//! let long = bench.call("tools/call", json!({ "name": "echo", "arguments": { "text": "-".repeat(150) } })).send().await;
//! assert_eq!(long.reason(), Some("body_too_large"));
//! assert!(!long.got_through());
//! # });
//! ```

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{Sleep, sleep};
use tower::Layer;

#[cfg(test)]
use crate::kit::credential::{AuthMode, Connectable, UpstreamAuth};
use crate::kit::{
    chain::{Arrival, Inbound, Request, RequestId, Response, RouteLayer, RouteService, UpstreamHeaders},
    host::Host,
    json::Limits,
    message::{Kind, Message},
    policy::{Policy, PolicyKind},
    refusal::{Addressee, Reason, Refusal},
    reply::{Event, EventSource, Reply},
};

/// What the upstream does with a message.
type Script = Arc<dyn Fn(&Message) -> Response + Send + Sync>;

/// One policy, set up, in front of a scripted upstream.
#[derive(Debug)]
pub struct Bench {
    layer: RouteLayer,
    chain: RouteService,
}

impl Bench {
    /// A policy with its options as `routes.json` would have them. The upstream answers each request with the result
    /// `{}` until [`Bench::upstream`] says otherwise.
    ///
    /// # Panics
    ///
    /// If the policy refuses the options.
    pub fn of<P: Policy>(options: &Value) -> Self {
        match PolicyKind::of::<P>().layer(options, &Host::default()) {
            Ok(layer) => Self::with(layer),
            Err(problems) => panic!("{} does not take these options: {problems:#?}", P::NAME),
        }
    }

    /// Any layer, or several as one ([`stack`](crate::kit::chain::stack)).
    pub fn with(layer: RouteLayer) -> Self {
        let chain = layer.layer(end(Duration::ZERO, Arc::new(|message: &Message| result(message, &json!({})))));
        Self { layer, chain }
    }

    /// What the upstream does with each message.
    #[must_use]
    pub fn upstream(self, script: impl Fn(&Message) -> Response + Send + Sync + 'static) -> Self {
        self.slow_upstream(Duration::ZERO, script)
    }

    /// An upstream that takes its time before it answers.
    #[must_use]
    pub fn slow_upstream(self, takes: Duration, script: impl Fn(&Message) -> Response + Send + Sync + 'static) -> Self {
        let chain = self.layer.layer(end(takes, Arc::new(script)));
        Self { chain, ..self }
    }

    /// A request with the id 1.
    ///
    /// # Panics
    ///
    /// If that is no message which the gateway would read.
    pub fn call(&self, method: &str, params: impl Into<Value>) -> Call<'_> {
        let params: Value = params.into();
        self.post(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())
    }

    /// Any message, as JSON text.
    ///
    /// # Panics
    ///
    /// If that is no message which the gateway would read.
    pub fn post(&self, message: impl Into<Bytes>) -> Call<'_> {
        let message: Bytes = message.into();
        match Message::read(message.clone(), &Limits::MESSAGE) {
            Ok(message) => Call::new(self, Inbound::Message(message)),
            Err(why) => panic!("not a message: {why:?} in {}", message.escape_ascii()),
        }
    }

    /// A request that could not be read, as it passes through the chain to be refused at its end.
    pub fn refused(&self, reason: Reason) -> Call<'_> {
        Call::new(self, Inbound::Refused(Refusal::from(reason)))
    }
}

/// A request about to be sent.
#[derive(Debug)]
pub struct Call<'a> {
    bench: &'a Bench,
    request: Request,
}

impl<'a> Call<'a> {
    fn new(bench: &'a Bench, inbound: Inbound) -> Self {
        let mut request = Request::new(inbound);
        *request.method_mut() = http::Method::POST;
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { bench, request }.fact(Arrival {
            route: "/mcp".into(),
            upstream: "demo".into(),
            upstream_key: "demo".into(),
            client,
            request_id: RequestId::new(0, 1),
        })
    }

    /// Adds a fact, or replaces the one of its type.
    #[must_use]
    pub fn fact<T: Clone + Send + Sync + 'static>(mut self, fact: T) -> Self {
        self.request.extensions_mut().insert(fact);
        self
    }

    /// Takes a fact away.
    #[must_use]
    pub fn without<T: Clone + Send + Sync + 'static>(mut self) -> Self {
        self.request.extensions_mut().remove::<T>();
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// If it is not a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.request.headers_mut().append(name, value.parse().expect("a header's value"));
        self
    }

    /// Changes where the request came from.
    ///
    /// # Panics
    ///
    /// If it is not an IP address.
    #[must_use]
    pub fn client(mut self, address: &str) -> Self {
        if let Some(arrival) = self.request.extensions_mut().get_mut::<Arrival>() {
            arrival.client = address.parse().expect("an IP address");
        }
        self
    }

    /// Uses another HTTP method than POST, such as a preflight does.
    #[must_use]
    pub fn method(mut self, method: http::Method) -> Self {
        *self.request.method_mut() = method;
        self
    }

    /// Sends it, and reads the answer to its end.
    ///
    /// # Panics
    ///
    /// If what comes back is not JSON, or holds an event that is not.
    pub async fn send(self) -> Outcome {
        let log = Log::default();
        let request = self.fact(log.clone());
        let Ok(response) = request.bench.chain.run(request.request).await;
        let (head, reply) = response.into_parts();
        let (messages, body, streamed) = match reply {
            Reply::Events(source) => {
                let (messages, wire) = drain(source).await;
                (messages, wire, true)
            }
            reply => {
                let Ok(body) = reply.collect().await;
                let body = body.to_bytes();
                let message = (!body.is_empty()).then(|| parse(&body));
                (message.into_iter().collect(), body, false)
            }
        };
        let reached = std::mem::take(&mut *log.0.lock().unwrap_or_else(PoisonError::into_inner));
        Outcome {
            status: head.status,
            headers: head.headers,
            facts: head.extensions,
            messages,
            body,
            streamed,
            reached,
        }
    }
}

async fn drain(mut source: Box<dyn EventSource>) -> (Vec<Value>, Bytes) {
    let (mut messages, mut wire) = (Vec::new(), Vec::new());
    while let Some(event) = std::future::poll_fn(|context| source.poll_event(context)).await {
        messages.extend(event.data().filter(|data| !data.is_empty()).map(parse));
        wire.extend_from_slice(event.raw());
    }
    (messages, wire.into())
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error} in {}", json.escape_ascii()))
}

/// What came of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The answer's status.
    pub status: StatusCode,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// What policies noted about the answer, for the log and the metrics.
    pub facts: http::Extensions,
    /// The messages of the answer: one, or those of its events.
    pub messages: Vec<Value>,
    /// The answer's body as the client would get it.
    pub body: Bytes,
    /// Was it an event stream?
    pub streamed: bool,
    /// What the upstream got, in order: usually one message, or none.
    pub reached: Vec<Reached>,
}

/// A message as the upstream would get it.
#[derive(Debug)]
pub struct Reached {
    /// The message.
    pub message: Message,
    /// The client's headers, of which the gateway forwards a few.
    pub headers: HeaderMap,
    /// The headers that policies set for the upstream.
    pub own_headers: HeaderMap,
    /// The facts that are known by then.
    pub facts: http::Extensions,
}

impl Outcome {
    /// Did the message reach the upstream?
    pub fn got_through(&self) -> bool {
        !self.reached.is_empty()
    }

    /// The message of a JSON answer, or the last one of a stream.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn message(&self) -> &Value {
        self.messages.last().expect("an answer with a message")
    }

    /// The reason of a refusal (`error.data.reason`).
    pub fn reason(&self) -> Option<&str> {
        self.messages.last()?.pointer("/error/data/reason")?.as_str()
    }

    /// A header of the answer, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Notes what reaches the end of the chain. Travels with the request, so that calls at the same time keep apart.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Reached>>>);

fn end(takes: Duration, script: Script) -> RouteService {
    RouteService::from_fn(move |request| {
        let script = Arc::clone(&script);
        Box::pin(async move {
            let (head, inbound) = request.into_parts();
            let message = match inbound {
                Inbound::Message(message) => message,
                Inbound::Refused(refusal) => return Ok(refusal.answer(Addressee::default())),
            };
            note(&head, &message);
            if !takes.is_zero() {
                sleep(takes).await;
            }
            Ok(script(&message))
        })
    })
}

fn note(head: &http::request::Parts, message: &Message) {
    let Some(Log(log)) = head.extensions.get() else { return };
    let reached = Reached {
        message: message.clone(),
        headers: head.headers.clone(),
        own_headers: head.extensions.get::<UpstreamHeaders>().cloned().unwrap_or_default().0,
        facts: head.extensions.clone(),
    };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(reached);
}

/// The upstream answers `message` with a result; what is no request is only accepted.
pub fn result(message: &Message, result: &Value) -> Response {
    match (message.kind(), message.id()) {
        (Kind::Request(_), Some(id)) => body(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)),
        _ => {
            let mut accepted = Response::new(Reply::Empty);
            *accepted.status_mut() = StatusCode::ACCEPTED;
            accepted
        }
    }
}

/// The upstream answers with this text, whatever it is.
pub fn body(text: impl Into<Bytes>) -> Response {
    typed("application/json", Reply::from(text.into()))
}

/// The upstream answers with a stream of these messages (JSON text).
pub fn stream<T: AsRef<[u8]>>(messages: impl IntoIterator<Item = T>) -> Response {
    slow_stream(messages.into_iter().map(|message| (Duration::ZERO, message)))
}

/// The upstream answers with a stream, and takes its time before each message.
pub fn slow_stream<T: AsRef<[u8]>>(messages: impl IntoIterator<Item = (Duration, T)>) -> Response {
    let steps = messages.into_iter().map(|(pause, message)| (pause, Event::message(message.as_ref())));
    events(Steps { steps: steps.collect(), sleep: None })
}

/// The upstream answers with these events.
pub fn events(source: impl EventSource) -> Response {
    typed("text/event-stream", Reply::Events(Box::new(source)))
}

fn typed(kind: &'static str, reply: Reply) -> Response {
    let mut response = Response::new(reply);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

struct Steps {
    steps: VecDeque<(Duration, Event)>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl EventSource for Steps {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let Some((pause, _)) = self.steps.front() else { return Poll::Ready(None) };
        if !pause.is_zero() {
            let pause = *pause;
            ready!(self.sleep.get_or_insert_with(|| Box::pin(sleep(pause))).as_mut().poll(context));
            self.sleep = None;
        }
        Poll::Ready(self.steps.pop_front().map(|(_, event)| event))
    }
}

/// The fact that callers can connect to the upstream `linear` by themselves, with a key of their own.
#[cfg(test)]
pub(crate) fn connectable() -> Connectable {
    let (id, display_name) = ("linear".into(), "Linear".to_owned());
    Connectable(Arc::new(UpstreamAuth { id, display_name, summary: None, mode: AuthMode::UserKey(Vec::new()) }))
}
