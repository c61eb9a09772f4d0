//! Signing in to the gateway under test, as an MCP client and the browser of its person do it, and asking for tokens.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use url::form_urlencoded::{Serializer, parse};

use crate::connection::{Answered, Connection};
use crate::gateway::Personal;

/// Nothing listens there: the code is in the address that a browser would be sent to.
const REDIRECT: &str = "http://127.0.0.1:33418/callback";
/// A verifier and its challenge (RFC 7636 Appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const FORM: &str = "application/x-www-form-urlencoded";

/// What the connections of a load sign in with, each as somebody else.
pub(crate) struct Grants {
    gateway: SocketAddr,
    /// The first access token of each.
    tokens: Vec<String>,
    all: Vec<Arc<Mutex<Grant>>>,
}

/// A client that a person said yes to. Its refresh tokens replace one another.
struct Grant {
    client: String,
    refresh: String,
}

impl Grants {
    /// For the route; where it leads on to the upstream in the name of its callers, they are connected there.
    pub(crate) async fn of(gateway: SocketAddr, route: Personal, count: u32) -> Result<Self> {
        let (mut tokens, mut all) = (Vec::new(), Vec::new());
        for number in 0..count {
            // Names of one length, so that the tokens have one length too.
            let (mut browser, name) = (Browser::at(gateway).await?, format!("bench-{number:03}"));
            let (token, grant) = sign_in(&mut browser, Personal::PATH, &name).await?;
            if route.connects() {
                connect(&mut browser, Personal::PATH, &token).await.context("connecting")?;
            }
            tokens.push(token);
            all.push(Arc::new(Mutex::new(grant)));
        }
        Ok(Self { gateway, tokens, all })
    }

    /// The token that a connection shows if it needs no new ones.
    pub(crate) fn token(&self, connection: u32) -> Option<&str> {
        self.tokens.get(usize::try_from(connection).ok()?).map(String::as_str)
    }

    /// So many tokens for each connection that nobody has shown yet.
    pub(crate) async fn new_tokens(&self, each: u32) -> Result<Vec<Vec<String>>> {
        let mut minting = JoinSet::new();
        for grant in &self.all {
            minting.spawn(new_tokens(self.gateway, Arc::clone(grant), each));
        }
        let mut tokens = Vec::new();
        while let Some(minted) = minting.join_next().await {
            tokens.push(minted??);
        }
        Ok(tokens)
    }
}

async fn new_tokens(gateway: SocketAddr, grant: Arc<Mutex<Grant>>, count: u32) -> Result<Vec<String>> {
    let (mut browser, mut grant) = (Browser::at(gateway).await?, grant.lock().await);
    let mut tokens = Vec::new();
    for _ in 0..count {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &grant.refresh), ("client_id", &grant.client)];
        let answer = json_of(&browser.submit("/oauth/token", &fields).await?, "200")?;
        tokens.push(text(&answer, "access_token")?);
        grant.refresh = text(&answer, "refresh_token")?;
    }
    Ok(tokens)
}

/// From the registration to the first access token.
async fn sign_in(browser: &mut Browser, route: &str, name: &str) -> Result<(String, Grant)> {
    let client = register(browser).await?;
    let code = consent(browser, route, &client, name).await?;
    let fields =
        [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER), ("client_id", &client)];
    let answer = json_of(&browser.submit("/oauth/token", &fields).await?, "200")?;
    Ok((text(&answer, "access_token")?, Grant { refresh: text(&answer, "refresh_token")?, client }))
}

