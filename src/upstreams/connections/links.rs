//! Links to the page on which somebody connects: for one person, upstream and route; good once, and for ten minutes.

use std::{future::ready, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moka::{Entry, future::Cache, ops::compute::Op};
use portcullis_policies::kit::{chain::RequestId, credential::ConnectState, random};

use super::{ConnectError, ConnectionBook, LinkView, UpstreamRoute, transition::Transition};
use crate::store::{ConnectLink, ConnectionKey, ConnectionStage, Digest, StoreError, Trouble};

/// How long a link is good.
const GOOD: Duration = Duration::from_mins(10);
/// For how long the same link is given to calls that ask again: what is given is good for a while yet.
const SAME: Duration = Duration::from_mins(6);
/// Links remembered.
const MOST: u64 = 100_000;
/// Letters of a token at most, so that no path makes the gateway work.
const LONGEST: usize = 4096;

/// What a link is for.
#[derive(Clone, Debug)]
pub(super) struct Purpose<'a> {
    pub(super) upstream: &'a str,
    pub(super) subject: &'a str,
    pub(super) route: &'a str,
    pub(super) target: &'a str,
    /// To be asked for besides the usual ones.
    pub(super) scopes: Arc<[Box<str>]>,
    pub(super) request_id: Option<RequestId>,
}

/// A link that was given.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) url: String,
    pub(super) elicitation_id: String,
    digest: Digest,
}

/// Whose link, to what, at which address, from where, and for which scopes.
type Key = (Box<str>, Box<str>, Box<str>, Box<str>, Arc<[Box<str>]>);

/// The links that this node gave lately.
#[derive(Debug)]
pub(super) struct Offers(Cache<Key, Arc<Offer>>);

impl Offers {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(SAME).build())
    }

    /// Forgets this offer, and not one that came in its place meanwhile.
    async fn withdraw(&self, key: Key, offer: &Arc<Offer>) {
        let removal = |known: Option<Entry<Key, Arc<Offer>>>| {
            let is_it = known.is_some_and(|known| Arc::ptr_eq(known.value(), offer));
            ready(if is_it { Op::Remove } else { Op::Nop })
        };
        self.0.entry(key).and_compute_with(removal).await;
    }
}

impl ConnectionBook {
    /// A link for this purpose: the one that was given before if it is still good, however many ask at once.
    pub(super) async fn offer(&self, purpose: Purpose<'_>) -> Result<Arc<Offer>, StoreError> {
        let Purpose { upstream, subject, route, target, scopes, .. } = &purpose;
        let key: Key = ((*upstream).into(), (*subject).into(), (*route).into(), (*target).into(), Arc::clone(scopes));
        if let Some(offer) = self.0.offers.0.get(&key).await
            && !self.is_still_good(&offer).await?
        {
            self.0.offers.withdraw(key.clone(), &offer).await;
        }
        let making = self.0.offers.0.try_get_with(key, self.make_link(&purpose));
        making.await.map_err(|error: Arc<StoreError>| StoreError::Unavailable(Trouble::other(error)))
    }

    /// It may have been used meanwhile, here or on another node.
    async fn is_still_good(&self, offer: &Offer) -> Result<bool, StoreError> {
        let link = self.0.store.connect_link(&self.0.tenant, &offer.digest).await?;
        let now = self.0.clock.now();
        Ok(link.is_some_and(|link| link.used_at.is_none() && now.plus(GOOD.saturating_sub(SAME)) < link.expires_at))
    }

    async fn make_link(&self, purpose: &Purpose<'_>) -> Result<Arc<Offer>, StoreError> {
        let token = token(&purpose.scopes);
        let link = ConnectLink {
            digest: Digest::of(token.as_bytes()),
            upstream: purpose.upstream.to_owned(),
            subject: purpose.subject.to_owned(),
            route: purpose.route.to_owned(),
            target: purpose.target.to_owned(),
            elicitation_id: random::id(),
            expires_at: self.0.clock.now().plus(GOOD),
            used_at: None,
        };
        let key = ConnectionKey { upstream: link.upstream.clone(), subject: link.subject.clone() };
        let is_first = self.summary(&key).await?.is_none();
        let transition = Transition {
            key: &key,
            from: ConnectionStage::None,
            to: ConnectionStage::Authenticating,
            because: "a link to connect was given",
            request_id: purpose.request_id,
        };
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        work.insert_connect_link(&link).await?;
        if is_first {
            transition.record(&mut work, self.0.clock.now()).await?;
        }
        work.commit().await?;
        if is_first {
            transition.log();
        }
        let url = self.at(&["connect", &token]).to_string();
        Ok(Arc::new(Offer { url, elicitation_id: link.elicitation_id, digest: link.digest }))
    }

