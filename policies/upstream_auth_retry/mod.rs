#![doc = include_str!("README.md")]

use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::{
    chain::{Answer, Arrival, Request, RouteLayer, RouteService, direct},
    credential::{CredentialRefused, Renewal, Resendable},
    host::Host,
    policy::{Fact, Policy, Problem},
    rehearsal::Rehearsal,
};

/// Sends a call once more, with a newer credential, when the upstream has refused the first one.
#[derive(Debug)]
pub struct UpstreamAuthRetry;

/// There is nothing to set.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamAuthRetryOptions {}

impl Policy for UpstreamAuthRetry {
    const NAME: &'static str = "upstream-auth-retry";
    const ALIASES: &'static [&'static str] = &["upstream-auth-retry-inbound"];
    const SUMMARY: &'static str = "renews a credential that the upstream refuses, and sends the same call once more";
    const BEFORE: &'static [Fact] = &[Fact::UPSTREAM_CREDENTIAL];
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = UpstreamAuthRetryOptions;

    fn layer(_: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        Ok(direct(send))
    }
}

fn send(mut request: Request, inner: &RouteService) -> Answer {
    // What has been sent twice, or is no message, is not sent again.
    if request.body().message().is_none() || request.extensions().get::<Resendable>().is_some() {
        return inner.run(request);
    }
    request.extensions_mut().insert(Resendable);
    let (mut again, inner) = (request.clone(), inner.clone());
    let answer = inner.run(request);
    Box::pin(async move {
        let Ok(mut response) = answer.await;
        let Some(refused) = response.extensions_mut().remove::<CredentialRefused>() else { return Ok(response) };
        report(&again, &refused);
        again.extensions_mut().insert(Renewal(refused));
        inner.run(again).await
    })
}

fn report(request: &Request, refused: &CredentialRefused) {
    let arrival = request.extensions().get::<Arrival>();
    tracing::info!(
        request_id = arrival.map(|arrival| arrival.request_id.as_str()),
        route = arrival.map(|arrival| &*arrival.route),
        status = refused.challenge.status.as_u16(),
        credential_version = refused.credential.version(),
        "upstream-auth-retry: the upstream refused the credential; the call is sent once more with a newer one"
    );
}
