//! Sessions of revisions up to 2025-11-25, without a table of them: what there is to know stands sealed in the id that the
//! client gets, so any node can serve the next request.
//!
//! The seal is bound to the route, the caller and the caller's connection to the upstream. To anybody else, and anywhere
//! else, the id is unknown. It is not bound to the version of the credential: a connection outlives the renewals of its
//! tokens, and so do the sessions at the upstream, for which a renewed token is the same person's. A connection that a
//! person makes anew has another id, and sessions of the one before are unknown with it.

use std::sync::Arc;

use http::HeaderValue;
use portcullis_policies::kit::{
    chain::Request,
    credential::UpstreamCredential,
    host::Caller,
    message::FIRST_MODERN,
    session::{marked, unmarked},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seal::Seal;

const PURPOSE: &str = "session";

/// Whose connection a request goes out with, and who sent it: all callers may share a connection, and never a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    /// What the upstream sees of the caller.
    pub(super) credential: Option<&'a UpstreamCredential>,
    /// The caller; empty where nobody signs in.
    pub(super) subject: &'a str,
}

impl<'a> Owner<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let facts = request.extensions();
        Self { credential: facts.get(), subject: facts.get::<Caller>().map_or("", |caller| &caller.subject) }
    }

    /// The connection's id; empty where the upstream asks for no credential.
    pub(super) fn connection(&self) -> &'a str {
        self.credential.map_or("", UpstreamCredential::connection)
    }
}

/// One session, as its id tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    /// The revision that was agreed on, once that is known.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// Whose session it is behind the gateway.
    #[serde(flatten)]
    pub(super) held: Held,
    /// May the upstream have something to say in it beside its answers?
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_asides: bool,
    /// Did the client declare that it can send people to a page?
    #[serde(rename = "p", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) opens_pages: bool,
}

/// Who else knows of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Held {
    /// The upstream does, under this id.
    #[serde(rename = "u")]
    ByUpstream(String),
    /// Nobody: the upstream has no sessions, and each request tells it what the client declared.
    #[serde(rename = "g")]
    ByGateway(Declared),
}

/// The newest revision with sessions.
pub(super) const NEWEST_WITH_SESSIONS: &str = "2025-11-25";

/// The revision, if it is one with sessions: so what an upstream says is no text of any kind and length. Revisions are dates,
/// and their order is that of their letters.
pub(super) fn revision_with_sessions(said: &str) -> Option<&str> {
    let is_date = said.len() == FIRST_MODERN.len() && said.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    (is_date && said < FIRST_MODERN).then_some(said)
}

/// What a client said in `initialize`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Declared {
    /// `capabilities`.
    #[serde(rename = "c")]
    pub(super) capabilities: Value,
    /// `clientInfo`.
    #[serde(rename = "i")]
    pub(super) info: Value,
}

/// The sessions of one route.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    seal: Seal,
    route: Arc<str>,
}

impl Sessions {
    pub(super) fn new(seal: Seal, route: Arc<str>) -> Self {
        Self { seal, route }
    }

    /// The id under which the client knows a session.
    pub(super) fn seal(&self, owner: Owner<'_>, session: &Session) -> Option<HeaderValue> {
        let plain = serde_json::to_vec(session).ok()?;
        let sealed = self.seal.seal(PURPOSE, &self.place(owner), &plain);
        HeaderValue::try_from(marked(sealed, session.opens_pages)).ok()
    }

    /// The session that an id means, on this route, to this caller.
    pub(super) fn open(&self, owner: Owner<'_>, id: &HeaderValue) -> Option<Session> {
        let plain = self.seal.open(PURPOSE, &self.place(owner), unmarked(id.to_str().ok()?))?;
        serde_json::from_slice(&plain).ok()
    }

    fn place<'a>(&'a self, owner: Owner<'a>) -> [&'a str; 3] {
        [&self.route, owner.subject, owner.connection()]
    }
}

impl Session {
    /// The agreed revision, as the value of `MCP-Protocol-Version`.
    pub(super) fn version_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(self.version.as_deref()?).ok()
    }

    /// The upstream's own id.
    pub(super) fn upstream_id(&self) -> Option<HeaderValue> {
        match &self.held {
            Held::ByUpstream(id) => HeaderValue::from_str(id).ok(),
            Held::ByGateway(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: &str) -> Session {
        Session { version: None, held: Held::ByUpstream(id.to_owned()), has_asides: false, opens_pages: false }
    }

    #[test]
    fn tr_13_only_a_revision_with_sessions_can_be_agreed_on_in_one() {
        for known in ["2024-11-05", "2025-03-26", "2025-11-25"] {
            assert_eq!(revision_with_sessions(known), Some(known));
        }
        for other in ["", "2026-07-28", "2027-01-01", "2025-06-18 ", "2025-06-1x", "1.0", "2025_06_18"] {
            assert_eq!(revision_with_sessions(other), None, "{other}");
        }
        assert_eq!(revision_with_sessions(&"1".repeat(1 << 20)), None);
    }

    #[test]
    fn sb_05_sec_b3_tr_11_a_session_is_unknown_to_others_and_elsewhere() {
        let seal = Seal::new();
        let sessions = Sessions::new(seal.clone(), "/mcp/notes".into());
        let credential = |connection: &str, version| UpstreamCredential::new(connection, version, Vec::new());
        let (one, other) = (credential("one connection", 1), credential("another connection", 1));
        let newer = credential("one connection", 2);
        let owner = |credential, subject| Owner { credential: Some(credential), subject };
        let nobody = Owner { credential: None, subject: "" };
        let adas = sessions.seal(owner(&one, "ada"), &held("session-1")).unwrap();
        assert_eq!(sessions.open(owner(&newer, "ada"), &adas), Some(held("session-1")));
        assert_eq!(sessions.open(owner(&other, "ada"), &adas), None);
        assert_eq!(sessions.open(owner(&one, "bob"), &adas), None, "whoever shares a connection shares no session");
        assert_eq!(sessions.open(nobody, &adas), None);
        assert_eq!(Sessions::new(seal, "/mcp/mail".into()).open(owner(&one, "ada"), &adas), None);
        assert_eq!(sessions.open(nobody, &HeaderValue::from_static("session-1")), None);
        assert!(!adas.to_str().unwrap().contains("session-1"));
    }

    #[test]
    fn tr_31_an_id_says_openly_whether_its_client_opens_pages_and_means_the_same_session() {
        let sessions = Sessions::new(Seal::new(), "/mcp/notes".into());
        let nobody = Owner { credential: None, subject: "" };
        let session = Session { opens_pages: true, ..held("session-1") };
        let id = sessions.seal(nobody, &session).unwrap();
        assert!(id.to_str().unwrap().contains(".pages") && sessions.open(nobody, &id) == Some(session));
        let other = sessions.seal(nobody, &held("session-1")).unwrap();
        assert!(!other.to_str().unwrap().contains('.'), "where it is not so, nothing is said: {other:?}");
    }
}