    /// The link with this token, if it is still good. Looking at it does not use it up.
    pub async fn link(&self, token: &str) -> Result<Option<LinkView>, StoreError> {
        let Some((link, route)) = self.good_link(token).await? else { return Ok(None) };
        let is_known = self.was_connected(&link).await?;
        Ok(Some(LinkView {
            target_host: host(&link.target),
            auth: route.auth,
            subject: link.subject,
            route: link.route,
            state: if is_known { ConnectState::ReconsentRequired } else { ConnectState::Authenticating },
            scopes: scopes_of(token),
        }))
    }

    /// Is there a connection already, good or not, in the place of which this link puts another one?
    pub(super) async fn was_connected(&self, link: &ConnectLink) -> Result<bool, StoreError> {
        let key = ConnectionKey { upstream: link.upstream.clone(), subject: link.subject.clone() };
        Ok(self.summary(&key).await?.is_some())
    }

    /// The link with this token and the route that it is for, as long as both are what they were.
    pub(super) async fn good_link(&self, token: &str) -> Result<Option<(ConnectLink, UpstreamRoute)>, StoreError> {
        if token.len() > LONGEST {
            return Ok(None);
        }
        let digest = Digest::of(token.as_bytes());
        let link = self.0.store.connect_link(&self.0.tenant, &digest).await?;
        let now = self.0.clock.now();
        let Some(link) = link.filter(|link| link.used_at.is_none() && now < link.expires_at) else { return Ok(None) };
        let route = self.0.routes.upstream_auth(&link.route);
        let fits = |route: &UpstreamRoute| *route.auth.id == *link.upstream && *route.target.0 == *link.target;
        Ok(route.filter(fits).map(|route| (link, route)))
    }

    /// A link for somebody who wants to connect to the upstream of this route; for the operator, where all callers share
    /// the connection and `subject` is empty.
    pub async fn link_for(&self, subject: &str, route: &str) -> Result<String, ConnectError> {
        let route = self.0.routes.upstream_auth(route).ok_or(ConnectError::Gone)?;
        let mode = &route.auth.mode;
        if subject.is_empty() == mode.is_personal() || !super::obtain::is_stored(mode) {
            return Err(ConnectError::Unusable(
                "this upstream is not connected that way: see `authMode` of its route".to_owned(),
            ));
        }
        let purpose = Purpose {
            upstream: &route.auth.id,
            subject,
            route: &route.path,
            target: &route.target.0,
            scopes: Arc::default(),
            request_id: None,
        };
        Ok(self.offer(purpose).await?.url.clone())
    }
}

impl ConnectionBook {
    /// A link for the operator, to connect the upstream with this id, which all callers share.
    pub async fn operator_link(&self, upstream: &str) -> Result<String, ConnectError> {
        let routes = self.0.routes.all();
        let Some(route) = routes.iter().find(|route| *route.auth.id == *upstream) else {
            return Err(ConnectError::Unusable(format!("no route has an upstream with the id {upstream:?}")));
        };
        self.link_for("", &route.path).await
    }

    /// Has this node given somebody a link for this route lately that is still good?
    pub(super) async fn has_offered(&self, subject: &str, route: &UpstreamRoute) -> Result<bool, StoreError> {
        let (upstream, target) = (&*route.auth.id, &*route.target.0);
        let key: Key = (upstream.into(), subject.into(), (&*route.path).into(), target.into(), Arc::default());
        match self.0.offers.0.get(&key).await {
            Some(offer) => self.is_still_good(&offer).await,
            None => Ok(false),
        }
    }
}

/// A token nobody can guess. The scopes stand in it readably: only what the gateway wrote has a link.
fn token(scopes: &[Box<str>]) -> String {
    let secret = random::secret();
    if scopes.is_empty() { secret } else { format!("{secret}.{}", URL_SAFE_NO_PAD.encode(scopes.join(" "))) }
}

/// The scopes that the token of a good link has in it.
pub(super) fn scopes_of(token: &str) -> Vec<Box<str>> {
    let Some((_, coded)) = token.split_once('.') else { return Vec::new() };
    let text = URL_SAFE_NO_PAD.decode(coded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty()).map(Into::into).collect()
}

/// The host of an address, for people.
pub(super) fn host(target: &str) -> String {
    let url = url::Url::parse(target).ok();
    url.and_then(|url| url.host_str().map(ToOwned::to_owned)).unwrap_or_else(|| target.to_owned())
}
