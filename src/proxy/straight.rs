//! Messages that go to the upstream as they are, and what it answers.

use portcullis_policies::kit::{
    chain::{Request, Response},
    message::{Kind, Message, Method},
    refusal::Reason,
    reply::Reply,
};

use super::{
    Forward,
    begin::Agreed,
    contact::{self, Refused},
    ended,
    eras::Era,
    headers, served,
    session::{Held, Owner, Session},
    spoken::Aside,
    upstream::{Behalf, Carry, Failure, Received, Sending},
};

impl Forward {
    /// Sends a message as it is, to an upstream of its own era. If that turns out to be of the other one, the message goes
    /// there through the bridge.
    pub(super) async fn straight(
        &self,
        request: &Request,
        message: &Message,
        session: Option<&Session>,
    ) -> Result<Response, Failure> {
        let has_asides = session.is_some_and(|session| session.has_asides);
        // Boxed, here and below: only some need it, and each call carries the space for it otherwise.
        let outcome = if has_asides {
            Box::pin(self.with_asides(request, message, session)).await
        } else {
            let again = || headers::to_upstream(self.upstream().endpoint.template(), request, session);
            let carry = Carry::of(message, session.is_some().then_some(&again));
            self.upstream().exchange(self.sending(request, message, session), carry).await
        };
        match outcome {
            Ok(received) if received.status.is_success() && !is_refused_discovery(message, &received) => {
                if message.is_modern() {
                    self.eras().learn(Era::Modern, true);
                }
                Ok(self.respond(request, message, received, &Opens::in_session(session)))
            }
            outcome => Box::pin(self.refused(request, message, session, outcome)).await,
        }
    }

    /// In a session in which the upstream may have something to say beside its answers.
    async fn with_asides(
        &self,
        request: &Request,
        message: &Message,
        session: Option<&Session>,
    ) -> Result<Received, Failure> {
        let again = || headers::to_upstream(self.upstream().endpoint.template(), request, session);
        let carry = Carry::of(message, Some(&again));
        let sending = self.sending(request, message, session);
        let Some(aside) = session.and_then(|session| Aside::of(self, request, session)) else {
            return self.upstream().exchange(sending, carry).await;
        };
        aside.expects(message)?;
        match self.upstream().exchange(sending, carry).await {
            Ok(received) if received.status.is_success() => Ok(aside.join(message, received).await),
            outcome => {
                aside.end_if_over(outcome.as_ref());
                outcome
            }
        }
    }

    /// A client's own message.
    pub(super) fn sending<'a>(
        &self,
        request: &'a Request,
        message: &'a Message,
        session: Option<&Session>,
    ) -> Sending<'a> {
        Sending {
            headers: headers::to_upstream(self.upstream().endpoint.template(), request, session),
            message: message.bytes().clone(),
            awaiting: message.id().filter(|_| matches!(message.kind(), Kind::Request(_))),
            behalf: Behalf::of(request),
        }
    }

    /// The upstream's answer as the client's. `opens`: what a session's id means that the upstream names in it.
    pub(super) fn respond(
        &self,
        request: &Request,
        message: &Message,
        received: Received,
        opens: &Opens<'_>,
    ) -> Response {
        let Received { status, headers, reply } = served::narrow(self.0.serves, message, received);
        let events = matches!(reply, Reply::Events(_));
        let mut response = http::Response::new(reply);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        headers::to_client(response.headers_mut(), events, |id| {
            let id = id.to_str().ok()?;
            self.sessions().seal(Owner::of(request), &opens.session(id)?)
        });
        response
    }

    /// The upstream did not take the message.
    async fn refused(
        &self,
        request: &Request,
        message: &Message,
        session: Option<&Session>,
        outcome: Result<Received, Failure>,
    ) -> Result<Response, Failure> {
        let refused = Refused::by(&outcome);
        let outcome = if !message.is_modern() {
            ended::judge(self, request, session, refused, outcome).await
        } else if contact::is_of_older_era(self, request, message, refused).await {
            let outcome = self.through_session(request, message).await;
            if outcome.as_ref().is_err_and(|failure| is_strange(failure.refusal.reason())) {
                // It takes neither: that says something about this caller, and nothing about the upstream.
                self.eras().forget(Era::Modern);
            }
            return outcome;
        } else {
            outcome
        };
        outcome.map(|received| self.respond(request, message, received, &Opens::in_session(session)))
    }
}

/// What it means that an upstream names a session in its answer. Many servers do so in every answer, and their clients go on
/// with the last id that they got.
#[derive(Clone, Debug)]
pub(super) enum Opens<'a> {
    /// A session has begun, in which this was agreed on.
    Begun(Agreed),
    /// It is the one that is under way; or it takes the place of that one.
    GoesOn(&'a Session),
    /// Nothing: sessions begin with `initialize`, and requests of 2026-07-28 have none.
    Nothing,
}

impl<'a> Opens<'a> {
    /// In an answer to anything but `initialize`.
    fn in_session(session: Option<&'a Session>) -> Self {
        session.map_or(Self::Nothing, Self::GoesOn)
    }

    /// The session that the client is told of; none if it knows already, or has none.
    fn session(&self, id: &str) -> Option<Session> {
        let held = Held::ByUpstream(id.to_owned());
        match self {
            Self::Begun(Agreed { version, has_asides, opens_pages }) => {
                Some(Session { version: version.clone(), held, has_asides: *has_asides, opens_pages: *opens_pages })
            }
            Self::GoesOn(session) if session.held == held => None,
            Self::GoesOn(session) => Some(Session { held, ..(*session).clone() }),
            Self::Nothing => None,
        }
    }
}

/// Is it how an upstream refuses what it does not understand?
fn is_strange(reason: Reason) -> bool {
    matches!(reason, Reason::UpstreamStatus | Reason::UpstreamInvalid)
}

/// Each server of 2026-07-28 answers `server/discover`: an error, under whatever status, is a word about its era.
fn is_refused_discovery(message: &Message, received: &Received) -> bool {
    message.method() == Some(&Method::Discover) && !contact::error_in(&received.reply).is_null()
}
