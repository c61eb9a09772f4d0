//! Messages that go to an upstream of the other era, through the bridge; and whether it still is of that era.

use portcullis_policies::kit::{
    chain::{Request, Response},
    message::Message,
    refusal::Reason,
};

use super::{Forward, bridge, eras::Era, served, session::Session, upstream::Failure};

impl Forward {
    /// Through a session that the gateway holds, for a client that has none.
    pub(super) async fn through_session(&self, request: &Request, message: &Message) -> Result<Response, Failure> {
        served::check_translated(self.0.serves, message)?;
        let outcome = bridge::modern_client::answer(self, request, message).await;
        self.still_lacks(Era::Modern, request, failed(&outcome)).await;
        outcome
    }

    /// Without a session, for a client that has one.
    pub(super) async fn without_session(
        &self,
        request: &Request,
        message: &Message,
        session: &Session,
    ) -> Result<Response, Failure> {
        let outcome = bridge::legacy_client::answer(self, request, message, session).await;
        self.still_lacks(Era::Legacy, request, failed(&outcome)).await;
        outcome
    }

    /// The beginning of a session that only the gateway knows of; or of one with the upstream, if it has them by now.
    pub(super) async fn begin_without_session(
        &self,
        request: &Request,
        message: &Message,
    ) -> Result<Response, Failure> {
        let outcome = bridge::legacy_client::initialize(self, request, message).await;
        if self.still_lacks(Era::Legacy, request, failed(&outcome)).await {
            outcome
        } else {
            self.begin(request, message).await
        }
    }

    /// Asks an upstream that did not do as expected whether it has been replaced by one that speaks `era`. Nothing is sent
    /// again on that account but `initialize`: what the upstream made of a call is not known.
    async fn still_lacks(&self, era: Era, request: &Request, failed: Option<Reason>) -> bool {
        let Some(reason) = failed else { return true };
        let is_strange = matches!(reason, Reason::UpstreamStatus | Reason::UpstreamInvalid);
        if is_strange && self.eras().is_in_doubt(era) {
            // What it says about one era tells what to think of the other.
            let _ = self.probe(request).await;
        }
        self.eras().speaks(era) == Some(false)
    }
}

fn failed(outcome: &Result<Response, Failure>) -> Option<Reason> {
    outcome.as_ref().err().map(|failure| failure.refusal.reason())
}
