//! What is measured, and the goals.

mod calls;
mod first_event;
mod idle;
mod routes;
mod signed_in;
mod startup;
mod stream;

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::call::{BURST_EVENTS, Call};
use crate::report::Row;
use calls::{Calls, against_floor};

/// In the order in which they run.
pub(crate) const NAMES: [&str; 16] = [
    "small",
    "small1",
    "list",
    "up64k",
    "down64k",
    "stream10ms",
    "burst200",
    "first-event",
    "idle5000",
    "routes10000",
    "startup",
    "access-log",
    "signed-in",
    "new-tokens",
    "connected",
    "chain",
];

pub(crate) async fn run(name: &'static str, bench: &Bench<'_>) -> Result<Vec<Row>> {
    let row = match name {
        "small" => against_floor(bench, name, Calls { goal: Some(1.1), ..Calls::new(Call::Echo, 16) }).await,
        "small1" => against_floor(bench, name, Calls::new(Call::Echo, 1)).await,
        "list" => against_floor(bench, name, Calls { goal: Some(1.5), ..Calls::new(Call::List, 8) }).await,
        "up64k" => against_floor(bench, name, Calls { goal: Some(1.2), ..Calls::new(Call::Up, 8) }).await,
        "down64k" => against_floor(bench, name, Calls::new(Call::Down, 8)).await,
        "burst200" => against_floor(bench, name, BURST).await,
        "stream10ms" => stream::run(bench).await,
        "first-event" => first_event::run(bench).await,
        "idle5000" => idle::run(bench).await,
        "routes10000" => return routes::run(bench).await,
        "startup" => startup::run(bench).await,
        "access-log" => calls::access_log(bench).await,
        "signed-in" => return signed_in::known(bench).await,
        "new-tokens" => return signed_in::new(bench).await,
        "connected" => return signed_in::connected(bench).await,
        "chain" => return signed_in::chain(bench).await,
        unknown => bail!("no scenario {unknown:?}"),
    };
    Ok(vec![row?])
}

/// Per event; the response at the end of each burst is an event too.
const BURST: Calls = Calls { goal: Some(0.6), per_call: BURST_EVENTS + 1, ..Calls::new(Call::Burst, 8) };
