//! Messages that go to the upstream as they are, and what it answers.

use portcullis_policies::kit::{
    chain::{Request, Response},
    message::{Kind, Message, Method},
    reply::Reply,
};

use super::{
    Forward,
    contact::{self, Refused},
    ended,
    eras::Era,
    headers, served,
    session::{Held, Owner, Session},
    upstream::{Behalf, Failure, Received, Sending},
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
        match self.upstream().post(self.sending(request, message, session)).await {
            Ok(received) if received.status.is_success() && !is_refused_discovery(message, &received) => {
                if message.is_modern() {
                    self.eras().learn(Era::Modern, true);
                }
                Ok(self.respond(request, message, received, None))
            }
            // Boxed: rare, and each call carries the space for it otherwise.
            outcome => Box::pin(self.refused(request, message, session, outcome)).await,
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

    /// The upstream's answer as the client's. `version`: what was agreed on, if the answer opens a session.
    pub(super) fn respond(
        &self,
        request: &Request,
        message: &Message,
        received: Received,
        version: Option<&str>,
    ) -> Response {
        let owner = Owner::of(request);
        let Received { status, headers, reply } = served::narrow(self.0.serves, message, received);
        let events = matches!(reply, Reply::Events(_));
        let mut response = http::Response::new(reply);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        headers::to_client(response.headers_mut(), events, |id| {
            let held = Held::ByUpstream(id.to_str().ok()?.to_owned());
            let credential_version = owner.credential.map_or(0, |credential| credential.version());
            let version = version.map(ToOwned::to_owned);
            self.sessions().seal(owner, &Session { version, held, credential_version })
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
            return self.through_session(request, message).await;
        } else {
            outcome
        };
        outcome.map(|received| self.respond(request, message, received, None))
    }
}

/// Each server of 2026-07-28 answers `server/discover`: an error, under whatever status, is a word about its era.
fn is_refused_discovery(message: &Message, received: &Received) -> bool {
    message.method() == Some(&Method::Discover) && contact::error_code(&received.reply).is_some()
}
