//! What stands at the URL, and what it says to whoever shows no token.

use http::{HeaderValue, StatusCode, header};
use portcullis_policies::kit::{challenge::Received, credential::UpstreamChallenge};
use url::Url;

use super::{
    super::{
        check::Running,
        finding::{Finding, shown},
    },
    case::{Fact, Server},
    document::LONGEST,
    endpoint::{Asked, Endpoint, METHOD_NOT_FOUND, Session},
    front,
    guards::{fronts, guard},
    peer::Answer,
    siblings,
};
use crate::{fault::Fault, upstreams::oauth::places};

/// `initialize` first, as clients do. Some servers answer it to anybody and want to see a token only for what comes then, so
/// the tools are asked for too, as clients of each era do.
pub(super) fn answer(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let answer = match ask_without_token(case).await {
            Ok(answer) => answer,
            Err(none) if speaks_tls(case).await => return vec![Finding::of(Fault::OnlyTls, &none.words)],
            Err(none) => return vec![none.into()],
        };
        // What speaks TLS may still have a page for those who do not.
        if answer.status == StatusCode::BAD_REQUEST && !is_of_mcp(&answer) && speaks_tls(case).await {
            return vec![Finding::of(Fault::OnlyTls, &answer.head())];
        }
        let is_turned_away = front::is_turned_away(&answer);
        let other = if is_turned_away { front::under_another_name(case, &answer).await } else { None };
        let (answer, warning) = match other {
            Some((answer, warning)) => (answer, Some(warning)),
            None => (answer, None),
        };
        let finding = judged(case, &answer);
        let finding = elsewhere(case, &answer, finding).await;
        case.took = Some(answer.timing());
        case.answered = Some(answer);
        std::iter::once(finding).chain(warning).collect()
    })
}

/// Is it asked without TLS, on a port that has it? A certificate that is no good is one all the same.
async fn speaks_tls(case: &Server) -> bool {
    if case.peer.is_tls() {
        return false;
    }
    match case.peer.handshake().await {
        Ok(_) => true,
        Err(error) => !matches!(Fault::of_handshake(&error), Fault::NotTls | Fault::HandshakeFailed),
    }
}

/// Where nothing of MCP is at the typed path, it may be at one beside it.
async fn elsewhere(case: &Server, answer: &Answer, finding: Finding) -> Finding {
    if !finding.fault.is_some_and(is_of_a_wrong_path) {
        return finding;
    }
    if siblings::is_http_sse(case.without_token()).await {
        return Finding::of(
            Fault::OnlyHttpSse,
            &format!("{}; GET opens a stream with an endpoint event", answer.head()),
        );
    }
    match siblings::find(case).await.into_iter().next() {
        Some(found) => finding.and(&found.told()).with_fix(found.fix()),
        None => finding,
    }
}

fn is_of_a_wrong_path(fault: Fault) -> bool {
    use Fault::{AnswersHtml, JsonRefused, NotFound, NotMcp, PostNotAllowed};
    matches!(fault, NotFound | PostNotAllowed | JsonRefused | AnswersHtml | NotMcp)
}

/// Whether it asks for a token, as far as whoever has none can tell.
pub(super) async fn ask_without_token(case: &Server) -> Asked {
    let endpoint = case.without_token();
    let first = endpoint.initialize().await;
    let session = Session::opened_by(&first);
    let goes_on = |answer: &Answer| answer.status != StatusCode::UNAUTHORIZED && answer.outcome().is_some();
    let refused = if first.as_ref().is_ok_and(goes_on) { refused_then(endpoint, &session).await } else { None };
    endpoint.end(&session).await;
    refused.map_or(first, Ok)
}

async fn refused_then(endpoint: Endpoint<'_>, session: &Session) -> Option<Answer> {
    let asked = [endpoint.tools_in_session(session, None).await, endpoint.tools(None).await];
    asked.into_iter().filter_map(Result::ok).find(|answer| answer.status == StatusCode::UNAUTHORIZED)
}

fn judged(case: &mut Server, answer: &Answer) -> Finding {
    let evidence = answer.told();
    if is_of_mcp(answer) {
        case.found(Fact::Answer);
        case.found(Fact::WayIn);
        return Finding::ok(&format!("{evidence}: an MCP server, open to anybody"));
    }
    if let Some(guard) = guard(answer).filter(|_| answer.outcome().is_none() && !is_bearer_challenge(answer)) {
        let to = leads_to(case, answer).map(|to| format!(" to {to}")).unwrap_or_default();
        return Finding::of(guard.fault, &format!("{evidence}{to}, from {}", guard.name)).with_fix(guard.fix);
    }
    if answer.status == StatusCode::UNAUTHORIZED {
        case.challenge = UpstreamChallenge::of(answer.status, &answer.headers);
        case.found(Fact::Answer);
        case.found(Fact::Challenge);
        if case.credential.is_some() {
            case.found(Fact::WayIn);
        }
        return Finding::ok(&format!("{evidence}: it asks for a token"));
    }
    if answer.status.is_redirection() {
        return redirects(case, answer);
    }
    let in_front = fronts(answer).into_iter().next().map(|front| format!("; {front}")).unwrap_or_default();
    let wait = answer.headers.get(header::RETRY_AFTER).map(|wait| String::from_utf8_lossy(wait.as_bytes()));
    let wait = wait.map(|wait| format!("; Retry-After: {wait}")).unwrap_or_default();
    Finding::of(Fault::of_answer(&answer.into()), &format!("{evidence}{in_front}{wait}"))
}

