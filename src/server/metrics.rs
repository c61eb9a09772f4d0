//! Counters and latencies: one set of instruments, read by the Prometheus scrape and pushed by OTLP alike.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::StatusCode;
use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter, MeterProvider, UpDownCounter},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use portcullis_policies::kit::{
    decision::{Decided, LateDecisions},
    names::NameMap,
    refusal::Reason,
};
use prometheus::{Encoder, Registry, TextEncoder};

use super::access::Outcome;
use crate::{
    approvals, audit,
    proxy::{self, Use},
};

/// What is counted elsewhere, and read from there.
pub(super) struct Counted<'a> {
    /// At the end of chains.
    pub(super) upstreams: &'a proxy::Meter,
    pub(super) rows: &'a audit::Counts,
    pub(super) messages: &'a approvals::Counts,
}

/// The gateway's instruments.
#[derive(Clone)]
pub(super) struct Metrics {
    refusals: Counter<u64>,
    decisions: Decisions,
    seconds: Seconds,
    reloads: Counter<u64>,
    connections: UpDownCounter<i64>,
    registry: Registry,
}

impl Metrics {
    /// Instruments of `provider`, which `registry` shows.
    pub(super) fn new(provider: &SdkMeterProvider, registry: Registry, counted: &Counted<'_>) -> Self {
        let meter = provider.meter("portcullis");
        observe_upstreams(&meter, counted.upstreams);
        observe_audit(&meter, counted.rows);
        observe_messages(&meter, counted.messages);
        Self {
            refusals: meter
                .u64_counter("portcullis.refusals")
                .with_description("Requests that the gateway itself answered with no")
                .build(),
            decisions: Decisions::new(
                meter
                    .u64_counter("portcullis.rule.decisions")
                    .with_description("What rules decided about calls, and what rules would have that are tried out")
                    .build(),
            ),
            seconds: Seconds::new(
                meter
                    .f64_histogram("portcullis.request.duration")
                    .with_unit("s")
                    .with_description("Requests to routes, and the time from a request's head to its answer's")
                    .with_boundaries(vec![
                        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
                    ])
                    .build(),
            ),
            reloads: meter.u64_counter("portcullis.reloads").with_description("Configurations read again").build(),
            connections: meter
                .i64_up_down_counter("portcullis.connections")
                .with_description("Open connections of clients")
                .build(),
            registry,
        }
    }

    pub(super) fn request(&self, route: &Arc<str>, outcome: &Outcome<'_>, elapsed: Duration) {
        self.seconds.record(route, Labels { method: outcome.method_label(), status: outcome.status }, elapsed);
        if let Some(reason) = outcome.reason {
            self.refused(reason);
        }
        outcome.decisions.iter().for_each(|decided| self.decisions.count(route, decided));
    }

    /// Counts what is still to be decided about the events of a stream.
    pub(super) fn will_decide(&self, route: &Arc<str>, late: LateDecisions) {
        for undecided in late.0 {
            let (decisions, route) = (self.decisions.clone(), Arc::clone(route));
            undecided.listen(move |decided| decisions.count(&route, &decided));
        }
    }

    pub(super) fn refused(&self, reason: Reason) {
        self.refusals.add(1, &[KeyValue::new("reason", reason.code())]);
    }

    pub(super) fn reloaded(&self, outcome: &'static str) {
        self.reloads.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(super) fn connection(&self, change: i64) {
        self.connections.add(change, &[]);
    }

    /// In Prometheus' text format.
    pub(super) fn scrape(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics could not be written");
        }
        text
    }
}

/// Reads what the end of chains has counted whenever somebody asks: a call costs no more than the counting.
fn observe_upstreams(meter: &Meter, upstreams: &proxy::Meter) {
    let (connections, sessions) = (upstreams.clone(), upstreams.clone());
    meter
        .u64_observable_counter("portcullis.upstream.connections")
        .with_description("Requests to upstreams, by whether an open connection was there and why not")
        .with_callback(move |seen| connections.connections().for_each(|(of, count)| seen.observe(count, &labels(of))))
        .build();
    meter
        .u64_observable_counter("portcullis.upstream.sessions")
        .with_description(
            "Requests in sessions kept warm for clients of 2026-07-28, by whether one was open and why not",
        )
        .with_callback(move |seen| sessions.sessions().for_each(|(of, count)| seen.observe(count, &labels(of))))
        .build();
}

