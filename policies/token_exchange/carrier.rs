//! The layer: each request gets its credential, or its sender is told how to get one.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use tokio::time::sleep;

use super::{
    ask::Ask,
    unconnected::{Arrived, Unconnected},
};
use crate::kit::{
    chain::{Answer, Arrival, Inbound, Request, Response, RouteService, refuse},
    challenge::bearer,
    credential::{
        AuthMode, Connections, CredentialRefused, NoCredential, Obtained, Obtaining, Renewal, Resendable, SubjectToken,
        UpstreamAttempts, UpstreamAuth, UpstreamChallenge, UpstreamCredential, UpstreamTarget, Wanted,
    },
    host::Host,
    refusal::{Reason, Refusal},
    session::OwnSession,
};

/// When somebody has just said that they open the page, the call waits for them: that long, then again, and so on.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

pub(super) struct Carrier {
    auth: Arc<UpstreamAuth>,
    connections: Arc<dyn Connections>,
    unconnected: Unconnected,
    takes_inbound: bool,
}

impl Carrier {
    pub(super) fn new(auth: UpstreamAuth, connections: Arc<dyn Connections>, host: &Host) -> Self {
        let auth = Arc::new(auth);
        let unconnected = Unconnected::new(Arc::clone(&auth), host);
        let takes_inbound =
            matches!(&auth.mode, AuthMode::TokenExchange(exchange) if exchange.subject_token == SubjectToken::Inbound);
        Self { auth, connections, unconnected, takes_inbound }
    }

