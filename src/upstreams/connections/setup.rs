//! An upstream's authorization server and the gateway's registration there: found out when they are first needed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use portcullis_policies::kit::{
    credential::{OAuthUpstream, UpstreamAuth, UpstreamChallenge, UpstreamTarget},
    refusal::{Reason, Refusal},
};
use secrecy::{ExposeSecret, zeroize::Zeroizing};
use tokio::time::Instant;
use url::Url;

use super::{ConnectionBook, SetupFailure, slot::lock};
use crate::{
    store::{StoreError, UpstreamClientRecord},
    upstreams::oauth::{Discovered, Flow, Registration, RegistrationKind, SetupCode, SetupError, Transcript},
};

/// Where tokens come from, and as whom the gateway asks for them.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) server: Discovered,
    pub(super) registration: Registration,
    /// Of the configuration that it was made for.
    configuration: u64,
    at: Instant,
}

/// What was found out of each upstream. Only upstreams of a configuration are in it, so there are not many.
#[derive(Debug, Default)]
pub(super) struct Setups(Mutex<HashMap<Place, Arc<Known>>>);

/// An upstream and its address.
type Place = (Box<str>, Arc<str>);

/// Held while it is found out: one at a time for each upstream.
type Known = tokio::sync::Mutex<LastTime>;

/// What came of the last time.
#[derive(Debug, Default)]
struct LastTime {
    setup: Option<Arc<Setup>>,
    failure: Option<(SetupError, u64, Instant)>,
    /// The first issuer that a secret of the configuration was for, and whose secret it is.
    pinned: Option<(String, String)>,
}

/// How long a set-up is believed, and a failure.
const GOOD: Duration = Duration::from_mins(10);
const BAD: Duration = Duration::from_secs(30);
/// A set-up that is younger than this was made after whatever the upstream says now.
const JUST_NOW: Duration = Duration::from_secs(1);

/// Why there is no set-up.
#[derive(Debug)]
pub(super) enum NoSetup {
    Failed(SetupError),
    Store(StoreError),
}

impl From<StoreError> for NoSetup {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SetupError> for SetupFailure {
    fn from(error: SetupError) -> Self {
        Self { code: error.code.as_str().to_owned(), words: error.words }
    }
}

/// What callers are told of a set-up that failed.
pub(super) fn refusal(error: &SetupError) -> Refusal {
    let refusal = if error.code == SetupCode::Unreachable {
        Refusal::new(Reason::CredentialUnavailable, "The upstream's sign-in does not answer.")
            .with_header(http::header::RETRY_AFTER, http::HeaderValue::from(BAD.as_secs()))
    } else {
        Refusal::new(Reason::UpstreamSetup, error.words.clone())
    };
    refusal.because(error.code.fault().as_cause()).with_data("setup", error.code.as_str())
}

impl Setups {
    fn known(&self, upstream: &str, target: &UpstreamTarget) -> Arc<Known> {
        Arc::clone(lock(&self.0).entry((upstream.into(), Arc::clone(&target.0))).or_default())
    }

    /// What was found out does not count any more.
    pub(super) fn forget(&self, upstream: &str, target: &UpstreamTarget) {
        if let Some(known) = lock(&self.0).get(&(Box::from(upstream), Arc::clone(&target.0)))
            && let Ok(mut last) = known.try_lock()
        {
            (last.setup, last.failure) = (None, None);
        }
    }

    /// The same of all upstreams.
    fn forget_all(&self) {
        for known in lock(&self.0).values() {
            if let Ok(mut last) = known.try_lock() {
                (last.setup, last.failure) = (None, None);
            }
        }
    }

    /// Forgets what nothing is known of any more.
    pub(super) fn sweep(&self) {
        let is_fresh = |known: &Arc<Known>| {
            let Ok(last) = known.try_lock() else { return true };
            let failed = last.failure.as_ref().is_some_and(|(_, _, at)| at.elapsed() < BAD);
            failed || last.pinned.is_some() || last.setup.as_ref().is_some_and(|setup| setup.at.elapsed() < GOOD)
        };
        lock(&self.0).retain(|_, known| is_fresh(known));
    }
}

impl LastTime {
    /// A secret that an operator got at one authorization server is not shown to another one because the upstream's
    /// metadata name it now, unless the configuration does too.
    fn pin(
        &mut self,
        upstream: &OAuthUpstream,
        found: (Discovered, Registration),
    ) -> Result<(Discovered, Registration), NoSetup> {
        let client = upstream.client.as_ref().filter(|client| client.has_secret() && upstream.issuer.is_none());
        let Some(client) = client else { return Ok(found) };
        let issuer = &found.0.issuer;
        match &self.pinned {
            Some((id, pinned)) if *id == client.client_id && pinned != issuer => {
                let words = format!(
                    "the upstream names the authorization server {issuer} now, and named {pinned} before; if that is \
                     right, say so with `authorizationServer`, as the gateway's secret would be shown there"
                );
                Err(NoSetup::Failed(SetupError::new(SetupCode::IssuerNotTrusted, &words, found.0.transcript)))
            }
            _ => {
                self.pinned = Some((client.client_id.clone(), issuer.clone()));
                Ok(found)
            }
        }
    }

