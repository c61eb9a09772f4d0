//! Sending a browser to a provider, and knowing it again when it comes back.

use axum::response::Response;
use portcullis_policies::kit::{
    random,
    sign_in::{OpenIdProvider, SignIn},
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Answer, provider_key};
use crate::{
    oauth::{
        Authority,
        browser::{Browser, CookieName, SetCookie},
        code::{Arrival, Yes},
        pages::{self, Trouble},
        purpose::Purpose,
    },
    store::{AccountRecord, Digest, LoginRecord, SessionRecord, StoreError},
};

/// A sign-in that was begun. It is kept sealed in the store.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::oauth) struct Begun {
    /// What the person signs in for.
    pub(in crate::oauth) purpose: Purpose,
    /// Where they were sent.
    provider: String,
    /// Repeated by the ID token (OpenID Connect Core §3.1.2.1).
    pub(super) nonce: String,
    /// Proves to the provider that the code is for us (RFC 7636).
    pub(super) verifier: String,
}

impl Begun {
    /// Begins a sign-in.
    pub(in crate::oauth) fn new(purpose: Purpose, sign_in: &SignIn) -> Self {
        let provider = provider_key(&sign_in.provider);
        Self { purpose, provider, nonce: random::secret(), verifier: random::secret() }
    }

    /// Is it still the same provider that the route asks? A code of one is no business of another.
    pub(in crate::oauth) fn is_at(&self, sign_in: &SignIn) -> bool {
        self.provider == provider_key(&sign_in.provider)
    }
}

impl Authority {
    /// Writes a sign-in down that begins now. The cookie is what tells the browser that said yes from any other which the
    /// provider's address is opened in.
    pub(in crate::oauth) async fn begin(
        &self,
        browser: &Browser,
        begun: &Begun,
        sign_in: &SignIn,
    ) -> Result<(String, SetCookie), StoreError> {
        let (state, proof) = (random::secret(), random::secret());
        let record = LoginRecord {
            state: Digest::of(state.as_bytes()),
            browser: Digest::of(proof.as_bytes()),
            secret: serde_json::to_vec(begun).map_err(StoreError::corrupt)?,
            expires_at: self.clock.now().plus(sign_in.lifetimes.state),
        };
        let mut work = self.store.begin(&self.tenant).await?;
        work.insert_login(&record).await?;
        work.commit().await?;
        let cookie = browser.set(&CookieName::Login(record.state), &proof, Some(sign_in.lifetimes.state));
        Ok((state, cookie))
    }

    /// The sign-in that `state` names, if this browser began it. Whoever asks, it can be taken up once.
    pub(in crate::oauth) async fn resume(&self, browser: &Browser, state: &str) -> Result<(Begun, SetCookie), Trouble> {
        let state = Digest::of(state.as_bytes());
        if browser.get(&CookieName::Login(state)).is_none() {
            tracing::warn!("a sign-in came back in another browser than it was begun in, and was refused");
            return Err(Trouble::OtherBrowser);
        }
        let mut work = self.store.begin(&self.tenant).await?;
        let record = work.take_login(&state).await?;
        work.commit().await?;
        let record = record.filter(|record| self.clock.now() < record.expires_at).ok_or(Trouble::Stale)?;
        let cookie = CookieName::Login(state);
        if browser.digest(&cookie) != Some(record.browser) {
            tracing::warn!("a sign-in came back in another browser than it was begun in, and was refused");
            return Err(Trouble::OtherBrowser);
        }
        let begun = serde_json::from_slice(&record.secret).map_err(StoreError::corrupt)?;
        Ok((begun, browser.forget(&cookie)))
    }