fn observe_audit(meter: &Meter, rows: &audit::Counts) {
    let (written, lost, missed) = (rows.clone(), rows.clone(), rows.clone());
    meter
        .u64_observable_counter("portcullis.audit.rows")
        .with_description("Rows of the audit log that are in the store")
        .with_callback(move |seen| seen.observe(written.written(), &[]))
        .build();
    meter
        .u64_observable_counter("portcullis.audit.lost")
        .with_description("Rows of the audit log that are lost: as many are missing in it")
        .with_callback(move |seen| seen.observe(lost.lost(), &[]))
        .build();
    meter
        .u64_observable_counter("portcullis.audit.missed")
        .with_description("Rows of the audit log that are in the store and did not get to a sink")
        .with_callback(move |seen| seen.observe(missed.missed(), &[]))
        .build();
}

fn observe_messages(meter: &Meter, messages: &approvals::Counts) {
    let messages = messages.clone();
    let outcome = |outcome| [KeyValue::new("outcome", outcome)];
    meter
        .u64_observable_counter("portcullis.approvals.messages")
        .with_description(
            "Messages about calls that wait, by whether they arrived (`sent`) or were given up (`failed`)",
        )
        .with_callback(move |seen| {
            seen.observe(messages.sent(), &outcome("sent"));
            seen.observe(messages.failed(), &outcome("failed"));
        })
        .build();
}

fn labels(of: Use) -> Vec<KeyValue> {
    match of {
        Use::Reused => vec![KeyValue::new("outcome", "reused")],
        Use::Opened(miss) => vec![KeyValue::new("outcome", "opened"), KeyValue::new("reason", miss.as_str())],
    }
}

/// The histogram of requests.
#[derive(Clone)]
struct Seconds {
    histogram: Histogram<f64>,
    bound: PerRoute<Labels, BoundHistogram<f64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Labels {
    method: &'static str,
    status: StatusCode,
}

impl Seconds {
    fn new(histogram: Histogram<f64>) -> Self {
        Self { histogram, bound: PerRoute::default() }
    }

    fn record(&self, route: &Arc<str>, labels: Labels, elapsed: Duration) {
        let bind = || {
            self.histogram.bind(&[
                KeyValue::new("route", Arc::clone(route)),
                KeyValue::new("method", labels.method),
                KeyValue::new("status", i64::from(labels.status.as_u16())),
            ])
        };
        self.bound.with(route, &labels, bind, |bound| bound.record(elapsed.as_secs_f64()));
    }
}

/// The counter of what rules decide.
#[derive(Clone)]
struct Decisions {
    counter: Counter<u64>,
    bound: PerRoute<Decided, BoundCounter<u64>>,
}

impl Decisions {
    fn new(counter: Counter<u64>) -> Self {
        Self { counter, bound: PerRoute::default() }
    }

    fn count(&self, route: &Arc<str>, decided: &Decided) {
        let Decided { policy, rule, outcome } = decided;
        let bind = || {
            self.counter.bind(&[
                KeyValue::new("route", Arc::clone(route)),
                KeyValue::new("policy", *policy),
                KeyValue::new("rule", Arc::clone(rule)),
                KeyValue::new("outcome", *outcome),
            ])
        };
        self.bound.with(route, decided, bind, |bound| bound.add(1));
    }
}

/// An instrument for each of the few sets of labels of a route. OpenTelemetry looks each of them up only once: hashing and
/// comparing them takes it longer than everything else about a measurement.
struct PerRoute<L, B>(Arc<RwLock<Known<L, B>>>);

type Known<L, B> = NameMap<Arc<str>, Vec<(L, B)>>;

impl<L, B> Default for PerRoute<L, B> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<L, B> Clone for PerRoute<L, B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L: Clone + PartialEq, B> PerRoute<L, B> {
    fn with(&self, route: &Arc<str>, labels: &L, bind: impl FnOnce() -> B, measure: impl FnOnce(&B)) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(route).and_then(|known| known.iter().find(|(known, _)| known == labels)) {
            Some((_, bound)) => measure(bound),
            None => {
                drop(known);
                let bound = bind();
                measure(&bound);
                let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
                known.entry(Arc::clone(route)).or_default().push((labels.clone(), bound));
            }
        }
    }
}
