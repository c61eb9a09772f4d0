//! How a client comes to a client id, and what it may do with it, as far as the authorization server says so.
//!
//! Nothing is registered, and no authorization request is sent, not even one that has to be refused: it would begin a sign-in at
//! a server that somebody else runs, which keeps and counts such attempts. Which redirect URIs it takes is therefore not known
//! before a client tries; what a client wants is told with its steps.

use serde_json::Value;
use url::Url;

use super::{
    super::{
        check::Running,
        clients::{Client, Way},
        finding::{Finding, shown},
    },
    case::{AuthorizationServer, Server},
};
use crate::{fault::Fault, upstreams::oauth::places};

pub(super) fn registration(case: &mut Server) -> Running<'_> {
    Box::pin(async move { case.servers.iter().flat_map(|server| of_server(case, server)).collect() })
}

fn of_server(case: &Server, server: &AuthorizationServer) -> Vec<Finding> {
    let ways = ways(case, server);
    let flow = [code_flow(server), public_clients(server), refresh(server), listed(case, server)];
    std::iter::once(ways).chain(flow.into_iter().flatten()).chain(flags(server)).collect()
}

/// By which ways a client can come to a client id, and who can go them.
fn ways(case: &Server, server: &AuthorizationServer) -> Finding {
    let (at, metadata) = (shown(&server.place), &server.metadata);
    let endpoint = metadata["registration_endpoint"].as_str();
    if let Some(address) = endpoint
        && !Url::parse(address).is_ok_and(|url| places::is_secure(&url, &case.url))
    {
        let evidence = format!("{at} has registration_endpoint {address:?}");
        return Finding::of(Fault::InsecureEndpoint, &evidence).at(&server.place);
    }
    let documents = metadata["client_id_metadata_document_supported"] == true;
    let offered: Vec<_> =
        [endpoint.map(|_| Way::Dynamic), documents.then_some(Way::Document)].into_iter().flatten().collect();
    let evidence = format!("{at}: {}{}{}", told(&offered), issuer_in_answers(metadata), offline_access(metadata));
    match case.client {
        Some(client) if !client.profile().ways.iter().any(|way| offered.contains(way)) => {
            Finding::of(Fault::RegistrationNotPossible, &evidence).at(&server.place).with_fix(by_hand(client))
        }
        None if offered.is_empty() => Finding::of(Fault::RegistrationByHand, &evidence).at(&server.place),
        _ => Finding::ok(&evidence).at(&server.place),
    }
}

/// Each way with the clients that go it by themselves.
fn told(offered: &[Way]) -> String {
    let each = offered.iter().map(|way| {
        let name = match way {
            Way::Dynamic => "dynamic registration",
            Way::Document => "client-id documents",
        };
        let clients = Client::ALL.iter().filter(|client| client.profile().ways.contains(way));
        format!("{name} ({})", clients.map(|client| client.word()).collect::<Vec<_>>().join(", "))
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() { "only clients that were registered by hand".to_owned() } else { each.join("; ") }
}

/// A client that signs in at several servers tells their answers apart by it (RFC 9207).
fn issuer_in_answers(metadata: &Value) -> &'static str {
    let is_said = metadata["authorization_response_iss_parameter_supported"] == true;
    if is_said { "; it names itself in its answers (iss)" } else { "" }
}

/// Clients ask for this scope of OpenID Connect only where it is listed. Many providers give refresh tokens without it.
fn offline_access(metadata: &Value) -> &'static str {
    let has = |list: &str, wanted: &str| Some(metadata[list].as_array()?.iter().any(|found| found == wanted));
    let refreshes = has("grant_types_supported", "refresh_token") != Some(false);
    let is_missing =
        has("scopes_supported", "openid") == Some(true) && has("scopes_supported", "offline_access") == Some(false);
    if refreshes && is_missing { "; offline_access is not among its scopes, so clients do not ask for it" } else { "" }
}

fn by_hand(client: Client) -> String {
    let profile = client.profile();
    format!(
        "Register a client for {} at the authorization server, with the redirect URI {}, and give its id to {}: {}. Or let the \
         authorization server take registrations (`registration_endpoint`).",
        profile.name,
        profile.redirects.join(" or "),
        profile.name,
        profile.by_hand,
    )
}

/// Without the code flow nobody signs in. What is left out of `grant_types_supported` holds by default (RFC 8414 §2).
fn code_flow(server: &AuthorizationServer) -> Option<Finding> {
    let of_grants = || lacking(server, Fault::NoCodeFlow, "grant_types_supported", "authorization_code");
    let of_responses = || lacking(server, Fault::NoCodeFlow, "response_types_supported", "code");
    if let Some(finding) = of_grants().or_else(of_responses) {
        return Some(finding);
    }
    let evidence = format!("{} has no response_types_supported", shown(&server.place));
    let is_missing = !server.metadata["response_types_supported"].is_array();
    is_missing.then(|| Finding::of(Fault::ResponseTypesMissing, &evidence).at(&server.place))
}

/// Clients on people's machines keep no secret.
fn public_clients(server: &AuthorizationServer) -> Option<Finding> {
    lacking(server, Fault::NoPublicClients, "token_endpoint_auth_methods_supported", "none")
}

fn refresh(server: &AuthorizationServer) -> Option<Finding> {
    lacking(server, Fault::NoRefresh, "grant_types_supported", "refresh_token")
}

/// What is true or false, and stands there as a text.
fn flags(server: &AuthorizationServer) -> impl Iterator<Item = Finding> {
    let names = ["client_id_metadata_document_supported", "authorization_response_iss_parameter_supported"];
    names.into_iter().filter(|name| server.metadata[name].is_string()).map(|name| {
        let evidence = format!("{}: {name} {}", shown(&server.place), server.metadata[name]);
        Finding::of(Fault::FlagAsText, &evidence).at(&server.place)
    })
}

/// Where it lists the resources that it gives tokens for (RFC 9728 §4), this one has to be among them.
fn listed(case: &Server, server: &AuthorizationServer) -> Option<Finding> {
    let resources = server.metadata["protected_resources"].as_array()?;
    let read = resources.iter().filter_map(|resource| Url::parse(resource.as_str()?).ok());
    let own = case.resource.as_ref().unwrap_or(&case.url);
    let is_listed = read.into_iter().any(|resource| places::covers(&resource, own));
    let evidence = format!("{}: protected_resources without {}", shown(&server.place), shown(own));
    (!is_listed).then(|| Finding::of(Fault::ResourceNotListed, &evidence).at(&server.place))
}

/// A list of its metadata that is there and does not have this in it.
fn lacking(server: &AuthorizationServer, fault: Fault, name: &str, wanted: &str) -> Option<Finding> {
    let list = &server.metadata[name];
    let lacks = list.as_array().is_some_and(|list| !list.iter().any(|found| found == wanted));
    lacks.then(|| Finding::of(fault, &format!("{}: {name} {list}", shown(&server.place))).at(&server.place))
}
