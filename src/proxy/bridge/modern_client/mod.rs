//! Clients of 2026-07-28 in front of an upstream with sessions.
//!
//! ```text
//! request → call (what is asked) ─ server/discover       → discover: what the session's `initialize` said
//!                                ─ subscriptions/listen  → listen: the session's own stream
//!                                ─ with a `requestState` → park: the call that waits for this answer
//!                                ─ anything else         → pool: a warm session → talk: until the answer
//! ```
//!
//! An upstream that asks something in the middle of a call does so on the stream of that call. The stream is then kept open
//! while the client is told what is asked, and goes on when the client has come back with the answer.

mod answer;
mod ask;
mod call;
mod discover;
mod link;
mod listen;
mod park;
mod places;
mod pool;
mod talk;
mod warm;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use portcullis_policies::kit::{
    chain::{Request, Response},
    message::{FIRST_MODERN, Kind, Message, Method},
    refusal::{Reason, Refusal},
    reply::{EventSource, Reply},
};

use self::{answer::Answered, call::Call, link::Link, park::Lot, pool::Pool, talk::Talk, warm::Loan};
use super::{common, told::Told};
use crate::proxy::{
    Failure, Forward,
    aside::One,
    headers::{self, VERSION},
    session::Owner,
    upstream::Received,
};

/// Warm sessions, and calls that wait for their client's word.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Rooms {
    sessions: Pool,
    waiting: Lot,
}

impl Rooms {
    /// Closes what nobody has used for long enough.
    pub(in crate::proxy) fn sweep(&self) {
        self.sessions.sweep();
        self.waiting.sweep();
    }
}

/// Answers a message of 2026-07-28 through a session with the upstream.
pub(in crate::proxy) async fn answer(
    forward: &Forward,
    request: &Request,
    message: &Message,
) -> Result<Response, Failure> {
    let method = match message.kind() {
        Kind::Request(method) => method,
        // Whoever goes away cancels, so there is nothing left to do.
        Kind::Notification(Method::Cancelled) => return Ok(accepted()),
        Kind::Notification(method) => return Err(not_bridged(method).into()),
        Kind::Response => return Err(Reason::NotAMessage.into()),
    };
    let caller = Caller::of(forward, request);
    let call = Call::read(method, message)?;
    match method {
        Method::Discover => caller.discover(&call).await,
        Method::Listen => caller.listen(call).await,
        _ if call.may_wait() && call.state.is_some() => caller.resume(call).await,
        _ if common::is_carried(method) => caller.call(call).await,
        _ => Err(not_bridged(method).into()),
    }
}

/// Somebody who calls, on one route, through one connection to the upstream.
#[derive(Clone, Debug)]
struct Caller {
    forward: Forward,
    subject: Box<str>,
    connection: Box<str>,
    credential_version: i64,
    link: Link,
}

impl Caller {
    fn of(forward: &Forward, request: &Request) -> Self {
        let owner = Owner::of(request);
        Self {
            forward: forward.clone(),
            subject: owner.subject.into(),
            connection: owner.connection().into(),
            credential_version: owner.credential.map_or(0, |credential| credential.version()),
            link: Link::of(forward, request),
        }
    }

    fn rooms(&self) -> &Rooms {
        self.forward.0.shared.modern_clients()
    }

    /// Who it is, among those whose sessions and waiting calls are counted.
    fn name(&self) -> String {
        format!("{} {}", self.connection, self.subject)
    }

    /// Sends a call, once more in another session if the upstream does not know this one any more: then it did nothing.
    async fn call(self, call: Call) -> Result<Response, Failure> {
        let mut again = true;
        loop {
            let mut loan = self.rooms().sessions.lend(&self, &call).await?;
            loan.hears_asides().await;
            let received = loan.send(&call).await;
            let doubt = loan.doubt(&received);
            if std::mem::take(&mut again) && loan.has_ended(doubt).await {
                continue;
            }
            return Ok(self.answered(call, loan, received?).await);
        }
    }

    async fn answered(self, call: Call, loan: Loan, received: Received) -> Response {
        let Received { status, mut headers, reply } = received;
        headers.remove(VERSION);
        let source: Box<dyn EventSource> = match reply {
            Reply::Events(source) => source,
            Reply::Full(answer) if status.is_success() && loan.has_news().await => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                Box::new(One::message(&answer))
            }
            Reply::Full(answer) => {
                let answered = Answered::to(&call, loan.warm(), &answer);
                return respond(answered.status.unwrap_or(status), headers, Reply::Full(answered.message.into()));
            }
            Reply::Empty => return respond(status, headers, Reply::Empty),
        };
        let talk = Told::by(|teller| Talk::new(source, loan).tell(self, call, teller));
        respond(status, headers, Reply::Events(Box::new(talk)))
    }
}

/// An answer to the client.
fn respond(status: StatusCode, headers: HeaderMap, reply: Reply) -> Response {
    let events = matches!(reply, Reply::Events(_));
    let mut response = http::Response::new(reply);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    headers::to_client(response.headers_mut(), events, |_| None);
    response
}

/// A message to the client that no upstream wrote.
fn respond_json(message: impl Into<Bytes>) -> Response {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    respond(StatusCode::OK, headers, Reply::from(message.into()))
}

fn accepted() -> Response {
    respond(StatusCode::ACCEPTED, HeaderMap::new(), Reply::Empty)
}

fn not_bridged(method: &Method) -> Refusal {
    let why = format!(
        "This route's upstream speaks revisions of MCP before {FIRST_MODERN}, and `{method}` of {FIRST_MODERN} cannot be \
         translated for it."
    );
    Refusal::new(Reason::NotBridged, why)
}
