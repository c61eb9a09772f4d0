//! The keys of an issuer somewhere else.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, header::CACHE_CONTROL};
use tokio::time::Instant;
use url::Url;

use super::{KeySet, discovery, keys};
use crate::kit::{
    fetch::{Fetch, Fetched, Wanted},
    refusal::Cause,
};

/// What is told where the keys are not there.
pub const KEYS_UNAVAILABLE: Cause = Cause {
    code: "token_keys_unavailable",
    remedy: "Look at the issuer's discovery document and its `jwks_uri`, and whether this machine may reach them.",
};

/// How old keys may become before they are fetched again, if the issuer does not say.
const MAX_AGE: Duration = Duration::from_mins(10);
/// What an issuer may say about that.
const LEAST_AGE: Duration = Duration::from_mins(1);
const MOST_AGE: Duration = Duration::from_hours(24);
/// How old keys may become while the issuer cannot be reached.
const MAX_STALE: Duration = Duration::from_hours(24);
/// How often a token may make us look for a key that we do not have.
const UNKNOWN_KID_PAUSE: Duration = Duration::from_secs(30);
/// Pauses after fetches that failed: from the first to the last, doubling.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// How long one fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys of an issuer, fetched when they are first needed and kept up to date from then on.
///
/// One fetch at a time. Keys that are in use go on to be used while new ones come, and when they do not come; only after
/// 24 hours without contact are they too old. A key that nobody knows makes for one fetch in 30 s at most, however many
/// tokens name one. Cloning is one reference count, and shares the keys.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Remote>);

/// The keys are not there, and cannot be had now: a token can be neither accepted nor called wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// When it makes sense to ask again.
    pub retry_after: Duration,
}

struct Remote {
    source: Source,
    fetch: Arc<dyn Fetch>,
    current: ArcSwapOption<Current>,
    pace: Mutex<Pace>,
    flight: tokio::sync::Mutex<()>,
}

enum Source {
    Url(Url),
    Issuer(Box<str>),
}

struct Current {
    keys: Arc<KeySet>,
    since: Instant,
    max_age: Duration,
}

/// When the next fetch may be.
#[derive(Default)]
struct Pace {
    /// Where the issuer's discovery document says that the keys are.
    found: Option<Url>,
    failures: u32,
    not_before: Option<Instant>,
    unknown_not_before: Option<Instant>,
}

impl RemoteKeys {
    /// Keys at a URL.
    pub fn new(url: Url, fetch: Arc<dyn Fetch>) -> Self {
        Self::of(Source::Url(url), fetch)
    }

    /// Keys wherever the discovery document of `issuer` says (OpenID Connect Discovery §4 or RFC 8414 §3).
    pub fn discover(issuer: impl Into<Box<str>>, fetch: Arc<dyn Fetch>) -> Self {
        Self::of(Source::Issuer(issuer.into()), fetch)
    }

    fn of(source: Source, fetch: Arc<dyn Fetch>) -> Self {
        let (current, pace) = (ArcSwapOption::empty(), Mutex::default());
        Self(Arc::new(Remote { source, fetch, current, pace, flight: tokio::sync::Mutex::default() }))
    }

    /// The keys that are in use, for a token that names the key `kid`.
    pub async fn get(&self, kid: Option<&str>) -> Result<Arc<KeySet>, Unavailable> {
        let now = Instant::now();
        let current = self.0.usable(now);
        match &current {
            Some(current) if now < current.since + current.max_age => {
                let unknown = kid.is_some_and(|kid| !current.keys.knows(kid));
                if !unknown || !self.0.may_look_for_unknown(now) {
                    return Ok(Arc::clone(&current.keys));
                }
                self.refresh(Some(current.since)).await;
            }
            // Nobody waits for new keys while the old ones are good.
            Some(current) => {
                if self.0.flight.try_lock().is_ok() && self.0.may_fetch(now) {
                    drop(tokio::spawn(self.clone().refreshed(Some(current.since))));
                }
                return Ok(Arc::clone(&current.keys));
            }
            None => self.refresh(self.0.since()).await,
        }
        let now = Instant::now();
        self.0.usable(now).map(|current| Arc::clone(&current.keys)).ok_or_else(|| self.0.unavailable(now))
    }

    /// Fetches them now, whatever is in use.
    ///
    /// # Errors
    ///
    /// What keeps them from being had, for people.
    pub async fn look(&self) -> Result<Arc<KeySet>, String> {
        self.0.load().await.map(|current| current.keys)
    }

