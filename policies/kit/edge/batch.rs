//! JSON-RPC batches, which MCP had in 2025-03-26 alone: each message passes the chain as a request of its own, and the
//! answers become one again.
//!
//! Nothing of a batch is run before all of it has been read, so what does not belong into one is refused without effect.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};

use super::{Edge, Unread, answer};
use crate::kit::{
    chain::{Inbound, Request, Response},
    headers::values,
    json::{Flaw, FlawKind, Limits, Reader},
    message::{Kind, Message, Method, Unreadable},
    refusal::{Reason, Refusal},
    reply::{Event, EventSource, Reply},
};

/// Messages of one batch.
const MOST: usize = 32;
/// How many of them run at once.
const AT_ONCE: usize = 8;
/// The revision that has batches. Those before 2025-06-18 do not say which one they are.
const REVISION: &str = "2025-03-26";
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Bytes of answers that wait for the others to become one array. With more than that, each goes out as soon as it is there.
const HELD: usize = 1 << 20;

/// A fact: the request is one message of a batch. Only where its session is known can it be told whether the client has agreed
/// on the revision that has batches ([`InBatch::is_allowed_in`]).
#[derive(Clone, Copy, Debug)]
pub struct InBatch;

impl InBatch {
    /// May there be batches in a session in which `revision` was agreed on?
    pub fn is_allowed_in(self, revision: &str) -> bool {
        revision == REVISION
    }
}

/// Does the body begin as an array?
pub(super) fn is_batch(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

/// One message of a batch, or why it is none.
type Element = Result<Message, Unread>;

impl Edge {
    /// Answers a batch.
    pub(super) async fn split(&self, head: Parts, bytes: &Bytes) -> Response {
        match self.elements(bytes, &head.headers) {
            Ok(waiting) => Batch::new(self.clone(), head, waiting).answer().await,
            Err(refusal) => self.refuse(head, refusal.into()).await,
        }
    }

    /// The messages, judged each by itself; or why nothing of the batch is run.
    fn elements(&self, bytes: &Bytes, headers: &HeaderMap) -> Result<VecDeque<Element>, Refusal> {
        if values(headers, &VERSION).any(|version| version != REVISION) {
            return Err(Reason::BatchNotSupported.into());
        }
        let elements = cut(bytes, &self.limits.message).map_err(|flaw| Unread::from(Unreadable::Flaw(flaw)).refusal)?;
        match elements.len() {
            0 => Err(Refusal::new(Reason::NotAMessage, "The batch is empty.")),
            1..=MOST => elements.into_iter().map(|text| may_be_in_batch(self.read_message(text, headers))).collect(),
            _ => {
                let why = format!("The batch holds more than {MOST} messages.");
                Err(Refusal::new(Reason::MessageTooComplex, why).with_remedy("Send them in several requests."))
            }
        }
    }

    async fn pass(self, mut head: Parts, element: Element) -> Response {
        head.extensions.insert(InBatch);
        match element {
            Ok(message) => answer(self.chain.run(Request::from_parts(head, Inbound::Message(message)))).await,
            // JSON-RPC 2.0 §5: the id is null where none could be read.
            Err(Unread { refusal, id }) => self.refuse_with_id(head, refusal, id.as_deref().unwrap_or("null")).await,
        }
    }
}

/// The text of each element. The limits are those of one message; the array around it is one level more.
fn cut(bytes: &Bytes, limits: &Limits) -> Result<Vec<Bytes>, Flaw> {
    let text = std::str::from_utf8(bytes).map_err(|error| Flaw { kind: FlawKind::NotUtf8, at: error.valid_up_to() })?;
    let mut reader = Reader::new(text, &Limits { depth: limits.depth.saturating_add(1), ..*limits });
    let mut elements = Vec::new();
    reader.array(|reader| {
        elements.push(bytes.slice(reader.value()?.range()));
        Ok(())
    })?;
    reader.end()?;
    Ok(elements)
}

/// A session begins with a message by itself, and other revisions have no batches.
fn may_be_in_batch(element: Element) -> Result<Element, Refusal> {
    match &element {
        Ok(message) if message.method() == Some(&Method::Initialize) => {
            Err(Refusal::new(Reason::BatchNotSupported, "`initialize` must not be in a batch."))
        }
        Ok(message) if message.is_modern() => Err(Reason::BatchNotSupported.into()),
        _ => Ok(element),
    }
}

/// The chain at work on one element.
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A batch on its way through the chain, and what of it streams.
struct Batch {
    edge: Edge,
    head: Parts,
    waiting: VecDeque<Element>,
    started: usize,
    running: Vec<(Asked, Answering)>,
    streams: Vec<Box<dyn EventSource>>,
    ready: VecDeque<Event>,
}

/// Which element an answer is for.
#[derive(Clone, Copy)]
struct Asked {
    place: usize,
    /// Does its sender wait for an answer? Nobody does who sends a notification or an answer.
    awaits: bool,
}

impl Batch {
    fn new(edge: Edge, head: Parts, waiting: VecDeque<Element>) -> Self {
        let (running, streams, ready) = (Vec::with_capacity(AT_ONCE), Vec::new(), VecDeque::new());
        Self { edge, head, waiting, started: 0, running, streams, ready }
    }

    /// One array, if all is there at the end; an event stream, as soon as one of the answers is one or they are too large to be
    /// held together.
    async fn answer(mut self) -> Response {
        let (mut answers, mut held) = (Vec::new(), 0);
        while let Some((asked, response)) = poll_fn(|context| self.poll_answer(context)).await {
            match response.body() {
                Reply::Events(_) => return self.into_stream(answers, response),
                Reply::Full(body) => held += body.len(),
                Reply::Empty => {}
            }
            answers.push((asked, response));
            if held > HELD {
                let mut stream = Response::new(Reply::Events(Box::new(Nothing)));
                let headers = stream.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
                headers.insert(BUFFERING, HeaderValue::from_static("no"));
                return self.into_stream(answers, stream);
            }
        }
        answers.sort_by_key(|(asked, _)| asked.place);
        array(answers)
    }

    /// The next answer of the chain; none when there will be no more.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Option<(Asked, Response)>> {
        self.start();
        for at in 0..self.running.len() {
            let (asked, running) = &mut self.running[at];
            if let Poll::Ready(response) = running.as_mut().poll(context) {
                let asked = *asked;
                drop(self.running.swap_remove(at));
                return Poll::Ready(Some((asked, response)));
            }
        }
        if self.running.is_empty() && self.waiting.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }

    fn start(&mut self) {
        while self.running.len() + self.streams.len() < AT_ONCE
            && let Some(element) = self.waiting.pop_front()
        {
            let awaits = element.as_ref().map_or(true, |message| matches!(message.kind(), Kind::Request(_)));
            let running = Box::pin(self.edge.clone().pass(self.head.clone(), element));
            self.running.push((Asked { place: self.started, awaits }, running));
            self.started += 1;
        }
    }

    fn into_stream(mut self, before: Vec<(Asked, Response)>, first: Response) -> Response {
        for (asked, response) in before {
            self.take(asked, response.into_body());
        }
        let (head, source) = first.into_parts();
        self.take(Asked { place: 0, awaits: true }, source);
        Response::from_parts(head, Reply::Events(Box::new(self)))
    }

    fn take(&mut self, asked: Asked, reply: Reply) {
        match reply {
            Reply::Full(body) if asked.awaits => self.ready.push_back(Event::message(&body)),
            Reply::Events(source) => self.streams.push(source),
            Reply::Full(_) | Reply::Empty => {}
        }
    }

    /// The next event of the streams that are open.
    fn poll_streams(&mut self, context: &mut Context<'_>) -> Option<Event> {
        let mut at = 0;
        while at < self.streams.len() {
            match self.streams[at].poll_event(context) {
                Poll::Ready(Some(event)) => {
                    // The others come first next time: none of them keeps the rest waiting.
                    self.streams.rotate_left(at + 1);
                    return Some(event);
                }
                Poll::Ready(None) => drop(self.streams.swap_remove(at)),
                Poll::Pending => at += 1,
            }
        }
        None
    }
}

