//! From the yes on our page to the connection: out to the upstream's authorization server, and back.
//!
//! What comes back counts only in the browser that left, for the person who said yes, and once. Everything that is needed
//! to judge it was noted, sealed, before the browser left.

use std::time::Duration;

use portcullis_policies::kit::{
    credential::{UpstreamAuth, UpstreamTarget},
    random,
};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

use super::{
    ConnectError, Connected, ConnectionBook, Departure, SetupFailure, UpstreamRoute,
    kept::{Kept, Tokens},
    links::scopes_of,
    made::Made,
    refresh::oauth_upstream,
    setup::NoSetup,
    transition::Transition,
};
use crate::{
    store::{ConnectFlow, ConnectLink, ConnectionKey, ConnectionStage, Digest, StoreError},
    upstreams::oauth::{CallbackParameters, Discovered, Flow, GrantError, PendingGrant, Registration},
};

/// How long a browser may be away.
const AWAY: Duration = Duration::from_mins(10);

/// What is noted before a browser leaves.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    upstream: String,
    subject: String,
    target: String,
    route: String,
    pending: PendingGrant,
    server: Discovered,
    registration: Registration,
}

impl From<NoSetup> for ConnectError {
    fn from(error: NoSetup) -> Self {
        match error {
            NoSetup::Failed(error) => Self::Setup(error.into()),
            NoSetup::Store(error) => Self::Store(error),
        }
    }
}

