//! Nodes with one store, and a vendor that ends what is refreshed twice.

mod ends;
mod faults;
mod keys;
mod links;
mod renewal;
mod vendor;

use std::{
    path::Path,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderValue, StatusCode};
use portcullis_policies::kit::{
    clock::{ManualClock, Timestamp},
    credential::{
        AuthMode, Connections, CredentialRefused, NoCredential, OAuthUpstream, Obtained, Obtaining, UpstreamAuth,
        UpstreamChallenge, UpstreamCredential, UpstreamTarget, Wanted,
    },
    host::Caller,
};
use secrecy::SecretString;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use url::Url;

use self::vendor::Vendor;
use super::{
    CallbackParameters, ConnectError, Connected, ConnectionBook, Foundation, NoSubjectToken, SubjectTokens,
    UpstreamRoute, UpstreamRoutes,
};
use crate::{
    fetch::{Client, Guard, NoNames, Roots, Settings},
    store::{ConnectionKey, ConnectionRecord, Digest, Location, MasterKey, Store, Tenant},
};

const ROUTE: &str = "/mcp/notes";
const KEY: &str = "b1f0c97a62d3e8445f0e9d7a3c21886bd4e7f1095a6c3b82e9470d15fca8632e";
const T: Tenant = Tenant::DEFAULT;

/// One route, as the configuration of the moment has it.
#[derive(Debug)]
struct OneRoute {
    route: RwLock<UpstreamRoute>,
    version: AtomicU64,
}

impl OneRoute {
    /// Another configuration.
    fn put(&self, mode: AuthMode, target: &str) {
        *self.route.write().unwrap() = route(mode, target);
        self.version.fetch_add(1, Ordering::SeqCst);
    }
}

impl UpstreamRoutes for OneRoute {
    fn upstream_auth(&self, path: &str) -> Option<UpstreamRoute> {
        Some(self.route.read().unwrap().clone()).filter(|route| *route.path == *path)
    }

    fn all(&self) -> Vec<UpstreamRoute> {
        vec![self.route.read().unwrap().clone()]
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }
}

fn route(mode: AuthMode, target: &str) -> UpstreamRoute {
    let auth = UpstreamAuth { id: "notes".into(), display_name: "Notes".to_owned(), summary: None, mode };
    UpstreamRoute { path: ROUTE.into(), auth: Arc::new(auth), target: UpstreamTarget(target.into()) }
}

#[derive(Debug)]
struct NoTokens;

#[async_trait]
impl SubjectTokens for NoTokens {
    async fn id_token(&self, _: &Caller) -> Result<SecretString, NoSubjectToken> {
        Err(NoSubjectToken::SignInAgain("nobody signed in here".to_owned()))
    }
}

/// Nodes on one store.
struct Town {
    vendor: Vendor,
    routes: Arc<OneRoute>,
    clock: Arc<ManualClock>,
    folder: TempDir,
}

/// One of them.
struct Node {
    book: ConnectionBook,
    store: Store,
    routes: Arc<OneRoute>,
}

impl Town {
    async fn new() -> Self {
        let vendor = Vendor::start().await;
        let routes = OneRoute { route: RwLock::new(route(user_oauth(), &vendor.target())), version: AtomicU64::new(1) };
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        Self { vendor, routes: Arc::new(routes), clock, folder: tempfile::tempdir().unwrap() }
    }

    async fn node(&self) -> Node {
        let location = Location::parse("sqlite:store.db", self.folder.path()).unwrap();
        let clock: Arc<ManualClock> = Arc::clone(&self.clock);
        let store = Store::open(&location, MasterKey::parse(KEY).unwrap(), clock.clone()).await.unwrap();
        let guard = Guard { loopback: true, ..Guard::default() };
        let foundation = Foundation {
            origin: Url::parse("https://gateway.example.com").unwrap(),
            store: store.clone(),
            tenant: T,
            clock,
            fetch: Client::new(Settings { guard, roots: Roots::none() }, Arc::new(NoNames)),
            routes: Arc::clone(&self.routes) as Arc<dyn UpstreamRoutes>,
            subjects: Arc::new(NoTokens),
            journal: self.journal().to_owned(),
        };
        let book = ConnectionBook::open(foundation);
        book.replay().await;
        Node { book, store, routes: Arc::clone(&self.routes) }
    }

    /// The file of the store, beside the nodes.
    async fn database(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite:{}/store.db", self.folder.path().display())).await.unwrap()
    }

    fn journal(&self) -> &Path {
        self.folder.path()
    }

    /// A node, and Ada is connected.
    async fn with_ada() -> (Self, Node) {
        let town = Self::new().await;
        let node = town.node().await;
        node.connect("ada").await.unwrap();
        (town, node)
    }

    fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl Node {
    async fn obtain(&self, subject: &str) -> Obtained {
        self.ask(subject, async |wanted| finished(self.book.obtain(wanted, None)).await).await
    }

    async fn renew(&self, subject: &str, refused: &CredentialRefused) -> Obtained {
        self.ask(subject, async |wanted| finished(self.book.renew(wanted, refused, None)).await).await
    }

    async fn give_up(&self, subject: &str, refused: &CredentialRefused) -> NoCredential {
        self.ask(subject, async |wanted| self.book.give_up(wanted, refused).await).await
    }

    /// Is it at hand?
    async fn is_ready(&self, subject: &str) -> bool {
        self.ask(subject, async |wanted| matches!(self.book.obtain(wanted, None), Obtaining::Ready(Ok(_)))).await
    }

    async fn ask<R>(&self, subject: &str, ask: impl AsyncFnOnce(Wanted<'_>) -> R) -> R {
        let (route, caller) = (self.routes.upstream_auth(ROUTE).unwrap(), Caller::new(subject));
        let UpstreamRoute { auth, target, .. } = &route;
        ask(Wanted { auth, target, caller: Some(&caller), route: ROUTE, request_id: None }).await
    }

    /// The token of the link that somebody is given.
    async fn link(&self, subject: &str) -> String {
        let url = self.book.link_for(subject, ROUTE).await.unwrap();
        url.strip_prefix("https://gateway.example.com/connect/").unwrap().to_owned()
    }

    /// The whole way of a person who says yes.
    async fn connect(&self, subject: &str) -> Result<Connected, ConnectError> {
        let departure = self.book.begin(&self.link(subject).await, subject, browser(subject)).await?;
        self.book.complete("notes", brought(&departure.state), Some(subject), Some(browser(subject))).await
    }

    async fn row(&self, subject: &str) -> Option<ConnectionRecord> {
        self.store.connection(&T, &key(subject)).await.unwrap()
    }

    /// Each change of somebody's connection, the first one first.
    async fn history(&self, subject: &str) -> Vec<String> {
        let events = self.store.connection_events(&T, Some(&key(subject)), 100).await.unwrap();
        events.iter().rev().map(|event| format!("{} → {}", event.from.name(), event.to.name())).collect()
    }
}

async fn finished(obtaining: Obtaining<'_>) -> Obtained {
    match obtaining {
        Obtaining::Ready(obtained) => obtained,
        Obtaining::Pending(coming) => coming.await,
    }
}

fn user_oauth() -> AuthMode {
    AuthMode::UserOAuth(oauth_upstream())
}

fn oauth_upstream() -> OAuthUpstream {
    OAuthUpstream {
        client_document: None,
        protected_resource_metadata: None,
        issuer: None,
        scopes: Vec::new(),
        scope_delimiter: " ".to_owned(),
        client: None,
        classic: None,
    }
}

fn key(subject: &str) -> ConnectionKey {
    ConnectionKey { upstream: "notes".to_owned(), subject: subject.to_owned() }
}

fn browser(of: &str) -> Digest {
    Digest::of(format!("the browser of {of}").as_bytes())
}

fn brought(state: &str) -> CallbackParameters {
    CallbackParameters { code: Some("a code".into()), state: Some(state.to_owned()), ..CallbackParameters::default() }
}

fn refused(credential: &UpstreamCredential) -> CredentialRefused {
    said(credential, StatusCode::UNAUTHORIZED, r#"Bearer error="invalid_token""#)
}

fn said(credential: &UpstreamCredential, status: StatusCode, challenge: &'static str) -> CredentialRefused {
    let challenge = UpstreamChallenge { status, challenges: [HeaderValue::from_static(challenge)].into() };
    CredentialRefused { credential: credential.clone(), challenge }
}

/// The value of the one header that shows a credential.
fn shown(credential: &UpstreamCredential) -> &str {
    let [(_, value)] = credential.headers() else { panic!("{credential:?} has not one header") };
    value.to_str().unwrap()
}

/// What somebody is told who must connect: the state and the link.
fn connect_required(obtained: Result<UpstreamCredential, NoCredential>) -> (&'static str, String) {
    match obtained.unwrap_err() {
        NoCredential::Connect(required) => (required.state.as_str(), required.url),
        NoCredential::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// The code of a refusal.
fn reason(obtained: Result<UpstreamCredential, NoCredential>) -> &'static str {
    match obtained.unwrap_err() {
        NoCredential::Refused(refusal) => refusal.reason().code(),
        NoCredential::Connect(required) => panic!("{required:?}"),
    }
}

/// Waits until something holds, for ten seconds at most.
async fn soon(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}