    /// Sends the browser to an OpenID provider (OpenID Connect Core §3.1.2.1).
    pub(in crate::oauth) async fn begin_login(
        &self,
        browser: &Browser,
        purpose: Purpose,
        sign_in: &SignIn,
        provider: &OpenIdProvider,
    ) -> Result<Response, Trouble> {
        let endpoints = self.providers.endpoints(provider).await;
        let endpoints = endpoints.map_err(|error| self.provider_trouble(provider, error, &purpose))?;
        let begun = Begun::new(purpose, sign_in);
        let (state, cookie) = self.begin(browser, &begun, sign_in).await?;
        let url = self.login_url(provider, endpoints.authorization.clone(), &begun, &state);
        Ok(pages::with_cookies(pages::see_other(url.as_str()), Some(cookie)))
    }

    fn login_url(&self, provider: &OpenIdProvider, mut url: Url, begun: &Begun, state: &str) -> Url {
        let challenge = oauth2::PkceCodeChallenge::from_code_verifier_sha256(&oauth2::PkceCodeVerifier::new(
            begun.verifier.clone(),
        ));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &provider.client_id)
            .append_pair("redirect_uri", &self.callback_uri())
            .append_pair("scope", &provider.scope)
            .append_pair("state", state)
            .append_pair("nonce", &begun.nonce)
            .append_pair("code_challenge", challenge.as_str())
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(&provider.parameters);
        if let Some(prompt) = prompt(provider, &begun.purpose) {
            url.query_pairs_mut().append_pair("prompt", prompt);
        }
        url
    }

    /// The one address that providers send browsers back to.
    pub(super) fn callback_uri(&self) -> String {
        self.origin.at("/oauth/callback")
    }

    /// Somebody has signed in: a new session begins, under a new id, and the browser goes on to what that was for.
    pub(in crate::oauth) async fn signed_in(
        &self,
        browser: &Browser,
        begun: &Begun,
        answer: Answer,
        sign_in: &SignIn,
    ) -> Result<Response, StoreError> {
        let Answer { identity, id_token, refresh_token } = answer;
        let (now, id) = (self.clock.now(), random::secret());
        let provider = provider_key(&sign_in.provider);
        let subject = identity.subject.to_string();
        let identity = serde_json::to_vec(&identity).map_err(StoreError::corrupt)?;
        // A provider that gives no new refresh token this time goes by the one that it gave before.
        let known = self.store.account(&self.tenant, &provider, &subject).await?;
        let before = known.and_then(|account| account.refresh_token);
        let account = AccountRecord {
            provider: provider.clone(),
            subject: subject.clone(),
            identity: identity.clone(),
            refresh_token: refresh_token.map(String::into_bytes).or(before),
            id_token: id_token.map(String::into_bytes),
            refreshed_at: now,
        };
        let session = SessionRecord {
            id: Digest::of(id.as_bytes()),
            provider,
            subject,
            identity,
            created_at: now,
            expires_at: now.plus(sign_in.lifetimes.session),
        };
        let arrival = Arrival { account, before: browser.digest(&CookieName::Session) };
        let response = match &begun.purpose {
            Purpose::Client(request) => {
                self.grant(Yes { request, sign_in, session: &session, arrival: Some(arrival), is_new: true }).await?
            }
            Purpose::Page(page) => {
                self.arrive(&session, &arrival).await?;
                pages::see_other(page.path())
            }
        };
        let cookie = browser.set(&CookieName::Session, &id, Some(sign_in.lifetimes.session));
        Ok(pages::with_cookies(response, Some(cookie)))
    }
}

/// What the provider shall ask the person (OpenID Connect Core §3.1.2.1). Without `consent`, providers leave
/// `offline_access` out (§11), and claims could not be refreshed.
fn prompt(provider: &OpenIdProvider, purpose: &Purpose) -> Option<&'static str> {
    match (provider.is_asked_for_offline_access(), purpose.sign_in_again()) {
        _ if provider.parameters.contains_key("prompt") => None,
        (true, true) => Some("login consent"),
        (true, false) => Some("consent"),
        (false, true) => Some("login"),
        (false, false) => None,
    }
}
