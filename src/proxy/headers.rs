//! Which headers cross the gateway, and how.
//!
//! To the upstream an allow-list, to the client a deny-list (RFC 9110 §7.6.1 for what is hop-by-hop). The client's
//! `Authorization` and `Cookie` never cross; what an upstream needs is put there by policies, as [`UpstreamHeaders`] or
//! [`UpstreamCredential`].

use std::sync::LazyLock;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT},
};
use portcullis_policies::kit::{
    chain::{Request, UpstreamHeaders, crosses_to_upstream},
    credential::UpstreamCredential,
    headers::{has, values},
    refusal::{Reason, Refusal},
};
use smallvec::SmallVec;

use super::session::Session;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The trace that a request is a part of.
const TRACE: [HeaderName; 3] =
    [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate"), HeaderName::from_static("baggage")];
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What the gateway itself says to an upstream. Each request takes a copy, which has a place for every header that nearly
/// all of them add: a map that grows is made twice.
#[derive(Debug)]
pub(super) struct Template(HeaderMap);

impl Template {
    /// For an upstream that is told its name and each message's length in headers; in HTTP/2 neither is one.
    pub(super) fn http1(host: HeaderValue) -> Self {
        let mut headers = Self::new();
        headers.0.insert(HOST, host);
        headers.0.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        headers
    }

    fn new() -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"))));
        headers.insert(VERSION, HeaderValue::from_static(""));
        Self(headers)
    }

    /// For any other upstream.
    pub(super) fn usual() -> &'static Self {
        static USUAL: LazyLock<Template> = LazyLock::new(Template::new);
        &USUAL
    }
}

/// The session that a request names; refused if it is unknown.
pub(super) fn session(
    headers: &HeaderMap,
    open: impl Fn(&HeaderValue) -> Option<Session>,
) -> Result<Option<Session>, Refusal> {
    let known = |id| open(id).ok_or_else(|| Reason::UnknownSession.into());
    values(headers, &SESSION).next().map(known).transpose()
}

/// The headers of a message that the gateway itself writes on behalf of `request`: with the credential and what policies set
/// for the upstream, with nothing of what the client says of its own message, and with `mcp` in its place.
pub(super) fn own(template: &Template, request: &Request, mcp: &[(HeaderName, HeaderValue)]) -> HeaderMap {
    let mut headers = template.0.clone();
    // Whoever writes the message to the wire sees how long it is.
    headers.remove(CONTENT_LENGTH);
    headers.remove(VERSION);
    for name in &TRACE {
        headers.extend(values(request.headers(), name).map(|value| (name.clone(), value.clone())));
    }
    add_upstream_headers(&mut headers, request);
    for (name, value) in mcp {
        headers.insert(name, value.clone());
    }
    headers
}

/// The headers of the request to the upstream.
pub(super) fn to_upstream(template: &Template, request: &Request, session: Option<&Session>) -> HeaderMap {
    let mut headers = template.0.clone();
    let mut version = None;
    let ends_here = named_by_connection(request.headers());
    for (name, value) in request.headers() {
        if ends_here.contains(name) {
            continue;
        }
        match name.as_str() {
            "mcp-session-id" => {
                if let Some(id) = session.and_then(Session::upstream_id) {
                    headers.insert(SESSION, id);
                }
            }
            "mcp-protocol-version" if version.is_none() => version = Some(value),
            _ if crosses_to_upstream(name) => {
                headers.append(name, value.clone());
            }
            _ => {}
        }
    }
    // What was agreed on holds also for a client that does not repeat it (MCP 2025-06-18, "Protocol Version Header").
    let agreed = if version.is_none() { session.and_then(Session::version_header) } else { None };
    let version = version.or(agreed.as_ref());
    // By their places: nothing is looked up.
    for (name, place) in &mut headers {
        match (name.as_str(), version) {
            ("mcp-protocol-version", Some(value)) if place.is_empty() => *place = value.clone(),
            ("content-length", _) => {
                *place = request.body().message().map_or(0, |message| message.bytes().len()).into();
            }
            _ => {}
        }
    }
    if version.is_none() {
        headers.remove(VERSION);
    }
    add_upstream_headers(&mut headers, request);
    headers
}

/// What policies set for the upstream, and the credential.
fn add_upstream_headers(headers: &mut HeaderMap, request: &Request) {
    if let Some(UpstreamHeaders(own)) = request.extensions().get() {
        // Where the message goes and how long it is are not for policies to say.
        let theirs = |name: &&HeaderName| !matches!(**name, HOST | CONTENT_LENGTH);
        for name in own.keys().filter(theirs) {
            headers.remove(name);
        }
        let own = own.iter().filter(|(name, _)| theirs(name));
        headers.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    }
    if let Some(credential) = request.extensions().get::<UpstreamCredential>() {
        for (name, value) in credential.headers() {
            headers.insert(name, value.clone());
        }
    }
}

/// What `Connection` names is meant for this hop only.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    if !has(headers, &CONNECTION) {
        return Vec::new();
    }
    let lines = values(headers, &CONNECTION).filter_map(|value| value.to_str().ok());
    let options = lines.flat_map(|value| value.split(',')).map(str::trim);
    options.filter(|option| !matches!(*option, "keep-alive" | "close")).filter_map(|name| name.parse().ok()).collect()
}

