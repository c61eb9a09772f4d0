//! Protected-resource metadata (RFC 9728): where clients look, and whether they are about the URL that was typed.

use portcullis_policies::kit::words;
use serde_json::Value;
use url::Url;

use super::{
    super::{
        check::Running,
        finding::{Finding, shown},
    },
    case::{Fact, Server},
    document::{Absent, Document, LONGEST, Why, chosen_by_others, on_its_own_origin},
    door::told_place,
};
use crate::{fault::Fault, upstreams::oauth::places};

/// What is at one place.
struct Place {
    url: Url,
    document: Result<Document, Absent>,
}

/// Clients take the place that the challenge names; where it names none, the one at the path, then the one at the root.
pub(super) fn metadata(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let own = places::of_resource(&case.url);
        let told = told_place(case);
        let mut found = Vec::new();
        if let Some(told) = told.clone().filter(|told| !own.contains(told)) {
            let document = chosen_by_others(&case.fetch(), &told).await;
            found.push(Place { url: told, document });
        }
        for url in own {
            let document = on_its_own_origin(case, &url).await;
            found.push(Place { url, document });
        }
        // What the challenge names comes first, wherever it is.
        found.sort_by_key(|place| Some(&place.url) != told.as_ref());
        let findings = judged(case, &found, told.is_some());
        if told.is_none() && found.iter().all(is_missing) {
            return vec![as_of_2025_03_26(case).await.unwrap_or_else(|| nothing(&found))];
        }
        findings
    })
}

fn is_missing(place: &Place) -> bool {
    matches!(&place.document, Err(absent) if absent.why == Why::Missing)
}

/// Where 2025-03-26 looks, which knows no protected-resource metadata: the MCP server's own origin. Many clients of later
/// revisions go on to look there too.
async fn as_of_2025_03_26(case: &mut Server) -> Option<Finding> {
    let place = places::of_server(&case.url.join("/").ok()?).into_iter().next()?;
    let document = on_its_own_origin(case, &place).await.ok()?.members;
    let issuer = document["issuer"].as_str()?.to_owned();
    let evidence = format!("{} is all there is: metadata of the authorization server", shown(&place));
    case.issuers = Some((place, vec![issuer]));
    case.found(Fact::Issuers);
    let missing = places::of_resource(&case.url).into_iter().next()?;
    Some(Finding::of(Fault::OnlyOldDiscovery, &evidence).at(&missing))
}

fn judged(case: &mut Server, found: &[Place], is_told: bool) -> Vec<Finding> {
    // Who reads the challenge looks nowhere else.
    let looked_at = if is_told { found.len().min(1) } else { found.len() };
    let first = found.iter().take(looked_at).find_map(|place| Some((place, place.document.as_ref().ok()?)));
    let Some((place, document)) = first else { return vec![nothing(&found[..looked_at])] };
    case.resource = document.members["resource"].as_str().and_then(|resource| Url::parse(resource).ok());
    let mut findings = vec![about(case, place, &document.members)];
    findings.extend(document.told_as_json(&place.url));
    findings.extend(header_not_taken(&place.url, &document.members));
    match issuers(&place.url, &document.members) {
        Ok(issuers) => {
            case.issuers = Some((place.url.clone(), issuers));
            case.found(Fact::Issuers);
        }
        Err(evidence) => {
            findings.push(Finding::of(Fault::NoAuthorizationServer, &evidence).at(&place.url));
        }
    }
    // Clients that do not read the challenge find the other places, so a document there must say the same. The root may be
    // that of another resource.
    let path = places::of_resource(&case.url).into_iter().next();
    let other = found.iter().skip(1).find(|other| Some(&other.url) == path.as_ref() && other.url != place.url);
    if let Some((other, Ok(document))) = other.map(|other| (other, &other.document)) {
        findings.push(about(case, other, &document.members));
    }
    findings
}

