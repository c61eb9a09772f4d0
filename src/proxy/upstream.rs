//! One route's upstream, as messages are exchanged with it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use portcullis_policies::kit::{
    chain::{Arrival, Request, RequestId},
    credential::{UpstreamChallenge, UpstreamCredential},
    message::{Message, Method},
    refusal::{Reason, Refusal},
    reply::{EventReader, Reply},
};

use super::{
    AnswerLimits,
    answer::{MediaType, complete, judge_status, unknown_outcome},
    clocks::Clocks,
    endpoint::{Answered, Endpoint},
    hearing::Hearing,
    line::{Events, Line},
    relay::Relay,
    resume::Resume,
};
use crate::fault::Fault;

/// An upstream, with the patience and the limits of a route.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) clocks: Clocks,
    pub(super) limits: AnswerLimits,
}

/// One message on its way to an upstream.
pub(super) struct Sending<'a> {
    /// All headers of the request.
    pub(super) headers: HeaderMap,
    /// The message.
    pub(super) message: Bytes,
    /// The id of the request whose answer is waited for, as JSON text; none for what is not answered.
    pub(super) awaiting: Option<&'a str>,
    /// On whose behalf.
    pub(super) behalf: Behalf<'a>,
}

/// On whose behalf something is asked of an upstream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behalf<'a> {
    /// Whose connections to the upstream it may use. The credential itself stands in the headers.
    pub(super) credential: Option<&'a UpstreamCredential>,
    /// The client's request, for errors.
    pub(super) request_id: Option<RequestId>,
}

impl<'a> Behalf<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let facts = request.extensions();
        let request_id = facts.get::<Arrival>().map(|arrival| arrival.request_id);
        Self { credential: facts.get(), request_id }
    }
}

/// What an upstream answered.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: StatusCode,
    /// As the upstream wrote them.
    pub(super) headers: HeaderMap,
    pub(super) reply: Reply,
}

/// What the client is told instead of an answer, and what policies are told of it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) refusal: Refusal,
    /// What the upstream asks for. Its 401 does not reach the client, to whom it would speak of *our* token.
    pub(super) challenge: Option<Box<UpstreamChallenge>>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, challenge: None }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Refusal::from(reason).into()
    }
}

/// How an answer that is a stream is carried on.
#[derive(Clone, Copy, Default)]
pub(super) enum Carry<'a> {
    /// As it comes.
    #[default]
    Plainly,
    /// Resumed where it is cut before the answer, if the upstream numbers its events: with these headers, made once more.
    Resumed(&'a Again<'a>),
    /// As a subscription (`subscriptions/listen`), which lasts.
    Subscribed,
}

/// Makes the headers of a request once more.
pub(super) type Again<'a> = dyn Fn() -> HeaderMap + Sync + 'a;

impl<'a> Carry<'a> {
    /// For this message of a client; `again` only in a session.
    pub(super) fn of(message: &Message, again: Option<&'a Again<'a>>) -> Self {
        match (message.method(), again) {
            (Some(Method::Listen), _) => Self::Subscribed,
            (_, Some(again)) => Self::Resumed(again),
            _ => Self::Plainly,
        }
    }
}

impl Upstream {
    /// Posts one message, at most once.
    pub(super) async fn post(&self, sending: Sending<'_>) -> Result<Received, Failure> {
        self.exchange(sending, Carry::Plainly).await
    }

    /// Posts one message, at most once, and carries on a stream that answers it.
    pub(super) async fn exchange(&self, sending: Sending<'_>, carry: Carry<'_>) -> Result<Received, Failure> {
        let Sending { headers, message, awaiting, behalf: Behalf { credential, request_id } } = sending;
        let Answered { head, body } =
            self.endpoint.send(http::Method::POST, headers, message, credential, &self.clocks).await?;
        if let Some(challenge) = UpstreamChallenge::of(head.status, &head.headers) {
            // The caller's own token is good: it is the gateway's credential that is not.
            let refusal = match credential {
                None => Reason::UpstreamUnauthorized.into(),
                Some(_) => Fault::UpstreamRefuses.refusal(Reason::UpstreamUnauthorized),
            };
            return Err(Failure { refusal, challenge: Some(Box::new(challenge)) });
        }
        judge_status(head.status, &head.headers)?;
        let kind = MediaType::of(&head.headers);
        let reply = match kind {
            MediaType::Events if head.status.is_success() => {
                let events = Events::new(body, EventReader::new(self.limits.events));
                let resume = match carry {
                    Carry::Resumed(headers) => Some(self.line(headers(), credential)),
                    Carry::Plainly | Carry::Subscribed => None,
                };
                let resume = resume.map(|line| Box::new(Resume::new(line)));
                let relay = Relay::new(events, self.clocks, awaiting, request_id, resume);
                let is_lasting = matches!(carry, Carry::Subscribed);
                Reply::Events(Box::new(if is_lasting { relay.subscription(self.clocks, credential) } else { relay }))
            }
            _ => {
                let whole = body.says_where_it_ends(&head.headers);
                let bytes = body.collect(self.limits.json_bytes, &self.clocks).await.map_err(unknown_outcome)?;
                complete(kind, bytes, whole, (head.status, &head.headers), awaiting.is_some())?
            }
        };
        Ok(Received { status: head.status, headers: head.headers, reply })
    }

    /// The upstream's own events (GET) for as long as it is held: resumed where it is cut. Never fails; it ends where the
    /// upstream has no such stream. `headers` are those of a message in the same session.
    pub(super) fn hear(&self, headers: HeaderMap, credential: Option<&UpstreamCredential>) -> Hearing {
        Hearing::new(self.line(headers, credential))
    }

    fn line(&self, headers: HeaderMap, credential: Option<&UpstreamCredential>) -> Line {
        Line::new(self, headers, credential.cloned())
    }
}
