//! How long the first event of a stream is under way, one call at a time.

use anyhow::Result;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::call::Call;
use crate::load::{Caller, Meter, Sample};
use crate::report::{Goal, Row, Traffic, micros};
use crate::rounds::{Comparison, Spread, on_fresh_pairs};
use crate::target::Target;

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Row> {
    let rounds = on_fresh_pairs(bench.options, async || bench.pair().await, one).await?;
    let row = Row::compared("first-event", "µs", Comparison::of(&rounds, p50_micros));
    Ok(row.goal(Some(Goal::Ratio(1.1))).traffic(Traffic::of(&rounds)).note("p50 of the time, not CPU"))
}

async fn one(target: &Target, slot: Duration) -> Result<Sample> {
    let mut caller = Caller::open(target, Call::First).await?;
    let meter = Meter::start(target)?;
    let until = Instant::now() + slot;
    let mut latencies = Vec::new();
    while Instant::now() < until {
        latencies.push(caller.first_event().await?);
    }
    meter.stop(u32::try_from(latencies.len())?, latencies)
}

fn p50_micros(sample: &Sample) -> f64 {
    Spread::of(sample.latencies.iter().map(|&time| micros(time))).median
}
