//! How the gateway gets tokens for an upstream: found out by its own code, as far as nothing is registered and nobody asked.

use portcullis_policies::kit::credential::{AuthMode, OAuthUpstream, UpstreamAuth};
use url::Url;

use super::{super::finding::Finding, case::Deployment};
use crate::{
    config::PlannedRoute,
    fault::Fault,
    store::{ConnectionKey, ConnectionState, Tenant},
    upstreams::{
        connections::{document_url, redirect_uri},
        oauth::{Discovered, Flow, RegistrationKind, SetupError, UpstreamOAuth, registration_kind},
    },
};

pub(super) async fn possible(case: &Deployment, route: &PlannedRoute, auth: &UpstreamAuth) -> Vec<Finding> {
    let place = format!("{} ({}, {})", route.path, auth.mode.name(), auth.id);
    let (upstream, flow) = match &auth.mode {
        AuthMode::UserOAuth(upstream) | AuthMode::SharedOAuth(upstream) => (upstream, Flow::Code),
        AuthMode::ClientCredentials(upstream) => (upstream, Flow::ClientCredentials),
        AuthMode::UserKey(_) => return vec![Finding::ok(&format!("{place}: answers; people bring their own keys"))],
        AuthMode::TokenExchange(_) | AuthMode::IdJag(_) => {
            return vec![Finding::ok(&format!("{place}: answers; tokens are exchanged when somebody calls"))];
        }
    };
    let Some(target) = route.upstream.url.as_deref().and_then(|url| Url::parse(url).ok()) else {
        return vec![Finding::skipped(&format!("{place}: the upstream has no address"))];
    };
    vec![match way_in(case, &auth.id, &target, upstream, flow).await {
        Err(error) => finding(&error, &place, &target),
        Ok(way) if matches!(auth.mode, AuthMode::SharedOAuth(_)) => {
            shared(case, &auth.id, &target, &format!("{place}: {way}")).await
        }
        Ok(way) => Finding::ok(&format!("{place}: {way}")),
    }]
}

/// Where tokens come from, and how the gateway is known there.
async fn way_in(
    case: &Deployment,
    id: &str,
    target: &Url,
    upstream: &OAuthUpstream,
    flow: Flow,
) -> Result<String, SetupError> {
    let server = discovered(case, target, upstream, flow).await?;
    let back = (flow == Flow::Code).then(|| redirect_uri(&case.origin, id));
    let document = document_url(&case.origin, id, upstream);
    let how = match registration_kind(&server, upstream, document.as_ref(), back.as_ref())? {
        RegistrationKind::Configured => "the gateway is known there as the configuration says".to_owned(),
        RegistrationKind::Document => "the gateway is known there by its own document".to_owned(),
        RegistrationKind::Dynamic => match kept(case, &server.issuer, back.as_ref()).await {
            Some(client) => format!("the gateway is registered there as {client}"),
            None => "the gateway registers itself there when somebody first connects".to_owned(),
        },
    };
    Ok(format!("tokens come from {}; {how}", server.issuer))
}

async fn discovered(
    case: &Deployment,
    target: &Url,
    upstream: &OAuthUpstream,
    flow: Flow,
) -> Result<Discovered, SetupError> {
    let oauth = UpstreamOAuth::new(case.client.clone(), case.clock());
    let challenge = match &upstream.classic {
        None => oauth.challenge(target).await,
        Some(_) => None,
    };
    oauth.discover(flow, upstream, target, challenge.as_ref()).await
}

/// The registration that the store has.
async fn kept(case: &Deployment, issuer: &str, redirect_uri: Option<&Url>) -> Option<String> {
    let Ok(Some(store)) = &case.store else { return None };
    let place = redirect_uri.map_or("", Url::as_str);
    let record = store.upstream_client(&Tenant::DEFAULT, issuer, place).await.ok()??;
    record.expires_at.is_none_or(|end| case.clock().now() < end).then_some(record.client_id)
}

/// One connection for all, which an operator makes.
async fn shared(case: &Deployment, id: &str, target: &Url, place: &str) -> Finding {
    let key = ConnectionKey { upstream: id.to_owned(), subject: String::new() };
    let connection = match &case.store {
        Ok(Some(store)) => store.connection(&Tenant::DEFAULT, &key).await,
        _ => Ok(None),
    };
    let standing = match connection {
        Ok(Some(connection)) if connection.target.trim_end_matches('/') == target.as_str().trim_end_matches('/') => {
            match connection.state {
                ConnectionState::Connected => return Finding::ok(&format!("{place}; connected")),
                ConnectionState::ReconsentRequired => format!("it ended: {}", connection.because),
            }
        }
        Ok(_) => "nobody has connected it yet".to_owned(),
        Err(error) => error.to_string(),
    };
    let command = format!("portcullis connections connect {id} --config '{}'", case.file.display());
    let fix = format!("Run `{command}`, and open the link that it prints.");
    Finding::of(Fault::NobodyConnected, &format!("{place}; {standing}")).with_fix(fix).of_server(target)
}

fn finding(error: &SetupError, place: &str, target: &Url) -> Finding {
    let finding = Finding::of(error.code.fault(), &format!("{place}: {error}")).of_server(target);
    let mut places = error.transcript.steps().iter().rev().filter_map(|step| step.at.as_deref());
    match places.find_map(|at| Url::parse(at).ok()) {
        Some(at) => finding.at(&at),
        None => finding,
    }
}
