//! The one type between layers, and the three ways to write one.
//!
//! A [`RouteService`] is a `tower::Service` whose error is [`Infallible`]: whatever goes wrong becomes an answer where it
//! was noticed, and nothing above has to translate it. A [`RouteLayer`] is a `tower::Layer`.
//!
//! Every request to a route passes the whole chain, also one that could not be read ([`Inbound::Refused`]): so CORS
//! headers, the sign-in challenge and the audit are the same for it, and the end of the chain gives the refusal. By its
//! type such a request cannot be forwarded.

#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tower::{Layer, Service, ServiceExt};

use crate::kit::{
    message::{Message, speaks_modern},
    refusal::{Addressee, Refusal},
    reply::Reply,
};

/// A request as the chain sees it: headers, facts (in its extensions), and what the client sent.
pub type Request = http::Request<Inbound>;
/// An answer on its way to the client.
pub type Response = http::Response<Reply>;
/// An answer to come. There is no error: see the module.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// What a client sent.
#[derive(Clone, Debug)]
pub enum Inbound {
    /// A message that was read and may be judged and forwarded.
    Message(Message),
    /// Something else. The end of the chain answers with this.
    Refused(Refusal),
}

impl Inbound {
    /// The message, if there is one.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Refused(_) => None,
        }
    }
}

/// A fact about every request, given by the gateway: where it came from and what it is called in the log.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The path of the route, as the log and the metrics name it.
    pub route: Arc<str>,
    /// What is behind it, as rules name it: the host of its URL, `demo` for the built-in server.
    pub upstream: Arc<str>,
    /// The same, told apart from others on the same host, and safe to show: what is kept about upstreams is kept by this.
    pub upstream_key: Arc<str>,
    /// The client's address: the peer's, or the one that a trusted proxy named.
    pub client: IpAddr,
    /// This request's id.
    pub request_id: RequestId,
}

/// A fact: a web page of another origin sent the request. A policy that allows that origin takes the fact away; where it
/// is left, the request does not reach the upstream.
#[derive(Clone, Copy, Debug)]
pub struct ForeignOrigin;

/// A fact: headers that policies set for the upstream. They are kept apart from the client's own headers, of which only
/// an allow-list is forwarded, so that nothing a client sends can pass for a credential.
#[derive(Clone, Debug, Default)]
pub struct UpstreamHeaders(pub http::HeaderMap);

/// Does a client's header of this name cross to the upstream? Few do: MCP's own, and the trace context.
pub fn crosses_to_upstream(name: &http::HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("mcp-") || matches!(name, "traceparent" | "tracestate" | "baggage")
}

/// Does this header carry the message or the connection? Then it is the gateway's own to set.
pub fn carries_message(name: &http::HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("mcp-")
        || matches!(
            name,
            "host"
                | "content-length"
                | "content-type"
                | "content-encoding"
                | "accept"
                | "accept-encoding"
                | "transfer-encoding"
                | "connection"
                | "keep-alive"
                | "te"
                | "trailer"
                | "upgrade"
        )
}

/// The gateway's id of one HTTP request; the client gets it as `x-request-id`. Whoever answers has it at hand, so it also
/// says on which page people read about errors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    digits: [u8; Self::LEN],
    help: Option<&'static str>,
}

impl RequestId {
    const LEN: usize = 20;

    /// `process` tells runs of the gateway apart, `number` the requests of one run.
    pub fn new(process: u32, number: u64) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut id = [0; Self::LEN];
        let value = u128::from(process) << 48 | u128::from(number & 0xFFFF_FFFF_FFFF);
        for (at, digit) in id.iter_mut().enumerate() {
            *digit = HEX[(value >> (4 * (Self::LEN - 1 - at)) & 0xF) as usize];
        }
        Self { digits: id, help: None }
    }

    /// The same request to a program that explains its errors on a page at this URL.
    #[must_use]
    pub fn with_help(self, page: &'static str) -> Self {
        Self { help: Some(page), ..self }
    }

    /// The page on which errors are explained, each under its code.
    pub fn help(&self) -> Option<&'static str> {
        self.help
    }

    /// As the value of `x-request-id`.
    pub fn to_header(self) -> http::HeaderValue {
        http::HeaderValue::from_bytes(&self.digits).unwrap_or(http::HeaderValue::from_static(""))
    }

    /// Twenty hexadecimal digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A fact: which clients the route serves, whatever its upstream speaks. Where the upstream decides, there is none. Given by
/// the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedEras {
    /// Those with sessions (revisions up to 2025-11-25).
    pub legacy: bool,
    /// Those without (2026-07-28 and later).
    pub modern: bool,
}

/// Answers `request` with a refusal that carries its ids, in words of the client's era.
pub fn refuse(request: &Request, refusal: Refusal) -> Response {
    let arrival = request.extensions().get::<Arrival>();
    let message = request.body().message();
    let refusal = match message {
        Some(message) => refusal.in_era(speaks_modern(message, request.headers())),
        None => refusal,
    };
    refusal
        .answer(Addressee { id: message.and_then(Message::id), request_id: arrival.map(|arrival| &arrival.request_id) })
}

