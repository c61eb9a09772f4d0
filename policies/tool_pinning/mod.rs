#![doc = include_str!("README.md")]

mod flags;
mod judge;
mod list;
mod options;
mod seen;
#[cfg(test)]
mod tests;
mod words;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use moka::sync::Cache;
use serde_json::Value;

pub use self::{
    flags::visible,
    options::{Baseline, OnDifference, PinningLimits, ToolPinningOptions},
};
use self::{
    judge::{Fault, Why, judge},
    list::listed,
    seen::{Present, Reading},
};
use crate::kit::{
    call::{called, connects, tool},
    chain::{Answer as Answered, Arrival, Request, RouteLayer, RouteService, answered, direct, refuse, then},
    credential::Connectable,
    decision::{Decided, Decisions},
    definitions::{Asker, Definitions},
    host::Host,
    message::{Message, Method},
    pins::{Definition, NoPins, Pinned, Pins, Recalling, Sighting, ToolDigest, ToolPin},
    policy::{Fact, Policy, Problem},
    refusal::Reason,
    rehearsal::Rehearsal,
    unjudged::ChainEnd,
};

/// Definitions that the log does not speak of once more, and for how long.
const TOLD: u64 = 10_000;
const TELL_AGAIN: Duration = Duration::from_hours(1);

/// Lets through only tools that are what they were.
#[derive(Debug)]
pub struct ToolPinning;

impl Policy for ToolPinning {
    const NAME: &'static str = "tool-pinning";
    const SUMMARY: &'static str =
        "holds tools back whose definitions are new or have changed, until somebody approves them";
    const BEFORE: &'static [Fact] = &[Fact::UPSTREAM_CREDENTIAL];
    const NEEDS_STORE: bool = true;
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = ToolPinningOptions;

    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let Some(pins) = host.pins.clone() else {
            return Err(vec![Problem::new("", "this program keeps no pins")]);
        };
        if options.baseline == Baseline::Approved && options.on_new == OnDifference::Block {
            let why = "with this baseline every tool is new until it is approved, and `block` lets nobody approve it";
            return Err(vec![Problem::new("/onNew", why).hint("set it to `hold`")]);
        }
        let reading = Arc::new(Reading::new(options.ignore_meta.clone(), options.limits.clone()));
        let reads = Arc::clone(&reading);
        let known = Definitions::new(move |definition| Present::One(reads.seen(definition)));
        let told = Cache::builder().max_capacity(TOLD).time_to_live(TELL_AGAIN).build();
        let pinning = Arc::new(Pinning { options, pins, reading, known, told, chain_end: host.chain_end });
        Ok(direct(move |request, inner| pinning.answer(request, inner)))
    }
}

struct Pinning {
    options: ToolPinningOptions,
    pins: Arc<dyn Pins>,
    reading: Arc<Reading>,
    /// What upstreams say about their tools now, to whom.
    known: Definitions<Present>,
    /// Definitions that the log speaks of already.
    told: Cache<ToolDigest, OnDifference>,
    chain_end: ChainEnd,
}

impl Pinning {
    fn answer(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        match request.body().message().and_then(Message::method) {
            Some(Method::ListTools) => self.list(request, inner),
            Some(Method::CallTool) if !connects(&request) => self.call(request, inner),
            _ => inner.run(request),
        }
    }

    fn list(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        let upstream = upstream(&request);
        if let Some(pinned) = self.at_hand(&upstream) {
            return listed(self, request, inner, upstream, pinned);
        }
        let (this, inner) = (Arc::clone(self), inner.clone());
        Box::pin(async move {
            match this.pinned(&request, &inner, &upstream).await {
                Ok(pinned) => listed(&this, request, &inner, upstream, pinned).await,
                Err(NoPins) => Ok(refuse(&request, Reason::PinsUnavailable.into())),
            }
        })
    }

    fn call(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        if self.is_good(&request) {
            return inner.run(request);
        }
        let (upstream, tool) = (upstream(&request), tool(&request));
        let (this, inner) = (Arc::clone(self), inner.clone());
        Box::pin(async move {
            let pinned = match this.pinned(&request, &inner, &upstream).await {
                Ok(pinned) => pinned,
                Err(NoPins) => return Ok(refuse(&request, Reason::PinsUnavailable.into())),
            };
            // What is remembered may be old: nothing is held against a call before the upstream was asked.
            this.ask(&request, &inner, &upstream, &pinned).await;
            let present = this.known.get(&Asker::of(&request), &tool);
            let fault = judge(&this.options, pinned.tools.get(&*tool), present.as_ref());
            this.decide(request, &inner, &tool, fault).await
        })
    }

    /// Is it known at once that the tool is what it was?
    fn is_good(&self, request: &Request) -> bool {
        let (tool, upstream) = (called(request), upstream_of(request));
        let judged = |pinned: &Pinned| {
            let present = self.known.of(request, tool);
            present.is_some_and(|present| judge(&self.options, pinned.tools.get(tool), Some(&present)).is_none())
        };
        self.options.except_tools.contains(tool) || self.at_hand(upstream).is_some_and(|pinned| judged(&pinned))
    }

    /// Makes the call or refuses it.
    fn decide(&self, request: Request, inner: &RouteService, tool: &str, fault: Option<Fault>) -> Answered {
        let Some(fault) = fault else { return inner.run(request) };
        let decided = vec![decided(fault)];
        let answer = match fault.passes() {
            true => inner.run(request),
            false if fault.why == Why::Unknown => {
                return self.chain_end.refuse_last(request, words::refused(tool, fault), decided, inner);
            }
            false => answered(refuse(&request, words::refused(tool, fault))),
        };
        then(answer, |mut response| {
            Decisions::add(&mut response, decided);
            response
        })
    }