    pub(super) fn call(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answer {
        let Some(message) = request.body().message() else { return inner.run(request) };
        let plain = !self.unconnected.concerns(message, request.headers());
        if plain && let Some(credential) = self.at_once(&request) {
            return self.send(request, credential, inner);
        }
        let (carrier, inner) = (Arc::clone(self), inner.clone());
        Box::pin(async move { Ok(carrier.take_time(request, &inner).await) })
    }

    /// The credential, if it is there without waiting. Whatever else is the case is found again by
    /// [`Self::take_time`].
    fn at_once(&self, request: &Request) -> Option<UpstreamCredential> {
        let facts = request.extensions();
        if facts.get::<Renewal>().is_some() {
            return None;
        }
        let arrival = facts.get::<Arrival>();
        let wanted = Wanted {
            auth: &self.auth,
            target: facts.get::<UpstreamTarget>()?,
            caller: facts.get(),
            route: arrival.map_or("", |arrival| &arrival.route),
            request_id: arrival.map(|arrival| arrival.request_id),
        };
        match self.connections.obtain(wanted, self.inbound(request)) {
            Obtaining::Ready(obtained) => obtained.ok(),
            Obtaining::Pending(_) => None,
        }
    }

    /// The token that the call itself showed, where it is to be exchanged. A malformed one was refused at the door.
    fn inbound<'a>(&self, request: &'a Request) -> Option<&'a str> {
        if self.takes_inbound { bearer(request.headers()).ok().flatten() } else { None }
    }

    /// The usual case.
    fn send(self: &Arc<Self>, mut request: Request, credential: UpstreamCredential, inner: &RouteService) -> Answer {
        let ask = if is_resendable(&request) { None } else { Ask::of(&request) };
        request.extensions_mut().insert(credential.clone());
        let (carrier, answer) = (Arc::clone(self), inner.run(request));
        Box::pin(async move {
            let Ok(mut response) = answer.await;
            match refused(&mut response, &credential) {
                None => Ok(response),
                Some(refused) => Ok(carrier.pass_on(response, refused, ask.as_ref()).await),
            }
        })
    }

    /// The upstream did not take the credential of a call that was not sent before. Whoever stands outside sends it once
    /// more; where nobody does (`ask`), the next call is better off.
    async fn pass_on(&self, mut response: Response, refused: CredentialRefused, ask: Option<&Ask>) -> Response {
        let Some(ask) = ask else {
            response.extensions_mut().insert(refused);
            return response;
        };
        if refused.challenge.status == StatusCode::UNAUTHORIZED {
            self.connections.suspect(&refused);
            return ask.refuse(again_later());
        }
        // The upstream asks for more than the person said yes to, which no repetition mends.
        let obtained = match self.connections.renew(ask.wanted(&self.auth), &refused, None) {
            Obtaining::Ready(obtained) => obtained,
            Obtaining::Pending(obtaining) => obtaining.await,
        };
        match obtained {
            Ok(_) => ask.refuse(again_later()),
            Err(NoCredential::Refused(refusal)) => ask.refuse(refusal),
            Err(NoCredential::Connect(required)) => self.unconnected.answer(ask, &required, None, false, None).await,
        }
    }

    async fn take_time(&self, mut request: Request, inner: &RouteService) -> Response {
        let Some(mut ask) = Ask::of(&request) else {
            tracing::error!("nobody has said which upstream the credential is for");
            return refuse(&request, Reason::Internal.into());
        };
        let Arrived { session, round } = match self.unconnected.arrive(&ask, request.headers()) {
            Ok(arrived) => arrived,
            Err(refusal) => return ask.refuse(refusal),
        };
        if let Some(round) = &round {
            ask.message = round.message.clone();
            *request.body_mut() = Inbound::Message(round.message.clone());
        }
        let renewal = request.extensions_mut().remove::<Renewal>().map(|Renewal(refused)| refused);
        let mut obtained = self.obtain(&ask, &request, renewal.as_ref()).await;
        // What the upstream refused just now is another question, which nobody has been asked yet.
        if renewal.is_none() && round.as_ref().is_some_and(|round| round.was_accepted()) {
            obtained = self.wait(obtained, &ask, &request).await;
        }
        match obtained {
            Ok(credential) => {
                self.connected(&ask, request, credential, session.as_ref(), renewal.is_some(), inner).await
            }
            Err(NoCredential::Refused(refusal)) => ask.refuse(refusal),
            Err(NoCredential::Connect(required)) => {
                let declined = round.is_some_and(|round| round.was_declined());
                self.unconnected.answer(&ask, &required, session.as_ref(), declined, Some((request, inner))).await
            }
        }
    }

    async fn obtain(&self, ask: &Ask, request: &Request, refused: Option<&CredentialRefused>) -> Obtained {
        let (wanted, inbound) = (ask.wanted(&self.auth), self.inbound(request));
        let obtaining = match refused {
            Some(refused) => self.connections.renew(wanted, refused, inbound),
            None => self.connections.obtain(wanted, inbound),
        };
        match obtaining {
            Obtaining::Ready(obtained) => obtained,
            Obtaining::Pending(obtaining) => obtaining.await,
        }
    }

    /// Clients repeat the call as soon as the person has agreed to open the page, which is long before they are through.
    async fn wait(&self, mut obtained: Obtained, ask: &Ask, request: &Request) -> Obtained {
        for pause in PAUSES {
            if !matches!(obtained, Err(NoCredential::Connect(_))) {
                break;
            }
            sleep(pause).await;
            obtained = self.obtain(ask, request, None).await;
        }
        obtained
    }

    async fn connected(
        &self,
        ask: &Ask,
        mut request: Request,
        credential: UpstreamCredential,
        session: Option<&OwnSession>,
        is_renewal: bool,
        inner: &RouteService,
    ) -> Response {
        if let Some(answer) = self.unconnected.answer_connected(ask, session) {
            return answer;
        }
        let resendable = is_resendable(&request);
        request.extensions_mut().insert(credential.clone());
        let mut response = match session {
            Some(session) => self.unconnected.forward(ask, request, session, &credential, inner).await,
            None => {
                let Ok(response) = inner.run(request).await;
                response
            }
        };
        let mut response = match refused(&mut response, &credential) {
            None => {
                self.unconnected.learn(ask, &response);
                response
            }
            Some(refused) if is_renewal => self.give_up(ask, &refused, session).await,
            Some(refused) => return self.pass_on(response, refused, (!resendable).then_some(ask)).await,
        };
        if is_renewal {
            response.extensions_mut().insert(UpstreamAttempts(2));
        }
        response
    }

    /// The upstream takes no credential of this connection.
    async fn give_up(&self, ask: &Ask, refused: &CredentialRefused, session: Option<&OwnSession>) -> Response {
        match self.connections.give_up(ask.wanted(&self.auth), refused).await {
            NoCredential::Refused(refusal) => ask.refuse(refusal),
            NoCredential::Connect(required) => self.unconnected.answer(ask, &required, session, false, None).await,
        }
    }
}

fn is_resendable(request: &Request) -> bool {
    request.extensions().get::<Resendable>().is_some()
}

/// Did the upstream refuse the credential, in a way that another one can mend?
fn refused(response: &mut Response, credential: &UpstreamCredential) -> Option<CredentialRefused> {
    let challenge = response.extensions().get::<UpstreamChallenge>()?;
    if challenge.status != StatusCode::UNAUTHORIZED && !challenge.asks_for_scope() {
        return None;
    }
    let challenge = response.extensions_mut().remove()?;
    Some(CredentialRefused { credential: credential.clone(), challenge })
}

fn again_later() -> Refusal {
    let message = "The upstream did not take the credential any more; the next call shows it a newer one.";
    Refusal::new(Reason::CredentialUnavailable, message)
        .with_remedy("Repeat the call.")
        .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
}
