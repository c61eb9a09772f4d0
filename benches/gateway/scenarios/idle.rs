//! Event streams on which nothing happens: memory of the proxy per stream.

use anyhow::{Result, ensure};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bench::Bench;
use crate::call::{Call, check_progress};
use crate::connection::Connection;
use crate::load;
use crate::memory::resident_kib;
use crate::process::open_files;
use crate::report::{Goal, Row};
use crate::request::Request;
use crate::rounds::{Comparison, Side, interleaved};
use crate::target::Target;

const STREAMS: u32 = 5_000;
/// So many are being opened at a time.
const OPENERS: u32 = 50;
const SETTLE: Duration = Duration::from_millis(500);
/// Memory hardly varies, and a slot here takes seconds whatever its length.
const MOST_ROUNDS: usize = 2;

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Row> {
    let rounds = bench.options.rounds.min(MOST_ROUNDS);
    let streams = affordable()?;
    let rounds = interleaved(rounds, async |side| one(bench, side, streams).await).await?;
    let row = Row::compared("idle5000", "KiB", Comparison::of(&rounds, |&kib| kib));
    let note = if streams < STREAMS { "memory a stream; FEWER STREAMS: too few open files" } else { "memory a stream" };
    Ok(row.goal(Some(Goal::Ratio(1.2))).note(note))
}

/// As many as the limit on open files allows, two of them a stream.
fn affordable() -> Result<u32> {
    let (soft, _) = open_files()?;
    Ok(u32::try_from(soft.saturating_sub(500) / 2).unwrap_or(u32::MAX).min(STREAMS))
}

/// A fresh proxy each time: memory that was used once is kept. Resident KiB per stream.
async fn one(bench: &Bench<'_>, side: Side, streams: u32) -> Result<f64> {
    let upstream = bench.upstream().await?;
    let target = bench.one(side, &upstream).await?;
    load::calls(&target, Call::Echo, OPENERS, SETTLE).await?;
    let before = resident_kib(target.id())?;
    let open = open(&target, streams).await?;
    sleep(SETTLE).await;
    let after = resident_kib(target.id())?;
    ensure!(open.iter().all(Connection::is_silent), "a stream did not stay open and idle");
    Ok((after - before) / f64::from(u32::try_from(open.len())?))
}

async fn open(target: &Target, streams: u32) -> Result<Vec<Connection>> {
    let mut openers = JoinSet::new();
    for opener in 0..OPENERS {
        let request = Request::new(target, Call::Idle, opener);
        openers.spawn(open_some(target.address, request, streams / OPENERS));
    }
    let mut open = Vec::new();
    while let Some(some) = openers.join_next().await {
        open.extend(some??);
    }
    Ok(open)
}

async fn open_some(address: std::net::SocketAddr, mut request: Request, streams: u32) -> Result<Vec<Connection>> {
    let mut open = Vec::new();
    let mut body = Vec::new();
    for _ in 0..streams {
        let mut connection = Connection::open(address).await?;
        let (_, bytes) = request.next();
        body.clear();
        connection.request(bytes).await?.first_event(&mut body).await?;
        check_progress(std::str::from_utf8(&body)?, 1)?;
        open.push(connection);
    }
    Ok(open)
}
