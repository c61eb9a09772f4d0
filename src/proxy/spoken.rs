//! Sessions in which the upstream speaks beside its answers: its own stream is listened to (GET), and what comes on it goes
//! out with the session's calls (`tr_18` and `tr_19` of `tests/COVERAGE.md`).

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use portcullis_policies::kit::{
    chain::Request,
    message::{Kind, Message},
    refusal::{Reason, Refusal},
    reply::Reply,
};

use super::{
    Forward,
    aside::{Injected, Mailbox, One, Place},
    headers::{self, SESSION, VERSION},
    session::{Held, Owner, Session},
    upstream::{Failure, Received},
};

/// One request in such a session.
pub(super) struct Aside<'a> {
    forward: &'a Forward,
    request: &'a Request,
    session: &'a Session,
    place: Place<'a>,
    mailbox: Arc<Mailbox>,
}

impl<'a> Aside<'a> {
    /// None where as many sessions are listened to as may be.
    pub(super) fn of(forward: &'a Forward, request: &'a Request, session: &'a Session) -> Option<Self> {
        let Held::ByUpstream(id) = &session.held else { return None };
        let place = Place { route: forward.route(), owner: Owner::of(request), session: id };
        let mailbox = forward.shared().asides().mailbox(place, forward.upstream().clocks.idle_session)?;
        Some(Self { forward, request, session, place, mailbox })
    }

    /// Refuses a response to what was never asked.
    ///
    /// Only what passes through this process is known. So a response is taken on trust where another process may have
    /// carried the question.
    pub(super) fn expects(&self, message: &Message) -> Result<(), Refusal> {
        let is_response = *message.kind() == Kind::Response;
        let is_known = || self.mailbox.was_asked(message.id().unwrap_or_default());
        if is_response && !self.forward.shared().has_peers() && self.mailbox.has_carried() && !is_known() {
            return Err(Reason::UnaskedResponse.into());
        }
        Ok(())
    }

    /// The upstream's answer, with what it has said and says beside it.
    pub(super) async fn join(self, message: &Message, received: Received) -> Received {
        self.attend();
        let is_request = matches!(message.kind(), Kind::Request(_));
        let Received { status, mut headers, reply } = received;
        let reply = match reply {
            Reply::Events(source) => Reply::Events(Box::new(Injected::new(source, self.mailbox.inlet()))),
            Reply::Full(answer) if is_request => {
                self.mailbox.settle().await;
                if self.mailbox.has_news() {
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                    let answer = Box::new(One::message(&answer));
                    Reply::Events(Box::new(Injected::new(answer, self.mailbox.inlet())))
                } else {
                    Reply::Full(answer)
                }
            }
            reply => reply,
        };
        Received { status, headers, reply }
    }

    /// A session that the upstream does not know is listened to no more.
    pub(super) fn end_if_over(&self, outcome: Result<&Received, &Failure>) {
        let status = outcome.map_or_else(|failure| failure.refusal.status(), |received| received.status);
        if status == StatusCode::NOT_FOUND {
            self.forward.shared().asides().forget(self.place);
        }
    }

    fn attend(&self) {
        let credential = self.place.owner.credential;
        self.mailbox.attend(credential, || {
            let upstream = self.forward.upstream();
            let mcp: Vec<_> = [
                self.session.upstream_id().map(|id| (SESSION, id)),
                self.request
                    .headers()
                    .get(VERSION)
                    .cloned()
                    .or_else(|| self.session.version_header())
                    .map(|version| (VERSION, version)),
            ]
            .into_iter()
            .flatten()
            .collect();
            upstream.hear(headers::own(upstream.endpoint.template(), self.request, &mcp), credential)
        });
    }
}
