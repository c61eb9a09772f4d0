//! A vendor that does as it is told: an MCP server and, on another port, the authorization server that lets people in there.
//!
//! It writes down everything that it gets, and says whose token each call carried. As it is, it is strict: a refresh token
//! is good once, and showing a spent one ends the connection.

mod resource;
mod server;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use portcullis_policies::kit::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use super::{Answer, Gate, Received, Upstream, parameters};

/// Where its parts are; the first two on the MCP server's port, the others on the authorization server's.
pub(crate) const MCP: &str = "/mcp";
pub(crate) const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource/mcp";
pub(crate) const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";
pub(crate) const AUTHORIZE: &str = "/authorize";
pub(crate) const REGISTER: &str = "/register";
pub(crate) const REVOKE: &str = "/revoke";
pub(crate) use super::provider::TOKEN as VENDOR_TOKEN;

/// The vendor; it ends with the story.
pub(crate) struct Vendor {
    resource: Upstream,
    server: Upstream,
    state: Arc<Mutex<State>>,
}

/// A call that reached the MCP server with a good token.
#[derive(Clone, Debug)]
pub(crate) struct VendorCall {
    /// Whose token it carried.
    pub(crate) person: String,
    pub(crate) token: String,
    pub(crate) message: Value,
    /// The request, byte by byte.
    pub(crate) received: Received,
}

/// How often it did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VendorCounts {
    pub(crate) registrations: usize,
    /// Codes redeemed.
    pub(crate) codes: usize,
    /// Refresh tokens redeemed.
    pub(crate) refreshes: usize,
    /// Refresh tokens or codes that were shown again after that.
    pub(crate) reuses: usize,
    /// Tokens given without a browser: client credentials, exchanges, assertions.
    pub(crate) direct: usize,
    pub(crate) revocations: usize,
    /// Messages that were answered 401.
    pub(crate) turned_away: usize,
}

struct State {
    clock: Arc<dyn Clock>,
    url: String,
    issuer: String,
    answers: HashMap<&'static str, Answer>,
    gates: HashMap<&'static str, Gate>,
    /// Members of its documents, in place of their own.
    says: HashMap<&'static str, Value>,
    challenge: Option<String>,
    demands: HashMap<String, String>,
    asks: String,
    lets_documents_in: bool,
    rotates: bool,
    keeps_sessions: bool,
    token_seconds: i64,
    clients: HashMap<String, Option<String>>,
    codes: HashMap<String, Code>,
    connections: BTreeMap<usize, Connection>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    sessions: HashMap<String, String>,
    calls: Vec<VendorCall>,
    minted: Vec<String>,
    counts: VendorCounts,
    last: usize,
}

/// What an authorization request said, and what came of it.
struct Code {
    person: String,
    client: String,
    redirect: String,
    challenge: Option<String>,
    scope: String,
    connection: Option<usize>,
}

struct Connection {
    person: String,
    client: String,
    scope: String,
}

struct Access {
    connection: usize,
    expires_at: Timestamp,
}

struct Refresh {
    connection: usize,
    spent: bool,
}

impl Vendor {
    pub(crate) async fn new(clock: Arc<dyn Clock>) -> Self {
        let state = Arc::new(Mutex::new(State::new(clock)));
        let scripted = Arc::clone(&state);
        let resource = Upstream::new(move |request| scripted.lock().unwrap().held(request, State::resource)).await;
        let scripted = Arc::clone(&state);
        let server = Upstream::new(move |request| scripted.lock().unwrap().held(request, State::server)).await;
        {
            let mut state = state.lock().unwrap();
            state.url = resource.url();
            state.issuer = format!("http://{}", server.address());
        }
        Self { resource, server, state }
    }

    /// The address of the MCP server, for a route.
    pub(crate) fn url(&self) -> String {
        self.state().url.clone()
    }

    pub(crate) fn issuer(&self) -> String {
        self.state().issuer.clone()
    }