    /// In a task of its own: whoever began it may go away, and others wait for it.
    async fn refresh(&self, seen: Option<Instant>) {
        let task = tokio::spawn(self.clone().refreshed(seen));
        if let Err(error) = task.await {
            tracing::error!(%error, "fetching an issuer's keys failed");
        }
    }

    /// Fetches, unless somebody else did since the keys of the age `seen` were looked at.
    async fn refreshed(self, seen: Option<Instant>) {
        let remote = &self.0;
        let _one_at_a_time = remote.flight.lock().await;
        if remote.since() != seen || !remote.may_fetch(Instant::now()) {
            return;
        }
        match remote.load().await {
            Ok(current) => remote.take(current),
            Err(why) => remote.note_failure(&why),
        }
    }
}

impl Remote {
    fn usable(&self, now: Instant) -> Option<Arc<Current>> {
        self.current.load_full().filter(|current| now < current.since + current.max_age.max(MAX_STALE))
    }

    fn since(&self) -> Option<Instant> {
        self.current.load().as_ref().map(|current| current.since)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_fetch(&self, now: Instant) -> bool {
        self.pace().not_before.is_none_or(|moment| now >= moment)
    }

    /// Says yes once in a while.
    fn may_look_for_unknown(&self, now: Instant) -> bool {
        let mut pace = self.pace();
        let may = pace.unknown_not_before.is_none_or(|moment| now >= moment);
        if may {
            pace.unknown_not_before = Some(now + UNKNOWN_KID_PAUSE);
        }
        may
    }

    async fn load(&self) -> Result<Current, String> {
        let url = self.url().await?;
        let wanted = Wanted { url: url.clone(), max_bytes: keys::LARGEST, patience: PATIENCE };
        let fetched = self.fetch.fetch(wanted).await.map_err(|error| format!("{url}: {error}"))?;
        read(&fetched).map_err(|why| format!("{url}: {why}"))
    }

    async fn url(&self) -> Result<Url, String> {
        let issuer = match &self.source {
            Source::Url(url) => return Ok(url.clone()),
            Source::Issuer(issuer) => issuer,
        };
        if let Some(found) = self.pace().found.clone() {
            return Ok(found);
        }
        let url = discovery::jwks_uri(issuer, &*self.fetch, PATIENCE).await?;
        self.pace().found = Some(url.clone());
        Ok(url)
    }

    fn take(&self, current: Current) {
        let mut pace = self.pace();
        (pace.failures, pace.not_before) = (0, None);
        for left_out in current.keys.left_out() {
            tracing::warn!(source = ?self.source, kid = ?left_out.kid, why = left_out.why, "a key is not used");
        }
        self.current.store(Some(Arc::new(current)));
    }

    /// Old keys stay. The next fetch may be later, and looks for the keys anew.
    fn note_failure(&self, why: &str) {
        let mut pace = self.pace();
        let pause = FIRST_PAUSE.saturating_mul(1 << pace.failures.min(16)).min(LAST_PAUSE);
        (pace.failures, pace.not_before, pace.found) = (pace.failures + 1, Some(Instant::now() + pause), None);
        let Cause { code, remedy } = KEYS_UNAVAILABLE;
        tracing::warn!(source = ?self.source, why, fault = code, remedy, "the keys of an issuer cannot be fetched");
    }

    fn unavailable(&self, now: Instant) -> Unavailable {
        let retry_after = self.pace().not_before.map_or(FIRST_PAUSE, |moment| moment.saturating_duration_since(now));
        Unavailable { retry_after }
    }
}

fn read(fetched: &Fetched) -> Result<Current, String> {
    let keys = KeySet::read(&fetched.body).map_err(|error| error.to_string())?;
    Ok(Current { keys: Arc::new(keys), since: Instant::now(), max_age: max_age(&fetched.headers) })
}

/// RFC 9111 §5.2.2.
fn max_age(headers: &HeaderMap) -> Duration {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let ages = lines.flat_map(|line| line.split(',')).filter_map(|directive| {
        let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
        match name.to_ascii_lowercase().as_str() {
            "max-age" => value.trim_matches('"').parse().ok().map(Duration::from_secs),
            "no-store" | "no-cache" => Some(Duration::ZERO),
            _ => None,
        }
    });
    ages.min().unwrap_or(MAX_AGE).clamp(LEAST_AGE, MOST_AGE)
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url.as_str()),
            Self::Issuer(issuer) => f.write_str(issuer),
        }
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteKeys").field(&self.0.source).finish()
    }
}
