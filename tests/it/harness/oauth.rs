//! An OAuth client as MCP clients are: it registers, sends a person to the browser, and redeems what comes back.

use std::collections::HashMap;

use serde_json::{Value, json};
use url::Url;

use super::{Browser, Landed, Reachable, Reply, Request, form};

/// Where the client listens for codes.
pub(crate) const REDIRECT: &str = "http://127.0.0.1:33418/callback";
/// A verifier and its challenge (RFC 7636 Appendix B).
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What a client gets for a code or a refresh token.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    pub(crate) fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let text = |name: &str| reply.json()[name].as_str().unwrap_or_default().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// An OAuth client that has a `client_id`.
#[derive(Clone)]
pub(crate) struct OAuthClient {
    pub(crate) id: String,
    pub(crate) redirect: String,
    origin: String,
}

impl OAuthClient {
    /// Registers itself, as a public client on loopback.
    pub(crate) async fn register(gateway: &impl Reachable) -> Self {
        let metadata = json!({
            "client_name": "Story Client",
            "redirect_uris": [REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        });
        let reply = register(gateway, &metadata).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        Self::known(gateway, reply.json()["client_id"].as_str().unwrap(), REDIRECT)
    }

    pub(crate) fn known(gateway: &impl Reachable, id: &str, redirect: &str) -> Self {
        Self { id: id.to_owned(), redirect: redirect.to_owned(), origin: gateway.place().origin }
    }

    /// The parameters of a good authorization request for a route.
    pub(crate) fn request(&self, route: &str) -> Vec<(&'static str, String)> {
        vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.id.clone()),
            ("redirect_uri", self.redirect.clone()),
            ("state", "st&te=1 ü".to_owned()),
            ("code_challenge", CHALLENGE.to_owned()),
            ("code_challenge_method", "S256".to_owned()),
            ("resource", format!("{}{route}", self.origin)),
        ]
    }

    /// The address to open in a browser.
    pub(crate) fn url(&self, route: &str) -> String {
        address(&self.request(route))
    }

    /// Has a person sign in and say yes; returns the code.
    pub(crate) async fn code(&self, browser: &mut Browser, route: &str, name: &str) -> String {
        let landed = browser.open(&self.url(route)).await;
        let back = say_yes(browser, landed, name).await;
        parameters(&back).remove("code").unwrap_or_else(|| panic!("no code in {back}"))
    }

    /// Redeems a code.
    pub(crate) async fn redeem(&self, gateway: &impl Reachable, code: &str) -> Reply {
        self.token(gateway, &[("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)]).await
    }

    pub(crate) async fn refresh(&self, gateway: &impl Reachable, token: &str) -> Reply {
        self.token(gateway, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Asks the token endpoint, as this public client.
    pub(crate) async fn token(&self, gateway: &impl Reachable, fields: &[(&str, &str)]) -> Reply {
        let all: Vec<_> = fields.iter().copied().chain([("client_id", self.id.as_str())]).collect();
        gateway.place().ask(&form("/oauth/token", &all)).await
    }

    /// Everything, from the browser to the tokens.
    pub(crate) async fn sign_in(&self, gateway: &impl Reachable, route: &str, name: &str) -> Tokens {
        let code = self.code(&mut Browser::at(gateway), route, name).await;
        Tokens::of(&self.redeem(gateway, &code).await)
    }
}

/// An authorization request as an address.
pub(crate) fn address(parameters: &[(&'static str, String)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("/oauth/authorize?{query}")
}

/// Says yes on the page of consent, and who one is where that is asked.
pub(crate) async fn say_yes(browser: &mut Browser, landed: Landed, name: &str) -> String {
    let page = landed.page();
    assert_eq!(page.reply.status, 200, "{}", page.text());
    let request = page.field("request");
    let landed = browser.submit("/oauth/consent", &[("request", &request), ("decision", "allow")]).await;
    match landed {
        Landed::Elsewhere(url) => url,
        Landed::Page(page) => {
            let state = page.field("state");
            browser.submit("/oauth/dev-login", &[("state", &state), ("name", name)]).await.elsewhere()
        }
    }
}

/// The parameters of an address that a browser was sent to.
pub(crate) fn parameters(url: &str) -> HashMap<String, String> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

pub(crate) async fn register(gateway: &impl Reachable, metadata: &Value) -> Reply {
    let request = Request::new("POST", "/oauth/register").header("Content-Type", "application/json");
    gateway.place().ask(&request.body(metadata.to_string())).await
}

impl Request {
    /// With an access token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }
}
