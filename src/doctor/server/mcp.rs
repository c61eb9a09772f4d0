//! The MCP server itself: which revisions it speaks, and what it answers to GET.

use http::{StatusCode, header};
use portcullis_policies::kit::challenge::Received;
use serde_json::Value;

use super::{
    super::{check::Running, finding::Finding},
    case::{Fact, Server, Spoken},
    endpoint::{Asked, Session},
    peer::Answer,
};
use crate::fault::Fault;

const UNSAID: &str = "Get a token with the scopes of what is asked for. Let the server say in its 403 which those are, so that \
                      clients ask for them: `WWW-Authenticate: Bearer error=\"insufficient_scope\", scope=\"…\", \
                      resource_metadata=\"…\"`.";

/// Asks as a client of each era begins.
pub(super) fn revisions(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let finding = match spoken(case).await {
            Ok(evidence) => Finding::ok(&evidence),
            Err(finding) => finding,
        };
        vec![finding]
    })
}

async fn spoken(case: &mut Server) -> Result<String, Finding> {
    let endpoint = case.endpoint();
    // One that knows nothing of the other era may say nothing at all to it, or refuse it.
    let discovered = endpoint.discover().await;
    let opened = endpoint.initialize().await;
    let session = Session::opened_by(&opened);
    let versions = result(&discovered).filter(|result| result.is_object());
    let begun = result(&opened).filter(|result| result["protocolVersion"].is_string());
    if begun.is_none() {
        endpoint.end(&session).await;
    }
    if versions.is_none() && begun.is_none() {
        return Err(nothing(case, opened, discovered));
    }
    let modern = versions.map(|result| format!("server/discover: {}", list(&result["supportedVersions"])));
    let legacy = begun.map(|_| format!("initialize: {}", session.revision));
    let evidence: Vec<_> = modern.into_iter().chain(legacy).collect();
    let capabilities = versions.or(begun).and_then(|result| result["capabilities"].as_object().cloned());
    case.spoken = Spoken { modern: versions.is_some(), legacy: begun.map(|_| session), capabilities };
    case.found(Fact::Revision);
    if let Some(session) = &case.spoken.legacy {
        case.endpoint().initialized(session).await?;
    }
    Ok(evidence.join("; "))
}

/// Why neither has a result.
fn nothing(case: &Server, opened: Asked, discovered: Asked) -> Finding {
    let told = format!("initialize: {}; server/discover: {}", told(&opened), told(&discovered));
    let (opened, discovered) = match (opened, discovered) {
        (Err(none), Err(_)) => return none.into(),
        (opened, discovered) => (opened.ok(), discovered.ok()),
    };
    let refused = [opened, discovered].iter().flatten().find_map(|answer| refused(case, answer));
    refused.unwrap_or_else(|| Finding::of(Fault::NoRevision, &told))
}

fn told(asked: &Asked) -> String {
    asked.as_ref().map_or_else(|none| none.words.clone(), Answer::told)
}

fn result(asked: &Asked) -> Option<&Value> {
    asked.as_ref().ok()?.outcome()?.ok()
}

/// Is it an answer to somebody whose token is not good, or not good enough? Whoever shows none is refused for another reason.
pub(super) fn refused(case: &Server, answer: &Answer) -> Option<Finding> {
    let challenge = || {
        let header = answer.headers.get(header::WWW_AUTHENTICATE)?;
        Some(format!(", WWW-Authenticate: {}", String::from_utf8_lossy(header.as_bytes())))
    };
    let has_token = case.credential.is_some();
    let fault = match answer.status {
        StatusCode::UNAUTHORIZED if has_token => Fault::TokenRefused,
        StatusCode::FORBIDDEN if has_token => Fault::ScopeMissing,
        StatusCode::FORBIDDEN => Fault::Forbidden,
        _ => return None,
    };
    let finding = Finding::of(fault, &format!("{}{}", answer.told(), challenge().unwrap_or_default()));
    Some(if fault == Fault::ScopeMissing && !says_what_is_missing(answer) { finding.with_fix(UNSAID) } else { finding })
}

/// Clients ask for more scopes where the 403 says that they should, and of which authorization server (RFC 6750 §3.1).
fn says_what_is_missing(answer: &Answer) -> bool {
    let challenges = Received::all(answer.headers.get_all(header::WWW_AUTHENTICATE));
    let asks = |one: &Received| one.attribute("error") == Some("insufficient_scope");
    challenges.iter().any(|one| asks(one) && one.attribute("resource_metadata").is_some())
}

fn list(versions: &Value) -> String {
    let versions: Vec<_> = versions.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if versions.is_empty() { "no list of versions".to_owned() } else { versions.join(", ") }
}

/// In the session, if there is one: servers refuse a GET without it. Nothing more is asked in it, and it ends here.
pub(super) fn get(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let session = case.spoken.legacy.take();
        let endpoint = case.endpoint();
        let asked = endpoint.get(session.as_ref()).await;
        if let Some(session) = &session {
            endpoint.end(session).await;
        }
        vec![match asked {
            Ok(answer) if answer.status == StatusCode::METHOD_NOT_ALLOWED => Finding::ok(&answer.status.to_string()),
            Ok(answer) if answer.status == StatusCode::OK && answer.is("text/event-stream") => {
                Finding::ok(&format!("{}: a stream", answer.status))
            }
            Ok(answer) => Finding::of(Fault::GetAnswer, &answer.head()),
            Err(none) => Finding::of(Fault::GetAnswer, &none.words),
        }]
    })
}
