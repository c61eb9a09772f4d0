#![doc = include_str!("README.md")]

mod key;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    hash::BuildHasherDefault,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock, Reference},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};
use http::{HeaderValue, header::RETRY_AFTER};
use schemars::JsonSchema;
use serde::Deserialize;
use wildmatch::WildMatch;

use self::key::KeyMaker;
pub use self::key::{By, KeyPart};
use crate::kit::{
    chain::{Request, RouteLayer, gate},
    host::Host,
    message::Message,
    names::NameHasher,
    policy::{Deployment, Examining, Fact, Policy, Problem},
    refusal::{Reason, Refusal},
    rehearsal::{Rehearsal, Stage},
};

/// Lets a caller make so many calls in so much time.
#[derive(Debug)]
pub struct RateLimit;

/// How many calls, in how much time, counted for whom.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitOptions {
    /// Who has a count of their own: `user`, `ip`, `route`, `tool`, `all` (everybody together), a header, a claim, or a
    /// list of these.
    pub rate_limit_by: By,
    /// Calls in one time window. They may all be made at once; then they come back one by one.
    pub requests_allowed: NonZeroU32,
    /// The time window, in minutes.
    #[schemars(range(min = 0.001, max = 525_600.0))]
    pub time_window_minutes: f64,
    /// The methods that count.
    #[serde(default = "calls")]
    pub methods: Vec<String>,
    /// What a call of a tool costs, by name or pattern (`*`, `?`); others cost 1.
    #[serde(default)]
    pub weights: BTreeMap<String, NonZeroU32>,
    /// Whether a refusal says when to come back.
    #[serde(default)]
    pub header_mode: HeaderMode,
}

/// Whether a refusal says when to come back.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderMode {
    /// In the `Retry-After` header and in the error.
    #[default]
    RetryAfter,
    /// Not at all.
    None,
}

fn calls() -> Vec<String> {
    vec!["tools/call".to_owned()]
}

impl Policy for RateLimit {
    const NAME: &'static str = "rate-limit";
    const ALIASES: &'static [&'static str] = &["rate-limit-inbound"];
    const SUMMARY: &'static str = "limits calls per user, address, route, tool, header or claim";
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::Instead(rehearse);
    type Options = RateLimitOptions;

    fn needs(options: &Self::Options) -> Vec<Fact> {
        if options.rate_limit_by.needs_caller() { vec![Fact::CALLER] } else { Vec::new() }
    }

    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let limits = Limits::new(options, host, DefaultClock::default())?;
        Ok(gate(move |request| limits.count(request)))
    }

    /// Behind a proxy that is not believed, all have one address, and so one count.
    fn examine<'a>(options: &'a Self::Options, deployment: &'a Deployment<'a>) -> Examining<'a> {
        let is_shared = deployment.hides_addresses && options.rate_limit_by.is_by_address();
        let why = "everybody comes from the proxy's address, so all share one count";
        let problem = Problem::new("/rateLimitBy", why).hint("name the proxy in `gateway.trustedProxies`").warning();
        Box::pin(std::future::ready(if is_shared { vec![problem] } else { Vec::new() }))
    }
}

/// Keys are hashes: two callers would have to collide in 64 bits, keyed by this process, to share a count. So the map need not
/// hash them with care a second time.
type Limiter<C> = RateLimiter<u64, Counts, C, NoOpMiddleware<<C as Clock>::Instant>>;

type Counts = DashMapStateStore<u64, BuildHasherDefault<NameHasher>>;

struct Limits<C: Clock> {
    limiter: Limiter<C>,
    clock: C,
    key: KeyMaker,
    methods: Vec<String>,
    weights: Vec<(WildMatch, NonZeroU32)>,
    options: Said,
    counted: AtomicU32,
}

/// Nothing is counted: what callers have left, only the gateway knows that counts.
fn rehearse(options: RateLimitOptions, stage: &Stage) -> Result<RouteLayer, Vec<Problem>> {
    let limits = Limits::new(options, &stage.host, DefaultClock::default())?;
    let trace = stage.trace.clone();
    Ok(gate(move |request| {
        let Some(message) = request.body().message().filter(|message| limits.counts(message)) else { return Ok(()) };
        limits.key.of(request, message)?;
        let Said { allowed, minutes, .. } = limits.options;
        let weight = limits.weight(message);
        trace.note(format!(
            "takes {weight} of {allowed} in {minutes} min; how many are left, only the running gateway knows"
        ));
        Ok(())
    }))
}

