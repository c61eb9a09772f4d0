#![doc = include_str!("README.md")]

mod options;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use http::Uri;

pub use self::options::{Audience, IssuerOptions, JwtInboundOptions};
use self::options::{Issuer, checked};
use crate::kit::{
    audit::enter,
    chain::{Arrival, RouteLayer, around, refuse},
    challenge::{Challenge, bearer_only, unavailable},
    clock::Clock,
    host::{Caller, Host, Identity},
    jwt::{Claims, JwtError, KEYS_UNAVAILABLE, Token},
    policy::{Deployment, Examining, Fact, Policy, Problem},
    refusal::Refusal,
    rehearsal::Rehearsal,
    scopes::ScopeRules,
    sign_in::{AccessTokens, Outside},
};

/// Lets callers in who have an access token of an authorization server outside.
#[derive(Debug)]
pub struct JwtInbound;

impl Policy for JwtInbound {
    const NAME: &'static str = "jwt-inbound";
    const SUMMARY: &'static str = "lets in who has an access token (JWT) of an outside authorization server";
    const GIVES: &'static [Fact] = &[Fact::CALLER];
    const REHEARSAL: Rehearsal<Self::Options> =
        Rehearsal::Instead(|options, stage| Ok(stage.admission(ScopeRules::new(&options.scopes, &BTreeMap::new())?)));
    type Options = JwtInboundOptions;

    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let (issuers, scopes) = checked(options, host.fetch.as_ref())?;
        let (clock, access_tokens) = (Arc::clone(&host.clock), host.access_tokens.clone());
        let guard = Arc::new(Guard { issuers, scopes, clock, access_tokens });
        Ok(around(move |mut request, inner| {
            let guard = Arc::clone(&guard);
            async move {
                let route = request.extensions().get().map(|arrival: &Arrival| Arc::clone(&arrival.route));
                match guard.admit(request.headers(), request.uri(), route.as_deref().unwrap_or_default()).await {
                    Ok(caller) => {
                        enter(&mut request, caller);
                        let Ok(answer) = inner.run(request).await;
                        answer
                    }
                    Err(refusal) => refuse(&request, refusal),
                }
            }
        }))
    }

    fn outside(options: &Self::Options) -> Option<Outside> {
        Some(Outside {
            issuers: options.issuers.iter().map(|issuer| issuer.outside(options.audience.as_ref())).collect(),
            scopes: options.scopes.iter().map(|scope| scope.as_str().into()).collect(),
        })
    }

    /// Without an issuer's keys, none of its tokens is good.
    fn examine<'a>(options: &'a Self::Options, deployment: &'a Deployment<'a>) -> Examining<'a> {
        Box::pin(async move {
            let Some(fetch) = &deployment.host.fetch else { return Vec::new() };
            let mut problems = Vec::new();
            for (index, issuer) in options.issuers.iter().enumerate() {
                let keys = issuer.outside(options.audience.as_ref()).keys(Arc::clone(fetch));
                if let Err(why) = keys.look().await {
                    let why = format!("the keys of {:?} cannot be had: {why}", issuer.issuer);
                    problems.push(Problem::new(format!("/issuers/{index}"), why).hint(
                        "let the gateway reach the issuer (`gateway.fetch.allowedNetworks`), or correct `issuer` or `jwksUrl`",
                    ));
                }
            }
            problems
        })
    }
}

struct Guard {
    issuers: Vec<Issuer>,
    scopes: Vec<Box<str>>,
    clock: Arc<dyn Clock>,
    access_tokens: Option<Arc<dyn AccessTokens>>,
}

impl Guard {
    /// The only way to a [`Caller`]: every error is a refusal.
    async fn admit(&self, headers: &http::HeaderMap, uri: &Uri, route: &str) -> Result<Caller, Refusal> {
        let metadata = self.access_tokens.as_ref().map(|tokens| tokens.resource_metadata(route));
        let challenge = Challenge { resource_metadata: metadata.as_deref(), scopes: &self.scopes };
        let token = bearer_only(headers, uri)?.ok_or_else(|| challenge.none_presented())?;
        let invalid = |error: JwtError| challenge.invalid_token(&error.to_string());
        let token = Token::parse(token).map_err(invalid)?;
        let issuer = self.issuers.iter().find(|issuer| token.issuer() == Some(&*issuer.rules.issuer));
        let issuer = issuer.ok_or_else(|| invalid(JwtError::Issuer))?;
        let keys = issuer.keys.get(token.kid()).await;
        let keys = keys.map_err(|error| unavailable(error.retry_after).because(KEYS_UNAVAILABLE))?;
        let claims = token.verify(&keys, &issuer.rules, self.clock.now()).map_err(invalid)?;
        if !self.covered(&claims, issuer) {
            return Err(challenge.insufficient_scope());
        }
        caller(claims, issuer).ok_or_else(|| invalid(JwtError::Missing("sub")))
    }

    fn covered(&self, claims: &Claims, issuer: &Issuer) -> bool {
        let given = |wanted: &str| {
            issuer.claims.scopes.iter().flat_map(|name| claims.scopes(name)).any(|scope| scope == wanted)
        };
        self.scopes.iter().all(|scope| given(scope))
    }
}

fn caller(claims: Claims, issuer: &Issuer) -> Option<Caller> {
    let first = |names: &[String]| names.iter().find_map(|name| claims.text(name)).map(str::to_owned);
    let all = |name: &str| claims.list(name).map(str::to_owned).collect();
    let identity = Identity {
        subject: format!("{}|{}", issuer.rules.issuer, claims.subject()?).into(),
        email: claims
            .text("email")
            .filter(|_| claims.at("email_verified").is_some_and(|yes| yes == true))
            .map(str::to_owned),
        name: claims.text("name").map(str::to_owned),
        groups: all(&issuer.claims.groups),
        roles: all(&issuer.claims.roles),
        client: first(&issuer.claims.client),
        tenant: claims.text("tid").or_else(|| claims.text("org_id")).map(str::to_owned),
        claims: claims.into_map(),
    };
    Some(identity.into())
}