/// Where they list how a token may come, the header has to be there: MCP knows no other way.
fn header_not_taken(place: &Url, document: &Value) -> Option<Finding> {
    let methods = document["bearer_methods_supported"].as_array()?;
    let evidence = format!("{} has bearer_methods_supported {}", shown(place), document["bearer_methods_supported"]);
    let is_taken = methods.iter().any(|method| method == "header");
    (!is_taken).then(|| Finding::of(Fault::HeaderNotTaken, &evidence).at(place))
}

/// Whom they name as authorization servers, or what they have instead.
fn issuers(place: &Url, document: &Value) -> Result<Vec<String>, String> {
    let named = &document["authorization_servers"];
    let issuers: Vec<_> = named.as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect();
    if !issuers.is_empty() {
        return Ok(issuers);
    }
    Err(match named {
        Value::Null => format!("{} has no authorization_servers", shown(place)),
        named => format!("{} has authorization_servers {named}, which is no list of issuers", shown(place)),
    })
}

/// The most telling of the reasons, with all that was seen.
fn nothing(places: &[Place]) -> Finding {
    let absent: Vec<_> = places.iter().filter_map(|place| Some((&place.url, place.document.as_ref().err()?))).collect();
    let seen: Vec<_> = absent.iter().map(|(url, absent)| format!("{}: {}", shown(url), absent.words)).collect();
    let fault = |absent: &Absent| match absent.why {
        Why::Unreadable => Fault::ResourceMetadataUnreadable,
        _ => absent.fault().unwrap_or(Fault::NoResourceMetadata),
    };
    let telling = absent.iter().find(|(_, absent)| fault(absent) != Fault::NoResourceMetadata).or(absent.first());
    let evidence = seen.join("; ");
    match telling {
        Some((url, absent)) => Finding::of(fault(absent), &evidence).at(url),
        None => Finding::of(Fault::NoResourceMetadata, &evidence),
    }
}

/// Is the document about the URL that was typed?
fn about(case: &Server, place: &Place, document: &Value) -> Finding {
    let at = shown(&place.url);
    let Some(said) = document["resource"].as_str() else {
        return Finding::of(Fault::ResourceMismatch, &format!("{at} has no resource")).at(&place.url);
    };
    let evidence = format!("{at} has resource {said:?}");
    if said == case.typed || said == places::canonical(&case.url) {
        return Finding::ok(&format!("{evidence}, as typed")).at(&place.url);
    }
    let evidence = format!("{evidence}, and {:?} was typed", shown(&case.url));
    let finding = |fault| Finding::of(fault, &evidence).at(&place.url);
    match Url::parse(said) {
        Ok(named) if differ_by_query(&named, &case.url) => finding(Fault::ResourceQuery),
        Ok(named) if places::is_same(&named, &case.url) => finding(Fault::ResourceSpelled),
        Ok(named) if places::covers(&named, &case.url) => finding(Fault::ResourceIsParent),
        Ok(named) if named.path() == case.url.path() => {
            finding(Fault::ResourceMismatch).with_fix(behind_a_proxy(&named, &case.url))
        }
        _ => finding(Fault::ResourceMismatch),
    }
}

fn differ_by_query(named: &Url, typed: &Url) -> bool {
    let bare = |url: &Url| {
        let mut url = url.clone();
        url.set_query(None);
        url
    };
    named.query() != typed.query() && places::is_same(&bare(named), &bare(typed))
}

/// The path is right and the origin is not: the server knows itself by the address at which a proxy asks it.
fn behind_a_proxy(named: &Url, typed: &Url) -> String {
    let named = words::plain(&named.origin().ascii_serialization(), LONGEST);
    let typed = typed.origin().ascii_serialization();
    format!(
        "The server takes {named} for its own address. Set its public URL to {typed}; where it goes by the request, let the \
         proxy in front pass the host and the scheme on (nginx: `proxy_set_header Host $host;` and `X-Forwarded-Proto $scheme;`)."
    )
}