impl EventSource for Batch {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front().or_else(|| self.poll_streams(context)) {
                return Poll::Ready(Some(event));
            }
            match self.poll_answer(context) {
                Poll::Ready(Some((asked, response))) => self.take(asked, response.into_body()),
                Poll::Ready(None) if self.streams.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// A stream that has ended.
struct Nothing;

impl EventSource for Nothing {
    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(None)
    }
}

/// All answers as one. What they share stands in the head, such as the challenge of a sign-in that refused every one of them;
/// where they differ, it is for each error to say what went wrong.
fn array(answers: Vec<(Asked, Response)>) -> Response {
    let mut bodies = BytesMut::new();
    let (mut head, mut differ) = (None, false);
    for (asked, response) in answers {
        let (found, reply) = response.into_parts();
        if let (Reply::Full(body), true) = (reply, asked.awaits) {
            bodies.extend_from_slice(if bodies.is_empty() { b"[" } else { b"," });
            bodies.extend_from_slice(&body);
        }
        let first = head.get_or_insert_with(|| found.clone());
        differ |= first.status != found.status;
    }
    let mut response = head.map_or_else(Response::default, |head| Response::from_parts(head, Reply::Empty));
    if differ {
        *response.status_mut() = if bodies.is_empty() { StatusCode::ACCEPTED } else { StatusCode::OK };
    }
    response.headers_mut().remove(CONTENT_TYPE);
    if !bodies.is_empty() {
        bodies.extend_from_slice(b"]");
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = bodies.freeze().into();
    }
    response
}
