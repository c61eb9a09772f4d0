//! The client against a vendor on loopback that is told what to say: an MCP server, and its authorization server at
//! another origin.

mod challenges;
mod departure;
mod discovery;
mod grants;
mod hostile;
mod question;
mod registration;
mod server;
mod tokens;

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderValue, StatusCode};
use portcullis_policies::kit::{
    clock::{ManualClock, Timestamp},
    credential::{ClassicOAuth, ClientAuth, ClientAuthMethod, OAuthUpstream, UpstreamChallenge},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use self::server::Server;
use super::*;
use crate::fetch::{Client, Guard, NoNames, Roots, Settings};

fn oauth(loopback: bool) -> UpstreamOAuth {
    let guard = Guard { loopback, ..Guard::default() };
    let fetch = Client::new(Settings { guard, roots: Roots::none() }, Arc::new(NoNames));
    UpstreamOAuth::new(fetch, Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000))))
}

/// An MCP server at `/mcp`, and the authorization server that it trusts.
struct Vendor {
    upstream: Server,
    server: Server,
    oauth: UpstreamOAuth,
}

const PRM: &str = "/.well-known/oauth-protected-resource/mcp";
const ROOT_PRM: &str = "/.well-known/oauth-protected-resource";
const METADATA: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const CALLBACK: &str = "https://gateway.example.com/connect/callback/notes";
const STATE: &str = "a state that nobody guesses";

impl Vendor {
    /// A vendor that does everything as it should.
    async fn start() -> Self {
        let vendor = Self { upstream: Server::start().await, server: Server::start().await, oauth: oauth(true) };
        vendor.upstream.json(PRM, 200, &vendor.resource());
        vendor.server.json(METADATA, 200, &vendor.metadata());
        vendor.server.json(
            "/token",
            200,
            &json!({ "access_token": "at-1", "token_type": "Bearer", "refresh_token": "rt-1" }),
        );
        vendor.server.json("/register", 201, &json!({ "client_id": "client-1" }));
        vendor.server.json("/revoke", 200, &json!({}));
        vendor
    }

    fn target(&self) -> Url {
        self.upstream.url("/mcp")
    }

    fn resource(&self) -> Value {
        json!({ "resource": self.target(), "authorization_servers": [self.server.origin] })
    }

    fn metadata(&self) -> Value {
        let at = |path| self.server.url(path);
        json!({
            "issuer": self.server.origin,
            "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "registration_endpoint": at("/register"), "revocation_endpoint": at("/revoke"),
            "code_challenge_methods_supported": ["plain", "S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        })
    }

    /// The metadata with some members in the place of others; null takes one away.
    fn metadata_but(&self, changes: &Value) {
        self.server.json(METADATA, 200, &but(self.metadata(), changes));
    }

    fn resource_but(&self, changes: &Value) {
        self.upstream.json(PRM, 200, &but(self.resource(), changes));
    }

    async fn discover(&self) -> Result<Discovered, SetupError> {
        self.discover_with(&upstream(), None).await
    }

    async fn discover_with(&self, upstream: &OAuthUpstream, challenge: Option<&str>) -> Result<Discovered, SetupError> {
        let challenge = challenge.map(|text| challenged(&[text]));
        self.oauth.discover(Flow::Code, upstream, &self.target(), challenge.as_ref()).await
    }

    async fn register(&self, server: &Discovered) -> Result<Registration, SetupError> {
        self.oauth.register(server, &upstream(), None, Some(&callback()), "Portcullis").await
    }

    /// Everything up to where the browser leaves.
    async fn set_out(&self) -> Journey {
        let server = self.discover().await.unwrap();
        let registration = self.register(&server).await.unwrap();
        let (url, pending) = self.oauth.departure(&server, &registration, &server.scopes, &callback(), STATE).unwrap();
        Journey { server, registration, url, pending }
    }

    async fn redeem(&self, journey: &Journey, brought: &CallbackParameters) -> Result<TokenSet, GrantError> {
        self.oauth.redeem(&journey.server, &journey.registration, &journey.pending, brought).await
    }
}

/// A person under way.
struct Journey {
    server: Discovered,
    registration: Registration,
    url: Url,
    pending: PendingGrant,
}

fn but(mut document: Value, changes: &Value) -> Value {
    let members = document.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.remove(name);
        if !value.is_null() {
            members.insert(name.clone(), value.clone());
        }
    }
    document
}

fn callback() -> Url {
    Url::parse(CALLBACK).unwrap()
}

fn upstream() -> OAuthUpstream {
    OAuthUpstream {
        protected_resource_metadata: None,
        issuer: None,
        scopes: Vec::new(),
        scope_delimiter: " ".to_owned(),
        client: None,
        client_document: None,
        classic: None,
    }
}

fn classic(server: &Server) -> ClassicOAuth {
    ClassicOAuth {
        authorization_endpoint: Some(server.url("/login/oauth/authorize")),
        token_endpoint: server.url("/token"),
        revocation_endpoint: None,
        parameters: BTreeMap::new(),
        pkce: true,
        resource: false,
    }
}

fn client(method: ClientAuthMethod) -> ClientAuth {
    ClientAuth { client_id: "a client:id".to_owned(), method }
}

fn challenged(headers: &[&str]) -> UpstreamChallenge {
    let challenges = headers.iter().map(|text| HeaderValue::from_bytes(text.as_bytes()).unwrap()).collect();
    UpstreamChallenge { status: StatusCode::UNAUTHORIZED, challenges }
}

fn brought(code: &str) -> CallbackParameters {
    CallbackParameters { code: Some(code.into()), state: Some(STATE.to_owned()), ..CallbackParameters::default() }
}

/// The parameters of a URL, of which none is there twice.
fn query(url: &Url) -> BTreeMap<String, String> {
    let parameters: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(parameters.len(), url.query_pairs().count(), "{url}");
    parameters
}

fn code_of<T: std::fmt::Debug>(outcome: Result<T, SetupError>) -> &'static str {
    outcome.unwrap_err().code.as_str()
}

fn names(scopes: &[Box<str>]) -> Vec<&str> {
    scopes.iter().map(|scope| &**scope).collect()
}

fn text(secret: &SecretString) -> &str {
    secret.expose_secret()
}
