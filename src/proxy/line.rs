//! Asking an upstream for an event stream (GET), in a session and for a caller.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use portcullis_policies::kit::{
    credential::UpstreamCredential,
    refusal::{Reason, Refusal},
    reply::{Event, EventReader, TooLong},
};

use super::{
    answer::MediaType,
    endpoint::{Answered, Broken, UpstreamBody},
    upstream::{Behalf, Failure, Sending, Upstream},
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What it takes to ask for a stream: of whom, with which headers, over whose connections.
#[derive(Clone, Debug)]
pub(super) struct Line {
    upstream: Upstream,
    headers: HeaderMap,
    credential: Option<UpstreamCredential>,
}

/// Why there is no stream.
#[derive(Debug)]
pub(super) enum Unheard {
    /// The upstream has none to give. Asking again is of no use.
    Refused(StatusCode),
    /// It may have one the next time.
    Failed(Refusal),
}

impl Line {
    /// `headers` are those of a message in the same session.
    pub(super) fn new(upstream: &Upstream, mut headers: HeaderMap, credential: Option<UpstreamCredential>) -> Self {
        headers.remove(CONTENT_TYPE);
        headers.remove(CONTENT_LENGTH);
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        Self { upstream: upstream.clone(), headers, credential }
    }

    /// Opens a stream; the one whose event `last` came last goes on after it.
    pub(super) async fn open(&self, last: Option<&HeaderValue>) -> Result<Events, Unheard> {
        let mut headers = self.headers.clone();
        if let Some(last) = last {
            headers.insert(LAST_EVENT_ID, last.clone());
        }
        let Upstream { endpoint, clocks, limits } = &self.upstream;
        let asked = endpoint.send(Method::GET, headers, Bytes::new(), self.credential.as_ref(), clocks).await;
        let Answered { head, body } = asked.map_err(Unheard::Failed)?;
        match head.status {
            status if status.is_success() && MediaType::of(&head.headers) == MediaType::Events => {
                Ok(Events::new(body, EventReader::new(limits.events)))
            }
            status if may_change(status, last.is_some()) => {
                let message = format!("The upstream answered {status} to a request for its events.");
                Err(Unheard::Failed(Refusal::new(Reason::UpstreamStatus, message)))
            }
            status => Err(Unheard::Refused(status)),
        }
    }

    /// Posts a message that is not answered, in the same session.
    pub(super) async fn post(&self, message: Bytes) -> Result<(), Failure> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let behalf = Behalf { credential: self.credential.as_ref(), request_id: None };
        self.upstream.post(Sending { headers, message, awaiting: None, behalf }).await.map(drop)
    }

    /// Who asks.
    pub(super) fn credential(&self) -> Option<&UpstreamCredential> {
        self.credential.as_ref()
    }
}

/// Is it worth asking again? A server may not have noticed yet that the stream which is resumed was cut.
fn may_change(status: StatusCode, resumes: bool) -> bool {
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || passing.contains(&status)
        || (resumes && status == StatusCode::CONFLICT)
}

/// The events of one body, whole, as soon as they have come.
pub(super) struct Events {
    /// None when it has ended.
    body: Option<UpstreamBody>,
    reader: EventReader,
    /// Has anything come since this was last taken?
    pub(super) heard: bool,
}

impl Events {
    pub(super) fn new(body: UpstreamBody, reader: EventReader) -> Self {
        Self { body: Some(body), reader, heard: false }
    }

    /// The next event; none at the end, an error where the body breaks off.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Event>, Refusal>> {
        loop {
            if let Some(event) = self.reader.next_event().map_err(too_long)? {
                return Poll::Ready(Ok(Some(event)));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
            match std::task::ready!(body.poll_data(context)) {
                Some(Ok(bytes)) => {
                    self.heard = true;
                    self.reader.push(bytes);
                }
                Some(Err(Broken)) => return Poll::Ready(Err(Reason::UpstreamTruncated.into())),
                None => self.body = None,
            }
        }
    }
}

fn too_long(limit: TooLong) -> Refusal {
    let message = match limit {
        TooLong::Event(bytes) => format!("The upstream sent an event of more than {bytes} bytes."),
        TooLong::Line(bytes) => format!("The upstream sent an event with a line of more than {bytes} bytes."),
    };
    let remedy = match limit {
        TooLong::Event(_) => "Ask for less, or raise `limits.eventBytes` of the route.",
        TooLong::Line(_) => "Ask for less, or raise `limits.eventLineBytes` of the route.",
    };
    Refusal::new(Reason::UpstreamTooLarge, message).with_remedy(remedy)
}
