//! Calls with an access token: one that the gateway has seen before, and one that it made and that nobody has shown it yet;
//! and such calls that go on to the upstream with a token of their person, which is at hand.

use anyhow::Result;
use std::time::Duration;

use crate::bench::{Bench, Pair};
use crate::call::Call;
use crate::gateway::{Personal, Setup};
use crate::load::{self, Sample};
use crate::report::{Goal, Row, Traffic};
use crate::rounds::{Comparison, on_fresh_pairs};
use crate::target::Target;

const CONNECTIONS: u32 = 16;
/// A new token for each connection and so much of a slot. Making one takes longer than the call that shows it: the slot
/// ends when they are used up, before its time.
const A_TOKEN_PER: Duration = Duration::from_millis(3);

#[derive(Clone, Copy)]
enum Shown {
    Known,
    New,
}

pub(crate) async fn known(bench: &Bench<'_>) -> Result<Vec<Row>> {
    rows(bench, ["signed-in", "signed-in check"], 1.2, Shown::Known).await
}

pub(crate) async fn new(bench: &Bench<'_>) -> Result<Vec<Row>> {
    rows(bench, ["new-tokens", "new-tokens check"], 2.1, Shown::New).await
}

/// What a credential at hand adds to a call, as a part of what the floor needs for one: at most so much.
const CREDENTIAL: f64 = 0.05;

/// Beside the floor; and beside a route that asks who is calling and shows the upstream nothing, which is what is judged.
pub(crate) async fn connected(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let cost = async || bench.pair_of(Setup::of(Personal::Connected)).await;
    let cost = compare(bench, "connected", Shown::Known, cost).await?;
    let without_and_with = async || bench.gateways(Setup::of(Personal::SignedIn), Setup::of(Personal::Connected)).await;
    let check = compare(bench, "connected check", Shown::Known, without_and_with).await?;
    let (micros, share) = (check.difference(), check.difference() / cost.baseline());
    let note = format!(
        "gateway, no credential / a credential: {micros:.2} µs, {share:.3} of the floor (at most {CREDENTIAL})"
    );
    Ok(vec![cost, check.note(note)])
}

/// Who calls, how often, by which rules, on which tools, under whose name: beside the floor; with a row in the store for each
/// call; and where no call is made before there is one.
pub(crate) async fn chain(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, personal, goal) in [
        ("chain", Personal::Judged, Some(1.3)),
        ("chain+audit", Personal::Counted, Some(1.6)),
        ("chain+proof", Personal::FailClosed, None),
    ] {
        let row = compare(bench, name, Shown::Known, async || bench.pair_of(Setup::of(personal)).await).await?;
        rows.push(row.goal(goal.map(Goal::Ratio)));
    }
    Ok(rows)
}

/// Beside the floor, and beside a route of the gateway that asks for no token.
async fn rows(bench: &Bench<'_>, names: [&'static str; 2], goal: f64, shown: Shown) -> Result<Vec<Row>> {
    let [cost, check] = names;
    let cost = compare(bench, cost, shown, async || bench.pair_of(Setup::of(Personal::SignedIn)).await).await?;
    let open_and_closed = async || bench.gateways(Setup::USUAL, Setup::of(Personal::SignedIn)).await;
    let check = compare(bench, check, shown, open_and_closed).await?;
    let note = format!("gateway, no token / a token: {:.1} µs a check", check.difference());
    Ok(vec![cost.goal(Some(Goal::Ratio(goal))), check.note(note)])
}

async fn compare(
    bench: &Bench<'_>,
    name: &'static str,
    shown: Shown,
    pair: impl AsyncFn() -> Result<Pair>,
) -> Result<Row> {
    let rounds = on_fresh_pairs(bench.options, pair, async |target, slot| one(target, shown, slot).await).await?;
    Ok(Row::compared(name, "µs", Comparison::of(&rounds, Sample::cpu_micros)).traffic(Traffic::of(&rounds)))
}

async fn one(target: &Target, shown: Shown, slot: Duration) -> Result<Sample> {
    match (&target.grants, shown) {
        (Some(grants), Shown::New) => {
            let each = u32::try_from(slot.as_millis() / A_TOKEN_PER.as_millis())?.max(1);
            let tokens = grants.new_tokens(each).await?;
            load::calls_showing(target, Call::Echo, tokens).await
        }
        _ => load::calls(target, Call::Echo, CONNECTIONS, slot).await,
    }
}