/// Makes the headers of an upstream's answer those of the answer to the client.
pub(super) fn to_client(headers: &mut HeaderMap, events: bool, seal: impl Fn(&HeaderValue) -> Option<HeaderValue>) {
    if has(headers, &SESSION) {
        let sealed: Vec<_> = headers.get_all(SESSION).iter().filter_map(seal).collect();
        headers.remove(SESSION);
        headers.extend(sealed.into_iter().map(|value| (SESSION, value)));
    }
    let ends_here = named_by_connection(headers);
    let stays = |name: &&HeaderName| !crosses_to_client(name) || (ends_here.contains(name) && **name != SESSION);
    let staying: SmallVec<[HeaderName; 8]> = headers.keys().filter(stays).cloned().collect();
    for name in staying {
        headers.remove(name);
    }
    if events {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
        headers.insert(BUFFERING, HeaderValue::from_static("no"));
    }
}

fn crosses_to_client(name: &HeaderName) -> bool {
    let name = name.as_str();
    let stays = matches!(
        name,
        "set-cookie"
            | "server"
            | "www-authenticate"
            | "clear-site-data"
            | "strict-transport-security"
            | "alt-svc"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "content-encoding"
            | "date"
            | "location"
            | "x-request-id"
            | "x-powered-by"
    );
    !stays && !name.starts_with("access-control-") && !name.starts_with("proxy-")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use portcullis_policies::kit::{chain::Inbound, json::Limits, message::Message};

    use super::*;

    const MESSAGE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = headers.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn sent(headers: &[(&'static str, &'static str)], own: &[(&'static str, &'static str)]) -> HeaderMap {
        let message = Message::read(Bytes::from_static(MESSAGE), &Limits::MESSAGE).unwrap();
        let mut request = http::Request::new(Inbound::Message(message));
        *request.headers_mut() = map(headers);
        request.extensions_mut().insert(UpstreamHeaders(map(own)));
        let template = Template::http1(HeaderValue::from_static("upstream.test"));
        to_upstream(&template, &request, None)
    }

    #[test]
    fn a_request_says_where_it_goes_and_how_long_it_is_whatever_others_say() {
        let said = [("host", "gateway.test"), ("content-length", "7"), ("authorization", "Bearer x")];
        for (client, policy) in [(&said[..], &[][..]), (&[], &said[..2])] {
            let sent = sent(client, policy);
            assert_eq!(
                (&sent["host"], &sent["content-length"]),
                (&"upstream.test".parse().unwrap(), &MESSAGE.len().into())
            );
            assert_eq!(sent.len(), 6, "{sent:?}");
        }
    }

    #[test]
    fn tr_13_a_message_of_the_gateways_own_has_nothing_of_what_the_client_says_of_its_own() {
        let mut request = http::Request::new(Inbound::Refused(Reason::Internal.into()));
        *request.headers_mut() = map(&[
            ("mcp-session-id", "sealed"),
            ("mcp-protocol-version", "2025-06-18"),
            ("mcp-method", "tools/call"),
            ("mcp-param-region", "eu"),
            ("authorization", "Bearer of the client"),
            ("traceparent", "00-1-2-01"),
        ]);
        request.extensions_mut().insert(UpstreamHeaders(map(&[("x-team", "tools"), ("content-length", "7")])));
        request.extensions_mut().insert(UpstreamCredential::new(
            "connection",
            1,
            vec![(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer of the gateway"))],
        ));
        let template = Template::http1(HeaderValue::from_static("upstream.test"));
        let mut own = own(&template, &request, &[(SESSION, HeaderValue::from_static("upstream-session"))]);
        let mut expected = map(&[
            ("traceparent", "00-1-2-01"),
            ("x-team", "tools"),
            ("authorization", "Bearer of the gateway"),
            ("mcp-session-id", "upstream-session"),
            ("host", "upstream.test"),
        ]);
        expected.extend(Template::new().0);
        expected.remove(VERSION);
        for headers in [&mut own, &mut expected] {
            headers.remove(USER_AGENT);
        }
        assert_eq!(own, expected);
    }

    #[test]
    fn the_version_crosses_as_often_as_it_is_said() {
        let version = |headers: &HeaderMap| headers.get_all(VERSION).iter().cloned().collect::<Vec<_>>();
        assert_eq!(version(&sent(&[], &[])), Vec::<HeaderValue>::new());
        let said = ("mcp-protocol-version", "2025-11-25");
        assert_eq!(version(&sent(&[said], &[])), ["2025-11-25"]);
        assert_eq!(version(&sent(&[said, ("connection", "mcp-protocol-version")], &[])), Vec::<HeaderValue>::new());
        assert_eq!(version(&sent(&[], &[said])), ["2025-11-25"]);
        assert_eq!(version(&sent(&[said], &[("mcp-protocol-version", "2026-07-28")])), ["2026-07-28"]);
    }

    #[test]
    fn an_answer_keeps_what_crosses_and_its_session_is_sealed() {
        let mut headers = map(&[
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("set-cookie", "a=b"),
            ("mcp-session-id", "1"),
            ("x-hop", "1"),
            ("connection", "x-hop"),
        ]);
        to_client(&mut headers, false, |id| (id == "1").then(|| HeaderValue::from_static("sealed")));
        assert_eq!(headers, map(&[("content-type", "application/json"), ("mcp-session-id", "sealed")]));
    }
}