/// One step of a chain, or the whole of it. Cloning is one reference count.
///
/// Not tower's `BoxCloneSyncService`: cloning that copies every service behind it, and a layer that hands the rest of
/// the chain to a future has to clone. `benches/chain.rs` compares the two.
#[derive(Clone)]
pub struct RouteService(Arc<dyn Call>);

trait Call: Send + Sync {
    fn call(&self, request: Request) -> Answer;
}

impl RouteService {
    /// Wraps any service that answers every request.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        struct Ready<S>(S);
        impl<S> Call for Ready<S>
        where
            S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
            S::Future: Send,
        {
            fn call(&self, request: Request) -> Answer {
                Box::pin(self.0.clone().oneshot(request))
            }
        }
        Self(Arc::new(Ready(service)))
    }

    /// Wraps a function that answers.
    pub fn from_fn<F>(function: F) -> Self
    where
        F: Fn(Request) -> Answer + Send + Sync + 'static,
    {
        struct Function<F>(F);
        impl<F: Fn(Request) -> Answer + Send + Sync> Call for Function<F> {
            fn call(&self, request: Request) -> Answer {
                (self.0)(request)
            }
        }
        Self(Arc::new(Function(function)))
    }

    /// Passes a request on; the same as `Service::call`, without needing `&mut`.
    pub fn run(&self, request: Request) -> Answer {
        self.0.call(request)
    }
}

impl Service<Request> for RouteService {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        self.run(request)
    }
}

impl fmt::Debug for RouteService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteService")
    }
}

/// Puts one policy in front of the rest of a chain.
#[derive(Clone)]
pub struct RouteLayer(Arc<dyn Fn(RouteService) -> RouteService + Send + Sync>);

impl Layer<RouteService> for RouteLayer {
    type Service = RouteService;

    fn layer(&self, inner: RouteService) -> RouteService {
        (self.0)(inner)
    }
}

impl fmt::Debug for RouteLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteLayer")
    }
}

/// A policy that looks at a request and lets it go on, changed or not, or refuses it. Costs no allocation of its own.
pub fn gate<F>(judge: F) -> RouteLayer
where
    F: Fn(&mut Request) -> Result<(), Refusal> + Send + Sync + 'static,
{
    let judge = Arc::new(judge);
    RouteLayer(Arc::new(move |inner| {
        let judge = Arc::clone(&judge);
        RouteService::from_fn(move |mut request| match judge(&mut request) {
            Ok(()) => inner.run(request),
            Err(refusal) => answered(refuse(&request, refusal)),
        })
    }))
}

/// A policy that stands on both sides: it calls the rest of the chain (once, never, or again) and may edit the answer.
pub fn around<F, A>(middle: F) -> RouteLayer
where
    F: Fn(Request, RouteService) -> A + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let middle = Arc::new(middle);
    RouteLayer(Arc::new(move |inner| {
        let middle = Arc::clone(&middle);
        RouteService::from_fn(move |request| {
            let answer = middle(request, inner.clone());
            Box::pin(async move { Ok(answer.await) })
        })
    }))
}

/// A policy that only sometimes stands on both sides. `prepare` decides from the request whether the answer must be
/// edited; requests of no concern pass at the price of a [`gate`].
pub fn edit_answers<F, E>(prepare: F) -> RouteLayer
where
    F: Fn(&mut Request) -> Result<Option<E>, Refusal> + Send + Sync + 'static,
    E: FnOnce(Response) -> Response + Send + 'static,
{
    let prepare = Arc::new(prepare);
    RouteLayer(Arc::new(move |inner| {
        let prepare = Arc::clone(&prepare);
        RouteService::from_fn(move |mut request| match prepare(&mut request) {
            Ok(None) => inner.run(request),
            Ok(Some(edit)) => then(inner.run(request), edit),
            Err(refusal) => answered(refuse(&request, refusal)),
        })
    }))
}

/// An answer, edited once it is there.
pub fn then(answer: Answer, edit: impl FnOnce(Response) -> Response + Send + 'static) -> Answer {
    Box::pin(async move { answer.await.map(edit) })
}

/// The form below the others: answers as it likes, and allocates only where it must.
pub fn direct<F>(middle: F) -> RouteLayer
where
    F: Fn(Request, &RouteService) -> Answer + Send + Sync + 'static,
{
    let middle = Arc::new(middle);
    RouteLayer(Arc::new(move |inner| {
        let middle = Arc::clone(&middle);
        RouteService::from_fn(move |request| middle(request, &inner))
    }))
}

/// A ready-made Tower layer, as it is.
pub fn lift<L>(layer: L) -> RouteLayer
where
    L: Layer<RouteService> + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send,
{
    RouteLayer(Arc::new(move |inner| RouteService::new(layer.layer(inner))))
}

/// Several layers as one, the first one outermost.
pub fn stack(layers: Vec<RouteLayer>) -> RouteLayer {
    RouteLayer(Arc::new(move |end| layers.iter().rev().fold(end, |inner, layer| layer.layer(inner))))
}

/// An answer that is already there.
pub fn answered(response: Response) -> Answer {
    let answer: Ready<Result<Response, Infallible>> = ready(Ok(response));
    Box::pin(answer)
}
