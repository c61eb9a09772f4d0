//! A strict vendor on loopback: an MCP server's metadata and its authorization server, where a refresh token that is used
//! twice ends everything that came of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{Router, body::to_bytes, extract::Request, response::Response};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

pub(super) struct Vendor {
    pub(super) origin: String,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

/// What the vendor does and has done.
pub(super) struct Script {
    origin: String,
    /// The authorization server that its metadata name, if it is not itself.
    pub(super) trusts: Option<String>,
    /// Does its authorization server answer?
    pub(super) down: bool,
    /// Does it do what it is asked, and its answer never arrive?
    pub(super) loses_answers: bool,
    /// Does it give another refresh token each time?
    pub(super) rotates: bool,
    pub(super) expires_in: u64,
    pub(super) delay: Duration,
    /// Refresh tokens that are good, with the family that they are of.
    good: HashMap<String, u64>,
    used: HashMap<String, u64>,
    ended: HashSet<u64>,
    count: u64,
    pub(super) redemptions: u64,
    pub(super) refreshes: u64,
    pub(super) registrations: u64,
    /// Tokens that were revoked.
    pub(super) revoked: Vec<String>,
    /// Refresh tokens that were used twice.
    pub(super) reused: u64,
    /// Everything that was sent to its endpoints.
    pub(super) heard: String,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Vendor {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::new(&origin)));
        let shared = Arc::clone(&script);
        let router = Router::new().fallback(move |request: Request| answer(Arc::clone(&shared), request));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, script, task }
    }

    pub(super) fn target(&self) -> String {
        format!("{}/mcp", self.origin)
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Ends everything that it has given out.
    pub(super) fn end_all(&self) {
        let mut script = self.script();
        let families: Vec<_> = script.good.values().copied().collect();
        script.ended.extend(families);
    }
}

impl Script {
    fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            trusts: None,
            down: false,
            loses_answers: false,
            rotates: true,
            expires_in: 3600,
            delay: Duration::ZERO,
            good: HashMap::new(),
            used: HashMap::new(),
            ended: HashSet::new(),
            count: 0,
            redemptions: 0,
            refreshes: 0,
            registrations: 0,
            revoked: Vec::new(),
            reused: 0,
            heard: String::new(),
        }
    }

    fn metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.origin);
        json!({
            "issuer": self.origin,
            "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "registration_endpoint": at("/register"), "revocation_endpoint": at("/revoke"),
            "code_challenge_methods_supported": ["S256"], "token_endpoint_auth_methods_supported": ["none"],
        })
    }

    fn token(&mut self, form: &HashMap<String, String>) -> (StatusCode, Value) {
        self.count += 1;
        let number = self.count;
        match form.get("grant_type").map(String::as_str) {
            Some("authorization_code") => {
                self.redemptions += 1;
                self.good.insert(format!("rt-{number}"), number);
                (StatusCode::OK, self.tokens(number, Some(format!("rt-{number}"))))
            }
            Some("refresh_token") => self.refresh(number, &form["refresh_token"]),
            _ => (StatusCode::OK, self.tokens(number, None)),
        }
    }

    fn refresh(&mut self, number: u64, token: &str) -> (StatusCode, Value) {
        if let Some(family) = self.used.get(token) {
            self.reused += 1;
            self.ended.insert(*family);
        }
        let family = self.good.get(token).copied().filter(|family| !self.ended.contains(family));
        let Some(family) = family else { return (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" })) };
        self.refreshes += 1;
        if !self.rotates {
            return (StatusCode::OK, self.tokens(number, None));
        }
        self.good.remove(token);
        self.used.insert(token.to_owned(), family);
        self.good.insert(format!("rt-{number}"), family);
        (StatusCode::OK, self.tokens(number, Some(format!("rt-{number}"))))
    }

    fn tokens(&self, number: u64, refresh_token: Option<String>) -> Value {
        let mut tokens = json!({
            "access_token": format!("at-{number}"), "token_type": "Bearer", "expires_in": self.expires_in,
        });
        if let Some(token) = refresh_token {
            tokens["refresh_token"] = token.into();
        }
        tokens
    }
}

async fn answer(script: Arc<Mutex<Script>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let (status, answer, delay) = {
        let mut script = script.lock().unwrap();
        script.heard.push_str(&String::from_utf8_lossy(&body));
        let is_of_server = !path.contains("protected-resource");
        let (status, answer) = match path.as_str() {
            _ if script.down && is_of_server => (StatusCode::SERVICE_UNAVAILABLE, Value::Null),
            "/.well-known/oauth-protected-resource/mcp" => {
                let server = script.trusts.as_ref().unwrap_or(&script.origin);
                let resource = format!("{}/mcp", script.origin);
                (StatusCode::OK, json!({ "resource": resource, "authorization_servers": [server] }))
            }
            "/.well-known/oauth-authorization-server" => (StatusCode::OK, script.metadata()),
            "/register" => {
                script.registrations += 1;
                (StatusCode::CREATED, json!({ "client_id": format!("client-{}", script.registrations) }))
            }
            "/token" => script.token(&form),
            "/revoke" => {
                script.revoked.extend(form.get("token").cloned());
                (StatusCode::OK, Value::Null)
            }
            _ => (StatusCode::NOT_FOUND, Value::Null),
        };
        if path == "/token" && script.loses_answers {
            (StatusCode::BAD_GATEWAY, Value::Null, script.delay)
        } else {
            (status, answer, if path == "/token" { script.delay } else { Duration::ZERO })
        }
    };
    sleep(delay).await;
    let body = if answer.is_null() { "<html>".to_owned() } else { answer.to_string() };
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(body.into()).unwrap()
}
