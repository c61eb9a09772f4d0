//! Which headers cross the gateway, and how.
//!
//! To the upstream an allow-list, to the client a deny-list (RFC 9110 §7.6.1 for what is hop-by-hop). The client's
//! `Authorization` and `Cookie` never cross; what an upstream needs is put there by policies, as [`UpstreamHeaders`] or
//! [`UpstreamCredential`].

use std::{
    fmt::{self, Write},
    sync::LazyLock,
};

use aws_lc_rs::digest;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT},
};
use portcullis_policies::kit::{
    chain::{Request, UpstreamHeaders, crosses_to_upstream},
    credential::UpstreamCredential,
    headers::{has, values},
    host::Caller,
    refusal::{Reason, Refusal},
};
use smallvec::SmallVec;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Marks the sessions of one route, so that a session id is good for nothing on another; nor with another connection, where
/// the route has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTag(u32);

impl SessionTag {
    /// The tag of a route: the same on every node and after every restart.
    pub fn of(route: &str) -> Self {
        // FNV-1a, because it must never change.
        Self(route.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)))
    }

    fn seal(self, owner: Owner<'_>, upstream_id: &HeaderValue) -> Option<HeaderValue> {
        let upstream_id = upstream_id.to_str().ok()?;
        HeaderValue::from_str(&format!("{self}{}{upstream_id}", self.mark(owner, upstream_id))).ok()
    }

    fn open(self, owner: Owner<'_>, id: &HeaderValue) -> Option<HeaderValue> {
        let rest = id.to_str().ok()?.strip_prefix(&*self.to_string())?;
        let upstream_id = if owner.credential.is_some() { rest.get(MARK..)? } else { rest };
        rest.strip_prefix(&*self.mark(owner, upstream_id)).and_then(|id| HeaderValue::from_str(id).ok())
    }

    /// Binds a session to the connection that it was begun with. Its id is random and never leaves the gateway, so nobody
    /// can make the mark of their own connection for somebody else's session. Computed only for sessions, which few
    /// requests have.
    fn mark(self, owner: Owner<'_>, upstream_id: &str) -> String {
        let Owner { credential: Some(credential), subject } = owner else { return String::new() };
        let tag = self.0.to_be_bytes();
        let connection = credential.connection().as_bytes();
        let mut sum = digest::Context::new(&digest::SHA256);
        let lengths = [connection.len(), subject.len()].map(usize::to_be_bytes);
        for part in [&tag, &lengths[0][..], connection, &lengths[1], subject.as_bytes(), upstream_id.as_bytes()] {
            sum.update(part);
        }
        let sum = sum.finish();
        let mut mark = sum.as_ref()[..MARK / 2].iter().fold(String::with_capacity(MARK), |mut mark, byte| {
            let _ = write!(mark, "{byte:02x}");
            mark
        });
        mark.replace_range(MARK - 1.., "-");
        mark
    }
}

/// Whose connection a request goes out with, and who sent it: all callers may share a connection, and never a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    credential: Option<&'a UpstreamCredential>,
    subject: &'a str,
}

impl<'a> Owner<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let facts = request.extensions();
        Self { credential: facts.get(), subject: facts.get::<Caller>().map_or("", |caller| &caller.subject) }
    }
}

/// Letters of a mark, the hyphen at its end included.
const MARK: usize = 32;

impl fmt::Display for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-", self.0)
    }
}

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

/// The headers of the request to the upstream.
pub(super) fn to_upstream(template: &Template, request: &Request, session: SessionTag) -> Result<HeaderMap, Refusal> {
    let mut headers = template.0.clone();
    let owner = Owner::of(request);
    let mut version = None;
    let ends_here = named_by_connection(request.headers());
    for (name, value) in request.headers() {
        if ends_here.contains(name) {
            continue;
        }
        match name.as_str() {
            "mcp-session-id" => {
                let unknown = || Refusal::from(Reason::UnknownSession);
                headers.append(SESSION, session.open(owner, value).ok_or_else(unknown)?);
            }
            "mcp-protocol-version" if version.is_none() => version = Some(value),
            _ if crosses_to_upstream(name) => {
                headers.append(name, value.clone());
            }
            _ => {}
        }
    }
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
    if let Some(UpstreamHeaders(own)) = request.extensions().get() {
        // Where the message goes and how long it is are not for policies to say.
        let theirs = |name: &&HeaderName| !matches!(**name, HOST | CONTENT_LENGTH);
        for name in own.keys().filter(theirs) {
            headers.remove(name);
        }
        let own = own.iter().filter(|(name, _)| theirs(name));
        headers.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    }
    if let Some(credential) = owner.credential {
        for (name, value) in credential.headers() {
            headers.insert(name, value.clone());
        }
    }
    Ok(headers)
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
pub(super) fn to_client(headers: &mut HeaderMap, session: SessionTag, owner: Owner<'_>, events: bool) {
    if has(headers, &SESSION) {
        let sealed: Vec<_> = headers.get_all(SESSION).iter().filter_map(|value| session.seal(owner, value)).collect();
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
        to_upstream(&template, &request, SessionTag::of("/mcp")).unwrap()
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
        to_client(&mut headers, SessionTag(1), Owner { credential: None, subject: "" }, false);
        assert_eq!(headers, map(&[("content-type", "application/json"), ("mcp-session-id", "00000001-1")]));
    }

    #[test]
    fn sb_05_sec_b3_a_session_is_unknown_to_others_whatever_stands_before_its_id() {
        let session = SessionTag::of("/mcp/notes");
        let credential = |connection: &str, version| UpstreamCredential::new(connection, version, Vec::new());
        let (one, other) = (credential("one connection", 1), credential("another connection", 1));
        let newer = credential("one connection", 2);
        let owner = |credential, subject| Owner { credential: Some(credential), subject };
        let nobody = Owner { credential: None, subject: "" };
        let upstream_id = HeaderValue::from_static("session-1");
        let adas = session.seal(owner(&one, "ada"), &upstream_id).unwrap();
        assert_eq!(session.open(owner(&newer, "ada"), &adas), Some(upstream_id.clone()));
        assert_eq!(session.open(owner(&other, "ada"), &adas), None);
        assert_eq!(session.open(owner(&one, "bob"), &adas), None, "whoever shares a connection shares no session");
        assert_eq!(session.open(nobody, &adas).as_ref().map(|id| id == upstream_id), Some(false));
        assert_eq!(SessionTag::of("/mcp/mail").open(owner(&one, "ada"), &adas), None);
        // Bob knows the mark of a session of his own; on hers it is not good.
        let bobs = session.seal(owner(&other, "bob"), &HeaderValue::from_static("session-2")).unwrap();
        let forged = bobs.to_str().unwrap().replace("session-2", "session-1");
        assert_eq!(session.open(owner(&other, "bob"), &HeaderValue::from_str(&forged).unwrap()), None);
        assert_eq!(session.open(owner(&other, "bob"), &session.seal(nobody, &upstream_id).unwrap()), None);
    }
}
