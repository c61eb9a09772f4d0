//! Calls answered as fast as they go: CPU per operation.

use anyhow::Result;
use std::time::Duration;

use crate::bench::{Bench, Pair};
use crate::call::Call;
use crate::gateway::Setup;
use crate::load::{self, Sample};
use crate::report::{Goal, Row, Traffic};
use crate::rounds::{Comparison, on_fresh_pairs};
use crate::target::Target;

#[derive(Clone, Copy)]
pub(crate) struct Calls {
    pub(crate) call: Call,
    pub(crate) connections: u32,
    /// Operations in one call.
    pub(crate) per_call: u32,
    pub(crate) goal: Option<f64>,
}

impl Calls {
    pub(crate) const fn new(call: Call, connections: u32) -> Self {
        Self { call, connections, per_call: 1, goal: None }
    }
}

pub(crate) async fn against_floor(bench: &Bench<'_>, name: &'static str, calls: Calls) -> Result<Row> {
    compare(bench, name, calls, async || bench.pair().await).await
}

/// The gateway without its access log and with it.
pub(crate) async fn access_log(bench: &Bench<'_>) -> Result<Row> {
    let with = Setup { access_log: true, ..Setup::USUAL };
    let pair = async || bench.gateways(Setup::USUAL, with).await;
    let row = compare(bench, "access-log", Calls::new(Call::Echo, 16), pair).await?;
    Ok(row.note("gateway, log off / on"))
}

pub(crate) async fn compare(
    bench: &Bench<'_>,
    name: &'static str,
    calls: Calls,
    pair: impl AsyncFn() -> Result<Pair>,
) -> Result<Row> {
    let rounds = on_fresh_pairs(bench.options, pair, async |target, slot| one(target, calls, slot).await).await?;
    let row = Row::compared(name, "µs", Comparison::of(&rounds, Sample::cpu_micros));
    Ok(row.goal(calls.goal.map(Goal::Ratio)).traffic(Traffic::of(&rounds)))
}

async fn one(target: &Target, calls: Calls, slot: Duration) -> Result<Sample> {
    let mut sample = load::calls(target, calls.call, calls.connections, slot).await?;
    sample.operations *= calls.per_call;
    Ok(sample)
}
