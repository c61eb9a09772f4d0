//! What a call asks: its credential, at once where it is at hand.

use std::{borrow::Cow, pin::Pin, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use portcullis_policies::kit::{
    credential::{
        AuthMode, ConnectRequired, ConnectState, Connections, CredentialRefused, NoCredential, Obtained, Obtaining,
        SubjectToken, UpstreamAuth, UpstreamCredential, Wanted,
    },
    refusal::{Reason, Refusal},
};

use super::{
    ConnectionBook,
    flight::{Errand, Goal, Lack, Outcome},
    links::Purpose,
    slot::Slot,
};
use crate::store::{Digest, StoreError};

/// Flights that a call waits for at most. One that was under way already may bring less than the call needs.
const FLIGHTS: usize = 4;

impl Connections for ConnectionBook {
    fn obtain<'a>(&'a self, wanted: Wanted<'a>, inbound: Option<&'a str>) -> Obtaining<'a> {
        let subject = match holder(&wanted, inbound) {
            Ok(subject) => subject,
            Err(refusal) => return Obtaining::Ready(Err(NoCredential::Refused(refusal))),
        };
        let (now, configuration) = (self.0.clock.now(), self.0.routes.version());
        let ready = self.0.slots.with(&wanted.auth.id, &wanted.target.0, &subject, |slot| {
            let (credential, is_due) = slot.ready(now, configuration)?;
            if is_due {
                self.board(slot, || Errand::new(wanted, inbound, Goal::Ahead));
            }
            Some(credential)
        });
        match ready.flatten() {
            Some(credential) if !self.is_deaf(wanted.auth) => Obtaining::Ready(Ok(credential)),
            _ => Obtaining::Pending(Box::pin(self.fetch(wanted, subject, inbound, Goal::Any))),
        }
    }

    fn renew<'a>(
        &'a self,
        wanted: Wanted<'a>,
        refused: &'a CredentialRefused,
        inbound: Option<&'a str>,
    ) -> Obtaining<'a> {
        match holder(&wanted, inbound) {
            Ok(subject) => {
                let goal = Goal::Newer(Box::new(refused.clone()));
                Obtaining::Pending(Box::pin(self.fetch(wanted, subject, inbound, goal)))
            }
            Err(refusal) => Obtaining::Ready(Err(NoCredential::Refused(refusal))),
        }
    }

    fn give_up<'a>(
        &'a self,
        wanted: Wanted<'a>,
        refused: &'a CredentialRefused,
    ) -> Pin<Box<dyn Future<Output = NoCredential> + Send + 'a>> {
        Box::pin(async move {
            let subject = match subject(&wanted) {
                Ok(subject) => subject,
                Err(refusal) => return NoCredential::Refused(refusal),
            };
            match self.fetch(wanted, subject.into(), None, Goal::GiveUp(Box::new(refused.clone()))).await {
                Err(lack) => lack,
                Ok(_) => NoCredential::Refused(Refusal::new(
                    Reason::CredentialUnavailable,
                    "The upstream refused the call's credential, which was replaced meanwhile.",
                )),
            }
        })
    }

    fn suspect(&self, refused: &CredentialRefused) {
        // What is over is not at hand any more, and whoever looks for the next one knows why.
        if refused.challenge.status == StatusCode::UNAUTHORIZED {
            refused.credential.end();
        }
    }
}

/// Whose credential it is; empty where all share one.
pub(super) fn subject<'a>(wanted: &Wanted<'a>) -> Result<&'a str, Refusal> {
    if !wanted.auth.mode.is_personal() {
        return Ok("");
    }
    let subject = wanted.caller.map(|caller| &*caller.subject).filter(|subject| !subject.is_empty());
    subject.ok_or_else(|| {
        let message = "The upstream wants each person's own credential, and the route does not say who calls.";
        Refusal::new(Reason::UpstreamSetup, message).with_data("setup", "no_caller")
    })
}

/// Whose credential is at hand: where the call's own token is exchanged, what came of one token is not for calls with
/// another one, which may be worth less.
fn holder<'a>(wanted: &Wanted<'a>, inbound: Option<&str>) -> Result<Cow<'a, str>, Refusal> {
    let subject = subject(wanted)?;
    Ok(match (&wanted.auth.mode, inbound) {
        (AuthMode::TokenExchange(exchange), Some(token)) if exchange.subject_token == SubjectToken::Inbound => {
            format!("{subject} by {}", Digest::of(token.as_bytes())).into()
        }
        _ => subject.into(),
    })
}

