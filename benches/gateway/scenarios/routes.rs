//! Ten routes against ten thousand: CPU of a call to the last one, time to load, memory.

use anyhow::Result;

use crate::bench::Bench;
use crate::call::Call;
use crate::gateway::Setup;
use crate::memory::resident_kib;
use crate::report::{Goal, Row};
use crate::rounds::{Comparison, Side, interleaved};
use crate::scenarios::calls::{self, Calls};

const FEW: Setup = Setup { routes: 10, ..Setup::USUAL };
const MANY: Setup = Setup { routes: 10_000, ..Setup::USUAL };
const LOADS: usize = 3;
const NOTE: &str = "gateway, 10 / 10,000 routes";

struct Loaded {
    millis: f64,
    resident_mib: f64,
}

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let loads = interleaved(LOADS, async |side| load(bench, side).await).await?;
    let time = Row::compared("routes10000 load", "ms", Comparison::of(&loads, |loaded| loaded.millis));
    let memory = Row::compared("routes10000 memory", "MiB", Comparison::of(&loads, |loaded| loaded.resident_mib));
    Ok(vec![
        cpu(bench).await?,
        time.goal(Some(Goal::Figure(300.0))).note(NOTE),
        memory.goal(Some(Goal::Figure(80.0))).note(NOTE),
    ])
}

async fn cpu(bench: &Bench<'_>) -> Result<Row> {
    let calls = Calls { goal: Some(1.05), ..Calls::new(Call::Echo, 16) };
    let pair = async || bench.gateways(FEW, MANY).await;
    Ok(calls::compare(bench, "routes10000 cpu", calls, pair).await?.note(NOTE))
}

async fn load(bench: &Bench<'_>, side: Side) -> Result<Loaded> {
    let upstream = bench.upstream().await?;
    let setup = match side {
        Side::Baseline => FEW,
        Side::Subject => MANY,
    };
    let target = bench.gateway(&upstream, setup).await?;
    Ok(Loaded { millis: target.ready_after.as_secs_f64() * 1e3, resident_mib: resident_kib(target.id())? / 1024.0 })
}
