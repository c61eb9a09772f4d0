//! An OpenID provider that does as it is told: also what a real one would never do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use portcullis_policies::kit::{
    clock::Clock,
    jwt::{Algorithm, SigningKey},
};
use serde_json::{Value, json};

use super::{Answer, Browser, Gateway, OAuthClient, Received, Tokens, Upstream, parameters, sign};

/// Where its parts are.
pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(crate) const TOKEN: &str = "/token";
pub(crate) const JWKS: &str = "/jwks";

/// The gateway's registration.
pub(crate) const CLIENT: &str = "portcullis";
pub(crate) const SECRET: &str = "canary-client-secret-0123456789abcdef";

/// The provider; it ends with the story.
pub(crate) struct Provider {
    server: Upstream,
    state: Arc<Mutex<State>>,
}

/// Makes an ID token of claims.
type Signs = Arc<dyn Fn(&SigningKey, Value) -> String + Send + Sync>;

struct State {
    clock: Arc<dyn Clock>,
    issuer: String,
    key: SigningKey,
    published: Vec<Value>,
    people: HashMap<String, Value>,
    codes: HashMap<String, Login>,
    /// Refresh tokens that are good, and whose.
    refresh: HashMap<String, String>,
    answers: HashMap<&'static str, Answer>,
    discovery: Value,
    signs: Signs,
    minted: Vec<String>,
    count: usize,
    offline: bool,
}

/// What an authorization request said.
#[derive(Clone)]
struct Login {
    subject: String,
    nonce: Value,
    challenge: String,
    redirect: String,
}

impl Provider {
    pub(crate) async fn new(clock: Arc<dyn Clock>) -> Self {
        let key = new_key();
        let state = Arc::new(Mutex::new(State {
            clock,
            issuer: String::new(),
            published: vec![key.public_jwk().clone()],
            key,
            people: HashMap::new(),
            codes: HashMap::new(),
            refresh: HashMap::new(),
            answers: HashMap::new(),
            discovery: json!({}),
            signs: plainly(),
            minted: Vec::new(),
            count: 0,
            offline: true,
        }));
        let scripted = Arc::clone(&state);
        let server = Upstream::new(move |request| scripted.lock().unwrap().answer(request)).await;
        state.lock().unwrap().issuer = format!("http://{}", server.address());
        Self { server, state }
    }

    pub(crate) fn issuer(&self) -> String {
        self.state().issuer.clone()
    }

    /// Options of `mcp-oauth-inbound`.
    pub(crate) fn options(&self) -> Value {
        json!({
            "oidc": { "issuer": self.issuer() },
            "browserLogin": {
                "clientId": CLIENT,
                "clientSecret": SECRET,
                "scope": "openid profile email offline_access",
                "remoteTimeoutMs": 2000,
            },
        })
    }

    /// What it says about somebody, in place of what it said before.
    pub(crate) fn knows(&self, subject: &str, claims: Value) {
        self.state().people.insert(subject.to_owned(), claims);
    }

    /// Locks somebody out: their refresh tokens are worth nothing any more.
    pub(crate) fn locks_out(&self, subject: &str) {
        self.state().refresh.retain(|_, whose| whose != subject);
    }

    /// From now on, one of its parts answers so; `None`: as it should.
    pub(crate) fn answers(&self, path: &'static str, answer: Option<Answer>) {
        match answer {
            Some(answer) => drop(self.state().answers.insert(path, answer)),
            None => drop(self.state().answers.remove(path)),
        }
    }

    /// From now on, it makes ID tokens so.
    pub(crate) fn signs(&self, signs: impl Fn(&SigningKey, Value) -> String + Send + Sync + 'static) {
        self.state().signs = Arc::new(signs);
    }

    /// From now on, it makes ID tokens as it should.
    pub(crate) fn signs_plainly(&self) {
        self.state().signs = plainly();
    }

    /// From now on, ID tokens have these claims in place of their own; `null` takes one out.
    pub(crate) fn claims(&self, changes: Value) {
        self.signs(move |key, mut claims| {
            let all = claims.as_object_mut().unwrap();
            all.extend(changes.as_object().unwrap().clone());
            all.retain(|_, value| !value.is_null());
            sign(key, &claims)
        });
    }

    /// Takes another key, and publishes it alone.
    pub(crate) fn rotates_its_key(&self) {
        let mut state = self.state();
        state.key = new_key();
        state.published = vec![state.key.public_jwk().clone()];
    }

    /// Says more in its discovery document.
    pub(crate) fn also_says(&self, more: Value) {
        self.state().discovery = more;
    }

    /// From now on, it gives no refresh tokens.
    pub(crate) fn gives_no_refresh_tokens(&self) {
        self.state().offline = false;
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.server.requests().iter().filter(|request| request.path() == path).count()
    }

