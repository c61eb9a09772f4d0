//! Two proxies, measured in turn, so that whatever the machine does meanwhile happens to both.

use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::timeout;

use crate::bench::Pair;
use crate::options::Options;
use crate::target::Target;

/// The longest slot that can be asked for, and as much again.
const SLOT_WITHIN: Duration = Duration::from_mins(2);

#[derive(Clone, Copy)]
pub(crate) enum Side {
    /// What the ratio divides by: the floor, or the gateway without the thing in question.
    Baseline,
    Subject,
}

/// Each side twice: A B B A cancels a machine that gets steadily slower or faster.
pub(crate) struct Round<S> {
    pub(crate) baseline: [S; 2],
    pub(crate) subject: [S; 2],
}

/// Rounds on one and the same thing.
pub(crate) async fn interleaved<S>(rounds: usize, measure: impl AsyncFn(Side) -> Result<S>) -> Result<Vec<Round<S>>> {
    let mut done = Vec::new();
    for _ in 0..rounds {
        done.push(round(&measure).await?);
    }
    Ok(done)
}

/// Rounds with processes of their own, because where a process happens to lie in memory is part of what it costs.
pub(crate) async fn on_fresh_pairs<S>(
    options: &Options,
    pair: impl AsyncFn() -> Result<Pair>,
    measure: impl AsyncFn(&Target, Duration) -> Result<S>,
) -> Result<Vec<Round<S>>> {
    let mut done = Vec::new();
    for _ in 0..options.rounds {
        let pair = pair().await?;
        for side in [Side::Baseline, Side::Subject] {
            // To warm up; not counted.
            in_time(measure(pair.side(side), options.slot / 3)).await?;
        }
        done.push(round(async |side| measure(pair.side(side), options.slot).await).await?);
    }
    Ok(done)
}

async fn round<S>(measure: impl AsyncFn(Side) -> Result<S>) -> Result<Round<S>> {
    let first = in_time(measure(Side::Baseline)).await?;
    let subject = [in_time(measure(Side::Subject)).await?, in_time(measure(Side::Subject)).await?];
    Ok(Round { baseline: [first, in_time(measure(Side::Baseline)).await?], subject })
}

async fn in_time<S>(slot: impl Future<Output = Result<S>>) -> Result<S> {
    timeout(SLOT_WITHIN, slot).await.context("a slot took too long")?
}

/// The middle one of several figures, with the outermost.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let middle = figures.len() / 2;
        let median =
            if figures.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) };
        Self { median, min: at(0), max: at(figures.len().wrapping_sub(1)) }
    }
}

/// What a figure was on either side, and the ratio of the two in each round.
pub(crate) struct Comparison {
    pub(crate) baseline: Spread,
    pub(crate) subject: Spread,
    pub(crate) ratio: Spread,
}

impl Comparison {
    pub(crate) fn of<S>(rounds: &[Round<S>], figure: impl Fn(&S) -> f64) -> Self {
        let mean = |two: &[S; 2]| f64::midpoint(figure(&two[0]), figure(&two[1]));
        Self {
            baseline: Spread::of(rounds.iter().map(|round| mean(&round.baseline))),
            subject: Spread::of(rounds.iter().map(|round| mean(&round.subject))),
            ratio: Spread::of(rounds.iter().map(|round| mean(&round.subject) / mean(&round.baseline))),
        }
    }
}