fn quota(allowed: NonZeroU32, minutes: f64) -> Option<Quota> {
    let window = Duration::try_from_secs_f64(minutes * 60.0).ok()?;
    Some(Quota::with_period(window / allowed.get())?.allow_burst(allowed))
}

/// Names before patterns, because what is said of one tool goes before what is said of many; then the dearest first.
fn matchers(weights: BTreeMap<String, NonZeroU32>) -> Vec<(WildMatch, NonZeroU32)> {
    let mut weights: Vec<_> = weights.into_iter().collect();
    weights.sort_by_key(|(tool, weight)| (tool.contains(['*', '?']), Reverse(*weight)));
    weights.into_iter().map(|(tool, weight)| (WildMatch::new(&tool), weight)).collect()
}

/// What a refusal repeats.
struct Said {
    allowed: NonZeroU32,
    minutes: f64,
    header_mode: HeaderMode,
}

impl<C: Clock + Clone> Limits<C> {
    /// Counts between two searches for keys that are idle. One search looks at every key, so each count pays for few.
    const SWEEP: u32 = 8192;

    fn new(options: RateLimitOptions, host: &Host, clock: C) -> Result<Self, Vec<Problem>> {
        let RateLimitOptions { rate_limit_by, requests_allowed, time_window_minutes, methods, weights, header_mode } =
            options;
        let mut problems = Vec::new();
        for (tool, weight) in weights.iter().filter(|(_, weight)| **weight > requests_allowed) {
            let tool = tool.replace('~', "~0").replace('/', "~1");
            let why = format!("a call that costs {weight} never fits into {requests_allowed} calls");
            problems.push(
                Problem::new(format!("/weights/{tool}"), why).hint("lower the weight or raise `requestsAllowed`"),
            );
        }
        let Some(quota) = quota(requests_allowed, time_window_minutes) else {
            problems
                .push(Problem::new("/timeWindowMinutes", "the time window is too short for so many calls, or no time"));
            return Err(problems);
        };
        let key = KeyMaker::new(rate_limit_by, host.seed).map_err(|problem| problems.push(problem));
        match key {
            Ok(key) if problems.is_empty() => Ok(Self {
                limiter: RateLimiter::new(quota, Counts::default(), clock.clone()),
                clock,
                key,
                methods,
                weights: matchers(weights),
                options: Said { allowed: requests_allowed, minutes: time_window_minutes, header_mode },
                counted: AtomicU32::new(0),
            }),
            _ => Err(problems),
        }
    }

    fn count(&self, request: &mut Request) -> Result<(), Refusal> {
        let Some(message) = request.body().message().filter(|message| self.counts(message)) else { return Ok(()) };
        let weight = self.weight(message);
        let key = self.key.of(request, message)?;
        self.forget_idle();
        match self.limiter.check_key_n(&key, weight) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(self.refuse(&not_until)),
            Err(_) => Err(Reason::RateLimited.into()),
        }
    }

    fn counts(&self, message: &Message) -> bool {
        message.method().is_some_and(|method| self.methods.iter().any(|counted| counted == method.name()))
    }

    fn weight(&self, message: &Message) -> NonZeroU32 {
        let one = NonZeroU32::MIN;
        if self.weights.is_empty() {
            return one;
        }
        let Some(tool) = message.tool() else { return one };
        self.weights.iter().find(|(pattern, _)| pattern.matches(tool)).map_or(one, |(_, weight)| *weight)
    }

    /// A key that has all its calls back is as good as one never seen.
    fn forget_idle(&self) {
        if self.counted.fetch_add(1, Ordering::Relaxed) % Self::SWEEP == Self::SWEEP - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }

    fn refuse(&self, not_until: &NotUntil<C::Instant>) -> Refusal
    where
        C::Instant: Reference,
    {
        let Said { allowed, minutes, header_mode } = &self.options;
        let per = if (minutes - 1.0).abs() < f64::EPSILON { "minute".to_owned() } else { format!("{minutes} minutes") };
        let refusal =
            Refusal::new(Reason::RateLimited, format!("Too many calls: this route allows {allowed} per {per}."));
        if *header_mode == HeaderMode::None {
            return refusal;
        }
        let wait = not_until.wait_time_from(self.clock.now());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        refusal
            .with_remedy(format!("Wait {seconds} s before the next call. Do not try again sooner."))
            .with_data("retryAfterSeconds", seconds)
            .with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }
}

impl<C: Clock> std::fmt::Debug for Limits<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("keys", &self.limiter.len()).finish_non_exhaustive()
    }
}