    /// What is pinned, if it is known without waiting.
    fn at_hand(&self, upstream: &str) -> Option<Arc<Pinned>> {
        match self.pins.recall(upstream) {
            Recalling::Ready(Ok(pinned)) if self.has_begun(&pinned) => Some(pinned),
            _ => None,
        }
    }

    /// Is there a list already that later ones are compared with?
    fn has_begun(&self, pinned: &Pinned) -> bool {
        pinned.has_begun || self.options.baseline == Baseline::Approved
    }

    /// What is pinned of an upstream; if nothing is yet, what its whole list holds now, whichever page the caller asked for.
    async fn pinned(&self, request: &Request, inner: &RouteService, upstream: &str) -> Result<Arc<Pinned>, NoPins> {
        let pinned = self.pins.recall(upstream).recall().await?;
        if self.has_begun(&pinned) {
            return Ok(pinned);
        }
        match self.known.alone(request, self.begin(request, inner, upstream)).await {
            Some(begun) => begun,
            None => self.pins.recall(upstream).recall().await,
        }
    }

    /// None where the upstream says nothing.
    async fn begin(
        &self,
        request: &Request,
        inner: &RouteService,
        upstream: &str,
    ) -> Option<Result<Arc<Pinned>, NoPins>> {
        let said = self.known.list_now(request, inner).await?;
        let tools = self.learn(request, &said);
        let clean = |present: &Present| match present {
            Present::One(seen) => seen.flags.is_empty() || self.options.on_flag == OnDifference::Log,
            Present::Several => false,
        };
        let good = tools.iter().filter(|(_, (present, _))| clean(present));
        let first: Vec<_> = good.filter_map(|(name, (_, definition))| self.reading.kept(name, definition)).collect();
        // A list without tools is one of somebody who is not connected, or may do nothing.
        let recalling = if tools.is_empty() { self.pins.recall(upstream) } else { self.pins.begin(upstream, first) };
        let pinned = recalling.recall().await;
        if let Ok(pinned) = &pinned {
            self.note(upstream, pinned, &tools);
        }
        Some(pinned)
    }

    /// Asks the upstream what its tools are now.
    async fn ask(&self, request: &Request, inner: &RouteService, upstream: &str, pinned: &Pinned) {
        let ask = async {
            let said = self.known.list(request, inner).await?;
            let tools = self.learn(request, &said);
            self.note(upstream, pinned, &tools);
            Some(())
        };
        self.known.alone(request, ask).await;
    }

    /// Remembers what a whole list says to whoever sent `request`.
    fn learn<'a>(&self, request: &Request, said: &'a [Value]) -> BTreeMap<&'a str, (Present, &'a Value)> {
        let asker = Asker::of(request);
        let own = request.extensions().get::<Connectable>();
        let named = || said.iter().filter_map(|definition| Some((definition["name"].as_str()?, definition)));
        let judged = || {
            let passes =
                |name: &str| own.is_some_and(|own| own.is_tool(name)) || self.options.except_tools.contains(name);
            named().filter(move |(name, _)| !passes(name))
        };
        let definitions: BTreeMap<_, _> = judged().collect();
        let all = self.reading.all(judged());
        for (name, present) in &all {
            self.known.note(&asker, name, present.clone());
        }
        all.into_iter().filter_map(|(name, present)| Some((name, (present, *definitions.get(name)?)))).collect()
    }

    fn note(&self, upstream: &str, pinned: &Pinned, tools: &BTreeMap<&str, (Present, &Value)>) {
        let sightings = tools.iter().filter_map(|(name, (present, definition))| {
            let pin = pinned.tools.get(*name);
            self.sighting(upstream, name, pin, present, || self.reading.kept(name, definition))
        });
        let sightings: Vec<_> = sightings.collect();
        if !sightings.is_empty() {
            self.pins.note(upstream, sightings);
        }
    }

    /// What there is to note of a tool, and to say in the log, if it has not been noted before.
    fn sighting(
        &self,
        upstream: &str,
        name: &str,
        pin: Option<&ToolPin>,
        present: &Present,
        kept: impl FnOnce() -> Option<Definition>,
    ) -> Option<Sighting> {
        let waiting = pin.and_then(|pin| pin.waiting);
        let fault = judge(&self.options, pin, Some(present));
        let (Present::One(seen), Some(fault)) = (present, fault) else {
            let good = pin.and_then(|pin| pin.good).map(|good| good.digest);
            let another = waiting.filter(|(digest, _)| Some(*digest) != good);
            let is_back = matches!(present, Present::One(_)) && good.is_some() && another.is_some();
            return is_back.then(|| Sighting::Back(name.to_owned()));
        };
        if waiting.is_some_and(|(digest, standing)| digest == seen.digest && standing >= fault.standing()) {
            return None;
        }
        if self.told.get(&seen.digest) != Some(fault.then) {
            self.told.insert(seen.digest, fault.then);
            words::noticed(upstream, name, fault, seen);
        }
        let definition = kept()?;
        if fault.why == Why::New && fault.passes() && self.options.baseline == Baseline::FirstSeen {
            return Some(Sighting::First(definition));
        }
        Some(Sighting::Other(definition, fault.standing()))
    }
}

/// Which upstream the route leads to.
fn upstream(request: &Request) -> Arc<str> {
    upstream_of(request).into()
}

fn upstream_of(request: &Request) -> &str {
    request.extensions().get::<Arrival>().map_or("", |arrival| &arrival.upstream_key)
}

fn decided(fault: Fault) -> Decided {
    Decided { policy: ToolPinning::NAME, rule: fault.why.name().into(), outcome: fault.outcome() }
}
