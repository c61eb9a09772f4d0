//! Whether a client that is a web page, such as the Inspector, can ask the server by itself (CORS).
//!
//! Letting no page of another origin in is right, and most servers do so. It is a fault only to whoever uses such a client.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use serde_json::json;
use url::Url;

use super::{
    super::{
        check::Running,
        clients::Client,
        finding::{Finding, shown},
    },
    case::Server,
    document::BUDGET,
    peer::{Answer, NoAnswer, Wanted, accepting},
};
use crate::{fault::Fault, fetch};

/// Where the Inspector's page comes from.
const PAGE: &str = "http://localhost:6274";
/// What it sends, and must see, where there are sessions.
const SESSION: &str = "mcp-session-id";
/// What it sends that a browser asks about before.
const SENT: [&str; 3] = ["authorization", "content-type", "mcp-protocol-version"];

pub(super) fn pages(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let is_page = case.client == Some(Client::Inspector);
        let mut findings = vec![match endpoint(case).await {
            Ok(evidence) => Finding::ok(&evidence),
            Err((fault, evidence)) if is_page => Finding::of(fault, &evidence),
            Err(_) => Finding::ok("pages of other origins cannot use it, which is safe"),
        }];
        if is_page {
            findings.extend(documents(case).await);
        }
        findings
    })
}

/// First the question of the browser, then a request that opens no session and calls nothing.
async fn endpoint(case: &Server) -> Result<String, (Fault, String)> {
    let refused = |evidence| (Fault::PagesRefused, evidence);
    let asked = preflight(case).await.map_err(|none| refused(none.words))?;
    if !asked.status.is_success() {
        return Err(refused(format!("OPTIONS from {PAGE}: {}", asked.status)));
    }
    if let Some(missing) = ungranted(&asked.headers).or_else(|| unsendable(case, &asked.headers)) {
        return Err(refused(format!("OPTIONS from {PAGE}: {}, {missing}", asked.status)));
    }
    let answer = ping(case).await.map_err(|none| refused(none.words))?;
    if let Some(missing) = ungranted(&answer.headers) {
        return Err(refused(format!("POST from {PAGE}: {}, {missing}", answer.status)));
    }
    match hidden(case, &answer) {
        Some(name) => Err((
            Fault::HeaderHidden,
            format!("{} from {PAGE}: no {name} in Access-Control-Expose-Headers", answer.status),
        )),
        None => Ok(format!("pages of {PAGE} may use it")),
    }
}

async fn preflight(case: &Server) -> Result<Answer, NoAnswer> {
    let sent = if case.spoken.has_session() { [&SENT[..], &[SESSION]].concat() } else { SENT.to_vec() };
    let mut headers = from_page();
    headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
    headers.extend(HeaderValue::try_from(sent.join(",")).map(|sent| (header::ACCESS_CONTROL_REQUEST_HEADERS, sent)));
    case.peer.ask(Method::OPTIONS, &case.url, headers, Bytes::new(), Wanted::Head).await
}

async fn ping(case: &Server) -> Result<Answer, NoAnswer> {
    let mut headers = from_page();
    headers.extend([
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        accepting("application/json, text/event-stream"),
    ]);
    let message = json!({ "jsonrpc": "2.0", "id": 4, "method": "ping" });
    case.peer.ask(Method::POST, &case.url, headers, Bytes::from(message.to_string()), Wanted::Head).await
}

fn from_page() -> HeaderMap {
    HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(PAGE))])
}

/// May the page read the answer?
fn ungranted(headers: &HeaderMap) -> Option<String> {
    match headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        Some(granted) if granted == PAGE || granted == "*" => None,
        Some(granted) => Some(format!("Access-Control-Allow-Origin: {}", String::from_utf8_lossy(granted.as_bytes()))),
        None => Some("no Access-Control-Allow-Origin".to_owned()),
    }
}

/// A header that it may not send. `*` stands for all but `Authorization`.
fn unsendable(case: &Server, headers: &HeaderMap) -> Option<String> {
    let names = SENT.into_iter().chain(case.spoken.has_session().then_some(SESSION));
    let any = |name: &str| name != "authorization" && lists(headers, &header::ACCESS_CONTROL_ALLOW_HEADERS, "*");
    let missing =
        names.into_iter().find(|name| !any(name) && !lists(headers, &header::ACCESS_CONTROL_ALLOW_HEADERS, name));
    missing.map(|name| format!("no {name} in Access-Control-Allow-Headers"))
}

/// A header of this answer, or of those that follow, that the page needs and does not get to see.
fn hidden(case: &Server, answer: &Answer) -> Option<&'static str> {
    let exposed = |name: &str| {
        ["*", name].into_iter().any(|name| lists(&answer.headers, &header::ACCESS_CONTROL_EXPOSE_HEADERS, name))
    };
    let challenge = (answer.status == StatusCode::UNAUTHORIZED).then_some("www-authenticate");
    let session = case.spoken.has_session().then_some(SESSION);
    [challenge, session].into_iter().flatten().find(|name| !exposed(name))
}

fn lists(headers: &HeaderMap, header: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case(wanted))
}

/// The page reads the metadata too. They are the same for everybody, so nothing speaks against it.
async fn documents(case: &Server) -> Vec<Finding> {
    let places = case.issuers.iter().map(|(place, _)| place).chain(case.servers.iter().map(|server| &server.place));
    let client = case.fetch();
    let mut findings = Vec::new();
    for place in places {
        let Some(headers) = headers_of(&client, place).await else { continue };
        findings.extend(ungranted(&headers).map(|missing| {
            Finding::of(Fault::MetadataNotForPages, &format!("{} from {PAGE}: {missing}", shown(place))).at(place)
        }));
    }
    findings
}

/// None, if there is no answer now: an earlier check has said what it thinks of the place.
async fn headers_of(client: &fetch::Client, place: &Url) -> Option<HeaderMap> {
    let request = Request::get(place.as_str()).header(header::ORIGIN, PAGE).body(Bytes::new()).ok()?;
    let answer = client.send(request, BUDGET).await.ok()?;
    Some(answer.headers().clone())
}