impl ConnectionBook {
    async fn fetch(&self, wanted: Wanted<'_>, subject: Cow<'_, str>, inbound: Option<&str>, goal: Goal) -> Obtained {
        let slot = self.0.slots.slot(&wanted.auth.id, &wanted.target.0, &subject);
        for _ in 0..FLIGHTS {
            if let Some(credential) = self.at_hand(wanted.auth, &slot, &goal) {
                return Ok(credential);
            }
            let flight = self.board(&slot, || Errand::new(wanted, inbound, goal.clone()));
            match flight.outcome().await {
                Ok(credential) if goal.is_reached_by(&credential) => return Ok(credential),
                Ok(_) => {}
                Err(lack) => return Err(self.tell(lack, wanted, &subject).await),
            }
        }
        let lack = Lack::for_now("The credential for the upstream changes faster than it can be used.", PAUSE);
        Err(self.tell(lack, wanted, &subject).await)
    }

    fn at_hand(&self, auth: &UpstreamAuth, slot: &Slot, goal: &Goal) -> Option<UpstreamCredential> {
        if self.is_deaf(auth) {
            return None;
        }
        let (credential, _) = slot.ready(self.0.clock.now(), self.0.routes.version())?;
        goal.is_reached_by(&credential).then_some(credential)
    }

    /// Has the store been silent for so long that nobody knows whether connections still are what they were?
    fn is_deaf(&self, auth: &UpstreamAuth) -> bool {
        is_stored(&auth.mode) && self.0.feed.is_deaf()
    }

    /// Fetches a credential.
    pub(super) async fn fly(&self, slot: &Arc<Slot>, errand: Errand) -> Outcome {
        let _flying = self.0.flights.acquire().await.map_err(|_| Lack::Refused(Reason::ShuttingDown.into()))?;
        if is_stored(&errand.auth.mode) {
            Box::pin(self.stored(slot, &errand)).await
        } else {
            Box::pin(self.granted(slot, &errand)).await
        }
    }

    /// What the caller is told: for whoever must connect, a link of their own.
    async fn tell(&self, lack: Lack, wanted: Wanted<'_>, subject: &str) -> NoCredential {
        let (state, because, scopes) = match lack {
            Lack::Refused(refusal) => return NoCredential::Refused(refusal),
            Lack::Connect { .. } if subject.is_empty() => return Reason::OperatorMustConnect.into(),
            Lack::Connect { state, because, scopes } => (state, because, scopes),
        };
        let purpose = Purpose {
            upstream: &wanted.auth.id,
            subject,
            route: wanted.route,
            target: &wanted.target.0,
            scopes,
            request_id: wanted.request_id,
        };
        match self.offer(purpose).await {
            Ok(offer) => NoCredential::Connect(ConnectRequired {
                state,
                url: offer.url.clone(),
                elicitation_id: offer.elicitation_id.clone(),
                message: message(&wanted.auth.display_name, state, &because),
            }),
            Err(error) => NoCredential::Refused(no_store(&error)),
        }
    }
}

/// How long callers wait who met something that should not last.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Is the credential kept in the store?
pub(super) fn is_stored(mode: &AuthMode) -> bool {
    matches!(mode, AuthMode::UserOAuth(_) | AuthMode::SharedOAuth(_) | AuthMode::UserKey(_))
}

pub(super) fn message(name: &str, state: ConnectState, because: &str) -> String {
    match state {
        ConnectState::Authenticating => format!("Connect to {name} first: {because}."),
        ConnectState::ReconsentRequired => format!("Connect to {name} once more: {because}."),
    }
}

/// The store does not do its work, which the log says.
pub(super) fn no_store(error: &StoreError) -> Refusal {
    tracing::error!(%error, "connections cannot be looked up");
    match error {
        StoreError::Unsealable { .. } => Reason::VaultClosed.into(),
        _ => Refusal::new(Reason::CredentialUnavailable, "The gateway's store does not answer, so nothing was sent.")
            .with_header(RETRY_AFTER, HeaderValue::from_static("1")),
    }
}