    /// One of the authorization server's parts, as an address: for vendors whose parts are given by hand.
    pub(crate) fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }

    // What it is told to do -----------------------------------------------------------------------

    /// From now on, one of its parts answers so, and does nothing; `None`: as it should.
    pub(crate) fn answers(&self, path: &'static str, answer: Option<Answer>) {
        match answer {
            Some(answer) => drop(self.state().answers.insert(path, answer)),
            None => drop(self.state().answers.remove(path)),
        }
    }

    /// From now on, one of its parts does what it is asked to and keeps the answer back until the gate is opened, once for
    /// each request; `None`: no more.
    pub(crate) fn holds(&self, path: &'static str, gate: Option<&Gate>) {
        match gate {
            Some(gate) => drop(self.state().gates.insert(path, gate.clone())),
            None => drop(self.state().gates.remove(path)),
        }
    }

    /// From now on, one of its documents has these members in place of its own; `null` takes one out.
    pub(crate) fn says(&self, document: &'static str, members: Value) {
        self.state().says.insert(document, members);
    }

    /// From now on, this is the `WWW-Authenticate` of its 401, whatever it says; an empty one is left out.
    pub(crate) fn challenges(&self, header: &str) {
        self.state().challenge = Some(header.to_owned());
    }

    /// From now on, its 401 asks for this scope.
    pub(crate) fn asks_for(&self, scope: &str) {
        scope.clone_into(&mut self.state().asks);
    }

    /// From now on, a tool needs this scope besides the others.
    pub(crate) fn demands(&self, tool: &str, scope: &str) {
        self.state().demands.insert(tool.to_owned(), scope.to_owned());
    }

    /// A client that an operator registered. It proves to be itself by the secret, or by any assertion.
    pub(crate) fn knows_client(&self, id: &str, secret: Option<&str>) {
        let mut state = self.state();
        state.minted.extend(secret.map(ToOwned::to_owned));
        state.clients.insert(id.to_owned(), secret.map(ToOwned::to_owned));
    }

    /// It has lost all registrations.
    pub(crate) fn forgets_clients(&self) {
        self.state().clients.clear();
    }

    /// From now on, an https address is good as a client id (and is not fetched).
    pub(crate) fn lets_documents_in(&self) {
        self.state().lets_documents_in = true;
    }

    /// From now on, a refresh gives no new refresh token, and the old one stays good.
    pub(crate) fn keeps_refresh_tokens(&self) {
        self.state().rotates = false;
    }

    /// From now on, the MCP server has sessions: `initialize` begins one, each belongs to one person, others get 404.
    pub(crate) fn keeps_sessions(&self) {
        self.state().keeps_sessions = true;
    }

    /// From now on, access tokens are good for so long.
    pub(crate) fn gives_tokens_for(&self, seconds: i64) {
        self.state().token_seconds = seconds;
    }

    /// All access tokens are worth nothing any more; refresh tokens are.
    pub(crate) fn expires_tokens(&self) {
        self.state().access.clear();
    }

    /// The access tokens of somebody are worth nothing any more; their refresh tokens are.
    pub(crate) fn expires_tokens_of(&self, person: &str) {
        let mut state = self.state();
        let State { access, connections, .. } = &mut *state;
        access.retain(|_, access| connections.get(&access.connection).is_none_or(|whose| whose.person != person));
    }

    /// All connections of somebody end.
    pub(crate) fn revokes(&self, person: &str) {
        self.state().connections.retain(|_, connection| connection.person != person);
    }

    /// Forgets what it received so far, for stories with very many calls.
    pub(crate) fn forgets_calls(&self) {
        self.resource.forget();
        self.server.forget();
        self.state().calls.clear();
    }

    /// The calls since this was last asked, which are forgotten.
    pub(crate) fn takes_calls(&self) -> Vec<VendorCall> {
        self.resource.forget();
        self.server.forget();
        std::mem::take(&mut self.state().calls)
    }

    // What it has seen ----------------------------------------------------------------------------

    /// How often a path was asked for, on either port.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.received(path).len()
    }

    /// The requests for a path, on either port, without regard to its query.
    pub(crate) fn received(&self, path: &str) -> Vec<Received> {
        let all = [self.resource.requests(), self.server.requests()].concat();
        all.into_iter().filter(|request| request.path().split('?').next() == Some(path)).collect()
    }

    /// All requests that its MCP server got.
    pub(crate) fn at_resource(&self) -> Vec<Received> {
        self.resource.requests()
    }

    /// All requests that its authorization server got.
    pub(crate) fn at_server(&self) -> Vec<Received> {
        self.server.requests()
    }

    /// The form of the last request for a path.
    pub(crate) fn last_form(&self, path: &str) -> HashMap<String, String> {
        let received = self.received(path);
        let last = received.last().unwrap_or_else(|| panic!("nobody asked for {path}"));
        url::form_urlencoded::parse(&last.body).into_owned().collect()
    }

    /// The calls that came with a good token.
    pub(crate) fn calls(&self) -> Vec<VendorCall> {
        self.state().calls.clone()
    }

    pub(crate) fn counts(&self) -> VendorCounts {
        self.state().counts
    }

    /// Whose connections there are, in the order in which they began.
    pub(crate) fn connected(&self) -> Vec<String> {
        self.state().connections.values().map(|connection| connection.person.clone()).collect()
    }

    /// Everything secret that it gave out or was shown.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.state().minted.clone()
    }

    // What happens on its pages -------------------------------------------------------------------

    /// Somebody says yes; returns where the browser is sent.
    pub(crate) fn says_yes(&self, url: &str, person: &str) -> String {
        let mut state = self.state();
        let asked = parameters(url);
        let said = |name: &str| asked.get(name).unwrap_or_else(|| panic!("no {name} in {url}")).clone();
        assert!(url.starts_with(&format!("{}{AUTHORIZE}?", state.issuer)), "{url}");
        assert_eq!(said("response_type"), "code");
        assert!(state.is_client(&said("client_id")), "{url}");
        let code = state.mint("code");
        let known = Code {
            person: person.to_owned(),
            client: said("client_id"),
            redirect: said("redirect_uri"),
            challenge: asked.get("code_challenge").cloned(),
            scope: asked.get("scope").cloned().unwrap_or_default(),
            connection: None,
        };
        state.codes.insert(code.clone(), known);
        back(&said("redirect_uri"), &[("code", &code), ("state", &said("state")), ("iss", &state.issuer)])
    }

    /// Somebody says no; returns where the browser is sent.
    pub(crate) fn says_no(&self, url: &str) -> String {
        let asked = parameters(url);
        let issuer = self.issuer();
        let parameters = [("error", "access_denied"), ("state", &*asked["state"]), ("iss", &*issuer)];
        back(&asked["redirect_uri"], &parameters)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A redirect URI with more parameters.
fn back(redirect: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = url::Url::parse(redirect).unwrap();
    url.query_pairs_mut().extend_pairs(parameters);
    url.into()
}

impl State {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            url: String::new(),
            issuer: String::new(),
            answers: HashMap::new(),
            gates: HashMap::new(),
            says: HashMap::new(),
            challenge: None,
            demands: HashMap::new(),
            asks: String::new(),
            lets_documents_in: false,
            rotates: true,
            keeps_sessions: false,
            token_seconds: 300,
            clients: HashMap::new(),
            codes: HashMap::new(),
            connections: BTreeMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            sessions: HashMap::new(),
            calls: Vec::new(),
            minted: Vec::new(),
            counts: VendorCounts::default(),
            last: 0,
        }
    }

    /// The answer to a request, replaced or kept back as it was told.
    fn held(&mut self, request: &Received, answer: fn(&mut Self, &Received) -> Answer) -> Answer {
        let path = request.path().split('?').next().unwrap_or_default().to_owned();
        let answer = self.answers.get(path.as_str()).cloned().unwrap_or_else(|| answer(self, request));
        match self.gates.get(path.as_str()) {
            Some(gate) => answer.behind(gate),
            None => answer,
        }
    }

    /// A document with the members that it was told.
    fn document(&self, path: &str, document: Value) -> Answer {
        let mut document = document;
        let members = document.as_object_mut().unwrap();
        members.extend(self.says.get(path).and_then(Value::as_object).cloned().unwrap_or_default());
        members.retain(|_, value| !value.is_null());
        Answer::json(&json!(members))
    }

    fn number(&mut self) -> usize {
        self.last += 1;
        self.last
    }

    fn mint(&mut self, kind: &str) -> String {
        let minted =
            format!("canary-vendor-{kind}-{:06}-of-{}", self.number(), self.issuer.replace([':', '/', '.'], "-"));
        // A code travels through the browser: that is what it is for.
        if kind != "code" {
            self.minted.push(minted.clone());
        }
        minted
    }
}