/// Some sign-in proxies sign MCP clients in too, and say how.
fn is_bearer_challenge(answer: &Answer) -> bool {
    let asks = UpstreamChallenge::of(answer.status, &answer.headers);
    asks.is_some_and(|asks| asks.read().iter().any(Received::is_bearer))
}

fn redirects(case: &Server, answer: &Answer) -> Finding {
    let Some(to) = leads_to(case, answer) else {
        return Finding::of(Fault::Redirects, &format!("{} to nowhere", answer.status));
    };
    let finding = Finding::of(Fault::Redirects, &format!("{} to {to}", answer.status));
    // An address longer than that nobody types, and cut it would be another one.
    if to.chars().count() > LONGEST {
        return finding;
    }
    finding.with_fix(format!("It leads to {to}. {}", Fault::Redirects.fix()))
}

/// Where a redirect leads.
fn leads_to(case: &Server, answer: &Answer) -> Option<String> {
    let to = answer.headers.get(header::LOCATION).filter(|_| answer.status.is_redirection())?;
    case.url.join(to.to_str().ok()?).ok().as_ref().map(shown)
}

/// Is it what an MCP server says to `initialize`? One without sessions refuses the method: with 400, or with 404 as 2026-07-28
/// has it. Any other error in the form of JSON-RPC is a gateway's, which says so of a path or a host that it does not know.
fn is_of_mcp(answer: &Answer) -> bool {
    match answer.outcome() {
        Some(Ok(_)) => answer.status.is_success(),
        Some(Err(error)) => match answer.status {
            StatusCode::NOT_FOUND => error["code"] == METHOD_NOT_FOUND,
            status => matches!(status, StatusCode::OK | StatusCode::BAD_REQUEST),
        },
        None => false,
    }
}

/// The challenge of the 401 (RFC 6750 §3, RFC 9728 §5.1).
pub(super) fn challenge(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let challenge = case.challenge.as_ref();
        let headers = challenge.map(|challenge| &*challenge.challenges).unwrap_or_default();
        let texts: Vec<_> = headers.iter().map(|header| String::from_utf8_lossy(header.as_bytes())).collect();
        let evidence = format!("WWW-Authenticate: {}", texts.join(", "));
        let read = challenge.map(UpstreamChallenge::read).unwrap_or_default();
        if headers.is_empty() {
            return vec![Finding::of(Fault::ChallengeMissing, "401 without WWW-Authenticate")];
        }
        let is_bearer = read.iter().any(Received::is_bearer);
        let address = match said(&read) {
            Some(address) => place(address, &case.url).is_none().then_some(Fault::ChallengeBadAddress),
            // One that is no bearer challenge cannot say it.
            None => is_bearer.then_some(Fault::ChallengeWithoutMetadata),
        };
        let bearer = (!is_bearer).then_some(Fault::ChallengeNotBearer);
        let letters = (!is_plain(headers, &read)).then_some(Fault::ChallengeLetters);
        let defects: Vec<_> = [bearer, address, letters].into_iter().flatten().collect();
        match &*defects {
            [] => vec![Finding::ok(&evidence)],
            defects => defects.iter().map(|fault| Finding::of(*fault, &evidence)).collect(),
        }
    })
}

/// Is all of it printable ASCII, and what RFC 6750 defines without quotes and backslashes?
fn is_plain(headers: &[HeaderValue], challenges: &[Received]) -> bool {
    let is_printable = headers.iter().all(|header| header.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')));
    let names = ["scope", "error", "error_description", "error_uri"];
    let mut values = challenges.iter().flat_map(|one| names.iter().filter_map(|name| one.attribute(name)));
    is_printable && !values.any(|value| value.contains(['"', '\\']))
}

/// Where a challenge says that the metadata are, if that is an address that clients may ask.
pub(super) fn told_place(case: &Server) -> Option<Url> {
    let read = case.challenge.as_ref().map(UpstreamChallenge::read).unwrap_or_default();
    place(said(&read)?, &case.url)
}

/// The first address in any of the challenges, as clients read them: bearer challenges first.
fn said(challenges: &[Received]) -> Option<&str> {
    let bearer = challenges.iter().filter(|challenge| challenge.is_bearer());
    bearer.chain(challenges).find_map(|challenge| challenge.attribute("resource_metadata"))
}

/// An address that clients may ask: https, or on this machine if the server itself is there. A plain one of the typed origin
/// is no worse than what was typed, and the check of the channel has said so.
fn place(address: &str, typed: &Url) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    (places::is_secure(&url, typed) || (url.origin() == typed.origin() && url.fragment().is_none())).then_some(url)
}