    /// All requests that it got.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.server.requests()
    }

    /// Everything secret that it gave out, and the gateway's own secret.
    pub(crate) fn secrets(&self) -> Vec<String> {
        [self.state().minted.clone(), vec![SECRET.to_owned()]].concat()
    }

    /// What happens on its pages: somebody signs in, and the browser is sent on to the address that this returns.
    pub(crate) fn sign_in(&self, url: &str, subject: &str) -> String {
        let mut state = self.state();
        assert!(url.starts_with(&format!("{}/authorize?", state.issuer)), "{url}");
        let asked = parameters(url);
        let said = |name: &str| asked.get(name).unwrap_or_else(|| panic!("no {name} in {url}")).as_str();
        assert_eq!((said("response_type"), said("client_id")), ("code", CLIENT));
        assert!(said("scope").starts_with("openid profile email"), "{url}");
        assert_eq!(said("code_challenge_method"), "S256");
        let login = Login {
            subject: subject.to_owned(),
            nonce: said("nonce").into(),
            challenge: said("code_challenge").to_owned(),
            redirect: said("redirect_uri").to_owned(),
        };
        let code = state.mint("code");
        let back = format!("{}?code={code}&state={}&iss={}", login.redirect, said("state"), state.issuer);
        state.codes.insert(code, login);
        back
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, request: &Received) -> Answer {
        if let Some(answer) = self.answers.get(request.path()) {
            return answer.clone();
        }
        match request.path() {
            DISCOVERY => Answer::json(&self.discovery()),
            JWKS => Answer::json(&json!({ "keys": self.published })),
            TOKEN => self
                .token(request)
                .unwrap_or_else(|code| Answer::body(400, "application/json", json!({ "error": code }).to_string())),
            _ => Answer::status(404),
        }
    }

    fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}{TOKEN}"),
            "jwks_uri": format!("{issuer}{JWKS}"),
            "authorization_response_iss_parameter_supported": true,
        });
        document.as_object_mut().unwrap().extend(self.discovery.as_object().unwrap().clone());
        document
    }

    fn token(&mut self, request: &Received) -> Result<Answer, &'static str> {
        let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
        if request.header("authorization") != Some(&expected) {
            return Err("invalid_client");
        }
        let form: HashMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let shown = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        match shown("grant_type") {
            "authorization_code" => {
                let login = self.codes.remove(shown("code")).ok_or("invalid_grant")?;
                let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, shown("code_verifier").as_bytes()));
                if (login.challenge, login.redirect.as_str()) != (challenge, shown("redirect_uri")) {
                    return Err("invalid_grant");
                }
                self.minted.push(shown("code_verifier").to_owned());
                Ok(self.tokens(&login.subject, &login.nonce))
            }
            "refresh_token" => {
                let subject = self.refresh.remove(shown("refresh_token")).ok_or("invalid_grant")?;
                Ok(self.tokens(&subject, &Value::Null))
            }
            _ => Err("unsupported_grant_type"),
        }
    }

    fn tokens(&mut self, subject: &str, nonce: &Value) -> Answer {
        let now = self.clock.now().as_seconds();
        let mut claims = json!({ "iss": self.issuer, "sub": subject, "aud": CLIENT, "iat": now, "exp": now + 300 });
        if !nonce.is_null() {
            claims["nonce"] = nonce.clone();
        }
        let person = self.people.get(subject).cloned().unwrap_or_else(|| json!({}));
        claims.as_object_mut().unwrap().extend(person.as_object().unwrap().clone());
        let id_token = (self.signs)(&self.key, claims);
        self.minted.push(id_token.clone());
        let mut tokens = json!({
            "access_token": self.mint("access"), "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
        });
        if self.offline {
            let refresh = self.mint("refresh");
            self.refresh.insert(refresh.clone(), subject.to_owned());
            tokens["refresh_token"] = refresh.into();
        }
        Answer::json(&tokens)
    }

    fn mint(&mut self, kind: &str) -> String {
        self.count += 1;
        let minted = format!("canary-{kind}-{:04}-of-{}", self.count, self.issuer.replace([':', '/', '.'], "-"));
        // A code travels through the browser: that is what it is for.
        if kind != "code" {
            self.minted.push(minted.clone());
        }
        minted
    }
}

impl OAuthClient {
    /// Has somebody say yes on the gateway's page; returns the provider's address to which the browser is sent.
    pub(crate) async fn to_provider(&self, browser: &mut Browser, route: &str) -> String {
        let sealed = browser.open(&self.url(route)).await.page().field("request");
        browser.submit("/oauth/consent", &[("request", &sealed), ("decision", "allow")]).await.elsewhere()
    }

    /// Everything, through the pages of a provider; returns the answer of the token endpoint.
    pub(crate) async fn through(&self, provider: &Provider, gateway: &Gateway, route: &str, subject: &str) -> Tokens {
        let mut browser = Browser::at(gateway);
        let login = self.to_provider(&mut browser, route).await;
        let back = browser.open(&provider.sign_in(&login, subject)).await.elsewhere();
        let code = parameters(&back).remove("code").unwrap_or_else(|| panic!("no code in {back}"));
        Tokens::of(&self.redeem(gateway, &code).await)
    }
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

fn plainly() -> Signs {
    Arc::new(|key, claims| sign(key, &claims))
}
