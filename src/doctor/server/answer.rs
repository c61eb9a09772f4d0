//! What comes back, how much of it is read, and how long it took.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use portcullis_policies::kit::{
    headers::media_type,
    reply::{EventLimits, EventReader},
};
use serde_json::Value;

use super::super::finding::Finding;
use crate::fault::{Fault, Seen};

/// Where a server says which session an answer belongs to.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Bytes of an answer that are read.
const MOST: usize = 4 << 20;

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The message that answers ours: the body, or one event of a stream.
    pub(super) message: Option<Value>,
    pub(super) took: Took,
}

/// How long an exchange took.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    pub(super) took: Took,
    /// What the server says of what lies behind it, by header.
    pub(super) says: Vec<(&'static str, String)>,
}

/// Headers in which servers say how long their part took.
const OWN_PARTS: [&str; 2] = ["server-timing", "x-envoy-upstream-service-time"];

/// How long the parts of an exchange took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Took {
    /// Until the connection was taken.
    pub(super) connect: Duration,
    /// The handshake of TLS, where there is one.
    pub(super) tls: Option<Duration>,
    /// From the request to the head of the answer.
    pub(super) answer: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) fault: Fault,
    pub(super) words: String,
    /// The session that its head opened, where there was one.
    pub(super) session: Option<HeaderValue>,
}

impl NoAnswer {
    pub(super) fn new(fault: Fault, words: String) -> Self {
        Self { fault, words, session: None }
    }
}

impl<'a> From<&'a Answer> for Seen<'a> {
    fn from(answer: &'a Answer) -> Self {
        Self::new(answer.status, &answer.headers, &answer.body).of_mcp(answer.outcome().is_some())
    }
}

impl From<NoAnswer> for Finding {
    fn from(none: NoAnswer) -> Self {
        Self::of(none.fault, &none.words)
    }
}

/// How much of an answer's body is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Only the head: the body may never end.
    Head,
    /// All of it.
    Document,
    /// All of it, or of a stream no more than to the message that answers the request with this id.
    AnswerTo(u64),
    /// Of a stream no more than to the end of its first event, and of anything else nothing.
    FirstEvent,
}

/// The answer, read as far as it is wanted.
pub(super) async fn read(answer: Response<Incoming>, wanted: Wanted) -> Result<Answer, NoAnswer> {
    let (head, mut incoming) = answer.into_parts();
    let mut answer =
        Answer { status: head.status, headers: head.headers, body: Bytes::new(), message: None, took: Took::default() };
    let id = match wanted {
        Wanted::Head => return Ok(answer),
        Wanted::FirstEvent if !answer.is("text/event-stream") => return Ok(answer),
        Wanted::Document | Wanted::FirstEvent => None,
        Wanted::AnswerTo(id) => Some(id),
    };
    let mut events = answer.is("text/event-stream").then(|| EventReader::new(EventLimits { event: MOST, line: MOST }));
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| NoAnswer::new(Fault::NoAnswer, format!("the answer broke off: {error}")))?;
        let Ok(bytes) = frame.into_data() else { continue };
        if body.len() + bytes.len() > MOST {
            return Err(NoAnswer::new(
                Fault::NotMcp,
                format!("{}: the answer is longer than {MOST} bytes", answer.status),
            ));
        }
        body.extend_from_slice(&bytes);
        if wanted == Wanted::FirstEvent && ends_an_event(&body) {
            break;
        }
        if let (Some(reader), Some(id)) = (&mut events, id) {
            reader.push(bytes);
            answer.message = answer_in(reader, id);
            if answer.message.is_some() {
                break;
            }
        }
    }
    answer.body = body.freeze();
    if events.is_none() {
        answer.message = serde_json::from_slice(&answer.body).ok();
    }
    Ok(answer)
}

/// Is there an empty line, with which an event ends?
fn ends_an_event(body: &[u8]) -> bool {
    body.windows(2).any(|two| two == b"\n\n") || body.windows(4).any(|four| four == b"\r\n\r\n")
}

/// The answer to request `id`, if it is among the events that have come.
fn answer_in(reader: &mut EventReader, id: u64) -> Option<Value> {
    while let Ok(Some(event)) = reader.next_event() {
        let message: Option<Value> = serde_json::from_slice(event.data().unwrap_or_default()).ok();
        let answer = message.filter(|message| message["id"] == id && message.get("method").is_none());
        if answer.is_some() {
            return answer;
        }
    }
    None
}

impl Answer {
    /// How long it took, and what the server says of its own part.
    pub(super) fn timing(&self) -> Timing {
        let says = OWN_PARTS.iter().filter_map(|name| Some((*name, self.headers.get(*name)?)));
        let says = says.map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Timing { took: self.took, says: says.collect() }
    }

    /// Is its body of this type?
    pub(super) fn is(&self, wanted: &str) -> bool {
        media_type(&self.headers).eq_ignore_ascii_case(wanted)
    }

    /// Its `Content-Type`, or nothing.
    pub(super) fn content_type(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or_default()
    }

    /// The result or the error of the message that answers ours.
    pub(super) fn outcome(&self) -> Option<Result<&Value, &Value>> {
        let message = self.message.as_ref().filter(|message| message["jsonrpc"] == "2.0")?;
        match (message.get("result"), message.get("error")) {
            (Some(result), _) => Some(Ok(result)),
            (None, Some(error)) => Some(Err(error)),
            (None, None) => None,
        }
    }

    /// Status and type, as evidence.
    pub(super) fn head(&self) -> String {
        head(self.status, self.content_type())
    }

    /// The same with the error, if there is one.
    pub(super) fn told(&self) -> String {
        match self.outcome() {
            Some(Err(error)) => {
                let words = error["message"].as_str().unwrap_or_default().trim_end_matches('.');
                format!("{}, error {}: {words}", self.head(), error["code"])
            }
            _ => self.head(),
        }
    }
}

/// A status and a `Content-Type`, as evidence.
pub(super) fn head(status: StatusCode, content_type: &str) -> String {
    match content_type {
        "" => status.to_string(),
        found => format!("{status} with {found}"),
    }
}