    /// What need not be found out again.
    fn recent(&self, configuration: u64, believed: Duration) -> Option<Result<Arc<Setup>, NoSetup>> {
        let fits = |setup: &&Arc<Setup>| setup.configuration == configuration && setup.at.elapsed() < believed;
        if let Some(setup) = self.setup.as_ref().filter(fits) {
            return Some(Ok(Arc::clone(setup)));
        }
        let (error, of, at) = self.failure.as_ref()?;
        (*of == configuration && at.elapsed() < BAD).then(|| Err(NoSetup::Failed(error.clone())))
    }
}

impl ConnectionBook {
    /// The set-up of an upstream. After a `challenge` it is found out anew, as the upstream may have moved.
    pub(super) async fn setup(
        &self,
        auth: &UpstreamAuth,
        upstream: &OAuthUpstream,
        flow: Flow,
        target: &UpstreamTarget,
        challenge: Option<&UpstreamChallenge>,
    ) -> Result<Arc<Setup>, NoSetup> {
        let configuration = self.0.routes.version();
        let known = self.0.setups.known(&auth.id, target);
        let mut last = known.lock().await;
        let believed = if challenge.is_some() { JUST_NOW } else { GOOD };
        if let Some(recent) = last.recent(configuration, believed) {
            return recent;
        }
        let found = self.find_out(auth, upstream, flow, target, challenge).await;
        match found.and_then(|found| last.pin(upstream, found)) {
            Ok((server, registration)) => {
                let setup = Arc::new(Setup { server, registration, configuration, at: Instant::now() });
                *last = LastTime { setup: Some(Arc::clone(&setup)), failure: None, pinned: last.pinned.take() };
                Ok(setup)
            }
            Err(NoSetup::Failed(error)) => {
                let (fault, steps) = (error.code.fault(), &error.transcript);
                tracing::error!(
                    upstream = &*auth.id,
                    fault = fault.code(),
                    remedy = fault.fix(),
                    "the upstream's sign-in cannot be set up: {error}\n{steps}"
                );
                last.failure = Some((error.clone(), configuration, Instant::now()));
                Err(NoSetup::Failed(error))
            }
            Err(error) => Err(error),
        }
    }

    async fn find_out(
        &self,
        auth: &UpstreamAuth,
        upstream: &OAuthUpstream,
        flow: Flow,
        target: &UpstreamTarget,
        challenge: Option<&UpstreamChallenge>,
    ) -> Result<(Discovered, Registration), NoSetup> {
        let url = target_url(target).map_err(NoSetup::Failed)?;
        let asked = match challenge.filter(|challenge| !challenge.challenges.is_empty()) {
            None if upstream.classic.is_none() => self.0.oauth.challenge(&url).await,
            said => said.cloned(),
        };
        let server = self.0.oauth.discover(flow, upstream, &url, asked.as_ref()).await.map_err(NoSetup::Failed)?;
        let redirect_uri = (flow == Flow::Code).then(|| self.redirect_uri(&auth.id));
        let document = self.document_url(&auth.id, upstream);
        let may_be_dynamic = upstream.client.is_none() && !(server.client_documents && document.is_some());
        let mut seen = None;
        if may_be_dynamic && let Some(kept) = self.kept_registration(&server, redirect_uri.as_ref()).await? {
            if kept.is_good_for(&server, redirect_uri.as_ref(), self.0.clock.now()) {
                return Ok((server, kept));
            }
            seen = Some(kept.client.client_id);
        }
        let name = &self.0.client_name;
        let registering = self.0.oauth.register(&server, upstream, document.as_ref(), redirect_uri.as_ref(), name);
        let registration = registering.await.map_err(NoSetup::Failed)?;
        if registration.kind == RegistrationKind::Dynamic && !self.keep_registration(&registration, seen).await? {
            // Another node has registered meanwhile, and all go on with what it got.
            let kept = self.kept_registration(&server, redirect_uri.as_ref()).await?;
            return Ok((server, kept.unwrap_or(registration)));
        }
        Ok((server, registration))
    }

    async fn kept_registration(
        &self,
        server: &Discovered,
        redirect_uri: Option<&Url>,
    ) -> Result<Option<Registration>, StoreError> {
        let place = redirect_uri.map_or("", Url::as_str);
        let record = self.0.store.upstream_client(&self.0.tenant, &server.issuer, place).await?;
        Ok(record.and_then(|record| serde_json::from_slice(record.secrets.expose_secret()).ok()))
    }

    /// Keeps a registration in the place of the client `seen`; `false` if another one is there.
    async fn keep_registration(&self, registration: &Registration, seen: Option<String>) -> Result<bool, StoreError> {
        let secrets = Zeroizing::new(serde_json::to_vec(registration).map_err(StoreError::corrupt)?);
        let record = UpstreamClientRecord {
            issuer: registration.issuer.clone(),
            redirect_uri: registration.redirect_uri.as_ref().map(Url::to_string).unwrap_or_default(),
            client_id: registration.client.client_id.clone(),
            secrets: secrets.to_vec().into(),
            created_at: self.0.clock.now(),
            expires_at: registration.expires_at,
        };
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        let is_kept = work.put_upstream_client(&record, seen.as_deref()).await?;
        work.commit().await?;
        Ok(is_kept)
    }

    /// The authorization server does not know the gateway any more: it registers anew when it next needs to.
    pub(super) async fn forget_registration(&self, registration: &Registration) -> Result<(), StoreError> {
        let redirect_uri = registration.redirect_uri.as_ref().map_or("", Url::as_str);
        let client_id = &registration.client.client_id;
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        work.delete_upstream_client(&registration.issuer, redirect_uri, client_id).await?;
        work.commit().await?;
        self.0.setups.forget_all();
        Ok(())
    }
}

/// The address of an upstream that has one.
pub(super) fn target_url(target: &UpstreamTarget) -> Result<Url, SetupError> {
    Url::parse(&target.0).map_err(|_| {
        let words = "the route's upstream has no address, so nothing can be asked there";
        SetupError::new(SetupCode::NoProtectedResourceMetadata, words, Transcript::default())
    })
}