impl From<GrantError> for ConnectError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Mixup => Self::Mixup,
            GrantError::Refused { code, words } => Self::Refused { code, words: words.unwrap_or_default() },
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl ConnectionBook {
    /// `subject` said yes: uses the link up, and says where the browser goes. `browser` is the digest of a secret that only
    /// this browser has. Where all callers share the connection, the link alone counts, which the operator has.
    ///
    /// # Errors
    ///
    /// Those of [`ConnectError`]; as long as the upstream's sign-in cannot be set up, the link stays good.
    pub async fn begin(&self, token: &str, subject: &str, browser: Digest) -> Result<Departure, ConnectError> {
        let (link, route) = self.link_of(token, subject).await?;
        let upstream = oauth_upstream(&route.auth.mode).ok_or(ConnectError::Gone)?;
        if self.was_connected(&link).await? {
            // Something has changed since, which may be whom the upstream trusts.
            self.0.setups.forget(&route.auth.id, &route.target);
        }
        let setup = self.setup(&route.auth, upstream, Flow::Code, &route.target, None).await?;
        let mut scopes = setup.server.scopes.clone();
        scopes.extend(scopes_of(token).into_iter().filter(|scope| !setup.server.scopes.contains(scope)));
        let state = random::secret();
        let redirect_uri = self.redirect_uri(&route.auth.id);
        let departure = self.0.oauth.departure(&setup.server, &setup.registration, &scopes, &redirect_uri, &state);
        let (url, pending) = departure.map_err(|error| ConnectError::Setup(error.into()))?;
        let noted = Noted {
            upstream: link.upstream.clone(),
            subject: link.subject.clone(),
            target: link.target.clone(),
            route: link.route.clone(),
            pending,
            server: setup.server.clone(),
            registration: setup.registration.clone(),
        };
        self.note(&link, &noted, &state, browser).await?;
        Ok(Departure { url, state })
    }

    /// The link with this token, if `subject` may use it.
    pub(super) async fn link_of(
        &self,
        token: &str,
        subject: &str,
    ) -> Result<(ConnectLink, UpstreamRoute), ConnectError> {
        let (link, route) = self.good_link(token).await?.ok_or(ConnectError::Gone)?;
        if !link.subject.is_empty() && link.subject != subject {
            let (upstream, owner) = (&link.upstream, &link.subject);
            tracing::warn!(upstream, owner, subject, "somebody opened a link that was made for somebody else");
            return Err(ConnectError::NotYours);
        }
        Ok((link, route))
    }

    /// Uses the link up and keeps what the browser's return is judged by, both or neither.
    async fn note(&self, link: &ConnectLink, noted: &Noted, state: &str, browser: Digest) -> Result<(), ConnectError> {
        let now = self.0.clock.now();
        let secret = serde_json::to_vec(noted).map_err(StoreError::corrupt)?;
        let state = Digest::of(state.as_bytes());
        let flow = ConnectFlow { state, browser, secret, expires_at: now.plus(AWAY) };
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        work.use_connect_link(&link.digest, now).await?.ok_or(ConnectError::Gone)?;
        work.insert_connect_flow(&flow).await?;
        Zeroizing::new(flow.secret);
        Ok(work.commit().await?)
    }

    /// The browser came back to the callback of `upstream`. `subject` is who is signed in there, `browser` the digest of
    /// its secret.
    pub async fn complete(
        &self,
        upstream: &str,
        query: CallbackParameters,
        subject: Option<&str>,
        browser: Option<Digest>,
    ) -> Result<Connected, ConnectError> {
        let state = query.state.as_deref().ok_or(ConnectError::Gone)?;
        let noted = self.take_note(state, browser).await?;
        if noted.upstream != upstream {
            return Err(ConnectError::Mixup);
        }
        if !noted.subject.is_empty() && subject != Some(&noted.subject) {
            return Err(ConnectError::NotYours);
        }
        let route = self.0.routes.upstream_auth(&noted.route).ok_or(ConnectError::Gone)?;
        if *route.auth.id != *noted.upstream || *route.target.0 != *noted.target {
            return Err(ConnectError::Gone);
        }
        // In a task of its own: what a code is redeemed for must be kept, also when the browser does not wait.
        let book = self.clone();
        let finishing = tokio::spawn(async move { book.finish(noted, query, &route.auth, &route.target).await });
        finishing.await.map_err(|_| ConnectError::Unavailable("the gateway failed; its log says why".to_owned()))?
    }

    /// What was noted when this browser left. It can be taken once, whoever takes it.
    async fn take_note(&self, state: &str, browser: Option<Digest>) -> Result<Noted, ConnectError> {
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        let flow = work.take_connect_flow(&Digest::of(state.as_bytes())).await?;
        work.commit().await?;
        let flow = flow.filter(|flow| self.0.clock.now() < flow.expires_at).ok_or(ConnectError::Gone)?;
        if browser != Some(flow.browser) {
            tracing::warn!("a browser came back to the gateway that is not the one that left");
            return Err(ConnectError::OtherBrowser);
        }
        let secret = Zeroizing::new(flow.secret);
        serde_json::from_slice(&secret).map_err(|_| ConnectError::Gone)
    }

    async fn finish(
        &self,
        noted: Noted,
        query: CallbackParameters,
        auth: &UpstreamAuth,
        target: &UpstreamTarget,
    ) -> Result<Connected, ConnectError> {
        let Noted { upstream, subject, pending, server, registration, .. } = noted;
        let key = ConnectionKey { upstream, subject };
        let redeemed = self.0.oauth.redeem(&server, &registration, &pending, &query).await;
        let set = match redeemed {
            Ok(set) => set,
            Err(error) => {
                self.not_connected(&key, &error).await?;
                // What a browser brings, anybody can make up.
                if error.is_unknown_client() && query.error.is_none() {
                    self.forget_registration(&registration).await?;
                }
                return Err(self.not_granted(error, &key.upstream));
            }
        };
        let made = Made {
            key,
            target: &target.0,
            issuer: Some(server.issuer.clone()),
            scope: set.scope.clone(),
            lasting: set.expires_in,
            because: "the person connected",
            link: None,
            kept: Kept::Tokens(Box::new(Tokens { set, asked: pending.scopes, server, registration })),
        };
        self.connect(made).await?;
        Ok(Connected { display_name: auth.display_name.clone() })
    }

    /// What the person is told; and the operator, where it is the operator who can mend it.
    fn not_granted(&self, error: GrantError, upstream: &str) -> ConnectError {
        let Some(code) = error.setup_code() else { return error.into() };
        let uri = self.redirect_uri(upstream);
        let words = format!("the gateway is registered there under another redirect URI; register {uri}");
        ConnectError::Setup(SetupFailure { code: code.as_str().to_owned(), words })
    }

    /// Nothing came of it. What was connected before stays so.
    async fn not_connected(&self, key: &ConnectionKey, error: &GrantError) -> Result<(), StoreError> {
        tracing::warn!(key.subject, key.upstream, %error, "somebody did not get connected");
        if self.summary(key).await?.is_some() {
            return Ok(());
        }
        let because = if error.is_denied() { "the person said no" } else { "the upstream's sign-in gave nothing" };
        let transition = Transition {
            key,
            from: ConnectionStage::Authenticating,
            to: ConnectionStage::None,
            because,
            request_id: None,
        };
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        transition.record(&mut work, self.0.clock.now()).await?;
        work.commit().await?;
        transition.log();
        Ok(())
    }
}
