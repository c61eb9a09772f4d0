//! From the start of the process to its first right answer, with one route.

use anyhow::Result;

use crate::bench::Bench;
use crate::report::{Goal, Row};
use crate::rounds::{Comparison, interleaved};

/// Each side is started twice in a round: ten times.
const ROUNDS: usize = 5;

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Row> {
    let upstream = bench.upstream().await?;
    let start = async |side| Ok(bench.one(side, &upstream).await?.ready_after);
    let rounds = interleaved(ROUNDS, start).await?;
    let figures = Comparison::of(&rounds, |after| after.as_secs_f64() * 1e3);
    Ok(Row::compared("startup", "ms", figures).goal(Some(Goal::Figure(20.0))).note("to the first answer"))
}