async fn register(browser: &mut Browser) -> Result<String> {
    let metadata = json!({
        "client_name": "Bench",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    let answer = browser.post("/oauth/register", "application/json", &metadata.to_string()).await?;
    text(&json_of(&answer, "201")?, "client_id")
}

/// The person's part: says yes, and who it is. The code that the client gets.
async fn consent(browser: &mut Browser, route: &str, client: &str, name: &str) -> Result<String> {
    let query = encoded(&[
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", &format!("http://{}{route}", browser.gateway)),
    ]);
    let page = browser.get(&format!("/oauth/authorize?{query}")).await?;
    let request = field(&page, "request")?;
    let onward = browser.submit("/oauth/consent", &[("request", &request), ("decision", "allow")]).await?;
    let state = sent_with(&onward, "state")?;
    let back = browser.submit("/oauth/dev-login", &[("state", &state), ("name", name)]).await?;
    sent_with(&back, "code")
}

/// From the link that a call is answered with to the connection at the upstream, which says yes to everything.
async fn connect(browser: &mut Browser, route: &str, token: &str) -> Result<()> {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo" } });
    let answered = browser.call(route, token, &message.to_string()).await?;
    let link = answered.body.split_once("/connect/").map(|(_, rest)| rest);
    let link = link.with_context(|| format!("no link: {}{}", answered.head, answered.body))?;
    let token: String = link.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let page = browser.get(&format!("/connect/{token}")).await?;
    let fields = [("form", &*field(&page, "form")?), ("decision", "connect")];
    let onward = browser.submit(&format!("/connect/{token}"), &fields).await?;
    let (state, back) = (sent_with(&onward, "state")?, sent_with(&onward, "redirect_uri")?);
    let back = back.trim_start_matches(&format!("http://{}", browser.gateway)).to_owned();
    let done = browser.get(&format!("{back}?{}", encoded(&[("code", "yes"), ("state", &state)]))).await?;
    ensure!(done.body.contains("is connected"), "not connected: {}{}", done.head, done.body);
    Ok(())
}

/// A field of the form on a page.
fn field(page: &Answered, name: &str) -> Result<String> {
    let field = page.body.split_once(&format!(r#"name="{name}" value=""#)).and_then(|(_, rest)| rest.split_once('"'));
    let (value, _) = field.with_context(|| format!("no {name} on the page: {}{}", page.head, page.body))?;
    Ok(value.to_owned())
}

/// One connection that keeps its cookies.
struct Browser {
    gateway: SocketAddr,
    connection: Connection,
    cookies: Vec<String>,
}

impl Browser {
    async fn at(gateway: SocketAddr) -> Result<Self> {
        Ok(Self { gateway, connection: Connection::open(gateway).await?, cookies: Vec::new() })
    }

    async fn get(&mut self, path: &str) -> Result<Answered> {
        self.ask(&format!("GET {path}"), "", "").await
    }

    async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answered> {
        self.post(path, FORM, &encoded(fields)).await
    }

    async fn post(&mut self, path: &str, kind: &str, body: &str) -> Result<Answered> {
        let origin = format!("Origin: http://{}\r\nSec-Fetch-Site: same-origin", self.gateway);
        let headers = format!("{origin}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        self.ask(&format!("POST {path}"), &headers, body).await
    }

    async fn call(&mut self, route: &str, token: &str, message: &str) -> Result<Answered> {
        let accept = "application/json, text/event-stream";
        let headers = format!(
            "Authorization: Bearer {token}\r\nAccept: {accept}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n",
            message.len()
        );
        self.ask(&format!("POST {route}"), &headers, message).await
    }

    async fn ask(&mut self, what: &str, headers: &str, body: &str) -> Result<Answered> {
        let (host, cookies) = (self.gateway, self.cookies.join("; "));
        let request = format!("{what} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n{headers}\r\n{body}");
        let answered = self.connection.ask(request.as_bytes()).await?;
        let set = answered.headers("set-cookie").filter_map(|cookie| cookie.split(';').next());
        for cookie in set {
            // One name is set for several paths, with one value.
            let name = cookie.split_inclusive('=').next().unwrap_or(cookie);
            self.cookies.retain(|known| !known.starts_with(name));
            if !cookie.ends_with('=') {
                self.cookies.push(cookie.to_owned());
            }
        }
        Ok(answered)
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A parameter of the address that a browser is sent to.
fn sent_with(answered: &Answered, name: &str) -> Result<String> {
    let location = answered.headers("location").next().unwrap_or_default();
    let (_, query) = location.split_once('?').unwrap_or_default();
    let found = parse(query.as_bytes()).find(|(parameter, _)| parameter == name);
    let (_, value) = found.with_context(|| format!("no {name}: {}{}", answered.head, answered.body))?;
    Ok(value.into_owned())
}

fn json_of(answered: &Answered, status: &str) -> Result<Value> {
    let Answered { head, body } = answered;
    ensure!(head.split(' ').nth(1) == Some(status), "not a {status}: {head}{body}");
    Ok(serde_json::from_str(body)?)
}

fn text(answer: &Value, name: &str) -> Result<String> {
    Ok(answer[name].as_str().with_context(|| format!("no {name}: {answer}"))?.to_owned())
}
