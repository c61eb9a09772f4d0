//! Metadata of the authorization servers (RFC 8414, OpenID Connect Discovery): every address here was chosen by somebody
//! else, so all is asked through the guarded client.

use portcullis_policies::kit::words;
use serde_json::Value;
use url::Url;

use super::{
    super::{
        check::Running,
        finding::{Finding, shown},
    },
    case::{AuthorizationServer, Fact, Server},
    document::{Absent, Document, LONGEST, Why, chosen_by_others, on_its_own_origin},
};
use crate::{fault::Fault, fetch::Client, upstreams::oauth::places};

/// Issuers that are looked at.
const ISSUERS: usize = 4;

/// What is at one place.
type Place = (Url, Result<Document, Absent>);

/// An issuer as the resource names it, letter by letter and read.
struct Issuer<'a> {
    name: &'a str,
    url: Url,
}

pub(super) fn metadata(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let Some((named_at, issuers)) = case.issuers.clone() else { return Vec::new() };
        let client = case.fetch();
        let mut findings = Vec::new();
        for name in issuers.iter().take(ISSUERS) {
            match Url::parse(name) {
                Ok(url) if places::is_secure(&url, &case.url) => {
                    findings.extend(of_issuer(case, &client, &Issuer { name, url }).await);
                }
                _ => {
                    let evidence = format!("authorization_servers has {name:?}");
                    findings.push(Finding::of(Fault::InsecureEndpoint, &evidence).at(&named_at));
                }
            }
        }
        findings
    })
}

/// Asks at every place, in the order of clients. The first document that is this issuer's counts.
async fn of_issuer(case: &mut Server, client: &Client, issuer: &Issuer<'_>) -> Vec<Finding> {
    let is_theirs = |document: &Document| document.members["issuer"] == issuer.name;
    let mut asked: Vec<Place> = Vec::new();
    for place in places::of_server(&issuer.url) {
        let document = chosen_by_others(client, &place).await;
        if let Err(absent) = &document
            && asked.is_empty()
            && matches!(absent.why, Why::Forbidden | Why::Unreachable)
        {
            // It is the same host everywhere.
            let fault = absent.fault().unwrap_or(Fault::AuthorizationServerUnreachable);
            return vec![Finding::of(fault, &format!("{}: {}", shown(&place), absent.words)).at(&place)];
        }
        let is_found = document.as_ref().is_ok_and(is_theirs);
        asked.push((place, document));
        if is_found {
            break;
        }
    }
    let last = asked.last().and_then(|(place, document)| Some((place, document.as_ref().ok()?)));
    let Some((place, document)) = last.filter(|(_, document)| is_theirs(document)) else {
        return vec![nothing(case, issuer, &asked)];
    };
    let mut findings = judged(case, place, &document.members, found_by(case, issuer, place, &asked).await);
    findings.extend(document.told_as_json(place));
    case.servers.push(AuthorizationServer { place: place.clone(), metadata: document.members.clone() });
    case.found(Fact::Metadata);
    findings
}

/// No document is this issuer's: the most telling of the reasons.
fn nothing(case: &Server, issuer: &Issuer<'_>, asked: &[Place]) -> Finding {
    if let Some((place, document)) = asked.iter().find_map(|(place, document)| Some((place, document.as_ref().ok()?))) {
        let said = &document.members["issuer"];
        let evidence = format!("{} has issuer {said}, and not {:?}", shown(place), issuer.name);
        return Finding::of(Fault::IssuerMismatch, &evidence).at(place).with_fix(same_name(issuer.name, said));
    }
    let absent: Vec<_> = asked.iter().filter_map(|(place, document)| Some((place, document.as_ref().err()?))).collect();
    let seen: Vec<_> = absent.iter().map(|(place, absent)| format!("{}: {}", shown(place), absent.words)).collect();
    let known = absent.iter().find_map(|(place, absent)| Some((place, absent.fault()?)));
    let first = known.or(absent.first().map(|(place, _)| (place, Fault::NoAuthorizationServerMetadata)));
    let Some((place, fault)) = first else { return Finding::of(Fault::NoAuthorizationServerMetadata, "") };
    let finding = Finding::of(fault, &seen.join("; ")).at(place);
    if places::is_same(&issuer.url, &case.url) && fault == Fault::NoAuthorizationServerMetadata {
        return finding.with_fix(
            "`authorization_servers` names the MCP server itself. Name the issuer of the authorization server there, as it \
             calls itself in its own metadata.",
        );
    }
    finding
}

/// How the two names become one.
fn same_name(named: &str, said: &Value) -> String {
    match said.as_str().map(|said| words::plain(said, LONGEST)) {
        Some(said) if said.trim_end_matches('/') == named.trim_end_matches('/') => {
            format!("Write {said:?} in `authorization_servers` too: the two differ by the slash at the end.")
        }
        Some(said) => format!(
            "If {said:?} is the authorization server that you mean, write exactly that in `authorization_servers`. If it is an \
             inner address, tell the authorization server its public URL."
        ),
        None => Fault::IssuerMismatch.fix().to_owned(),
    }
}

/// Since which revision of MCP clients find this document. 2025-03-26 looks at the MCP server's own origin and knows no
/// protected-resource metadata; 2025-06-18 knows RFC 8414 only; 2025-11-25 also OpenID Connect Discovery.
async fn found_by(case: &Server, issuer: &Issuer<'_>, place: &Url, asked: &[Place]) -> &'static str {
    if asked.first().is_none_or(|(first, _)| first != place) {
        return "2025-11-25";
    }
    let origin = case.url.join("/").ok();
    let fallback = origin.and_then(|origin| places::of_server(&origin).into_iter().next());
    let Some(fallback) = fallback else { return "2025-06-18" };
    let is_there = fallback == *place
        || on_its_own_origin(case, &fallback).await.is_ok_and(|found| found.members["issuer"] == issuer.name);
    if is_there { "2025-03-26" } else { "2025-06-18" }
}

/// What clients insist on before they open a browser: every defect of it.
fn judged(case: &Server, place: &Url, document: &Value, since: &str) -> Vec<Finding> {
    let at = shown(place);
    let endpoints = ["authorization_endpoint", "token_endpoint"];
    let mut findings: Vec<_> = endpoints.iter().filter_map(|name| endpoint(case, place, document, name)).collect();
    let methods = &document["code_challenge_methods_supported"];
    if !methods.as_array().into_iter().flatten().any(|method| method == "S256") {
        let evidence = format!("{at} has code_challenge_methods_supported {methods}");
        findings.push(Finding::of(Fault::NoPkce, &evidence).at(place));
    }
    if findings.is_empty() {
        let evidence =
            format!("{at}: its issuer as named, both endpoints, S256; found by clients of {since} and later");
        findings.push(Finding::ok(&evidence).at(place));
    }
    findings
}

/// What is wrong with an endpoint.
fn endpoint(case: &Server, place: &Url, document: &Value, name: &str) -> Option<Finding> {
    let at = shown(place);
    let Some(address) = document[name].as_str() else {
        return Some(Finding::of(Fault::EndpointsMissing, &format!("{at} has no {name}")).at(place));
    };
    let is_secure = Url::parse(address).is_ok_and(|url| places::is_secure(&url, &case.url));
    let evidence = format!("{at} has {name} {address:?}");
    (!is_secure).then(|| Finding::of(Fault::InsecureEndpoint, &evidence).at(place))
}
