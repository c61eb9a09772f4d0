//! How the gateway itself speaks to an upstream, for one caller.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use portcullis_policies::kit::{
    chain::{Request, RequestId},
    credential::UpstreamCredential,
};

use super::warm::Warm;
use crate::proxy::{
    Failure, Forward, ended,
    headers::{self, SESSION, VERSION},
    hearing::Hearing,
    upstream::{Behalf, Carry, Received, Sending, Upstream},
};

/// The way of one caller to the upstream.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) upstream: Upstream,
    /// With the caller's credential, without session and version.
    headers: HeaderMap,
    credential: Option<UpstreamCredential>,
    request_id: Option<RequestId>,
}

impl Link {
    pub(super) fn of(forward: &Forward, request: &Request) -> Self {
        let upstream = forward.0.upstream.clone();
        let Behalf { credential, request_id } = Behalf::of(request);
        let headers = headers::own(upstream.endpoint.template(), request, &[]);
        Self { upstream, headers, credential: credential.cloned(), request_id }
    }

    /// The same, with the time that a person may take to answer: the upstream has nothing to say meanwhile.
    pub(super) fn patient(&self) -> Self {
        let mut link = self.clone();
        let clocks = &mut link.upstream.clocks;
        clocks.idle_events = clocks.idle_events.max(clocks.input + clocks.keep_alive);
        clocks.total += clocks.input;
        link
    }

    /// Posts one message, at most once. `awaiting` is the id of the request that it is, as JSON text.
    pub(super) async fn post(
        &self,
        session: Option<&Warm>,
        message: impl Into<Bytes>,
        awaiting: Option<&str>,
    ) -> Result<Received, Failure> {
        let headers = || self.headers(session);
        let sending = Sending { headers: headers(), message: message.into(), awaiting, behalf: self.behalf() };
        // What has no session can be asked for nothing that was said before.
        let carry = if session.is_some_and(|session| session.id.is_some()) && awaiting.is_some() {
            Carry::Resumed(&headers)
        } else {
            Carry::Plainly
        };
        self.upstream.exchange(sending, carry).await
    }

    /// What the upstream says of its own accord in a session.
    pub(super) fn hear(&self, session: &Warm) -> Hearing {
        self.upstream.hear(self.headers(Some(session)), self.credential.as_ref())
    }

    /// Ends a session, as far as the upstream lets its clients do that.
    pub(super) async fn end(&self, session: HeaderMap) {
        ended::end(&self.upstream, session, self.credential.as_ref()).await;
    }

    /// What every request of a session says.
    pub(super) fn headers(&self, session: Option<&Warm>) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(Warm { id, version, .. }) = session {
            headers.insert(VERSION, version.clone());
            headers.extend(id.iter().map(|id: &HeaderValue| (SESSION, id.clone())));
        }
        headers
    }

    /// The caller's credential for the upstream.
    pub(super) fn credential(&self) -> Option<&UpstreamCredential> {
        self.credential.as_ref()
    }

    /// May the caller's credential not be used any more?
    pub(super) fn is_over(&self) -> bool {
        self.credential.as_ref().is_some_and(UpstreamCredential::is_over)
    }

    /// That of the caller's request, as text.
    pub(super) fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    pub(super) fn behalf(&self) -> Behalf<'_> {
        Behalf { credential: self.credential.as_ref(), request_id: self.request_id }
    }
}
