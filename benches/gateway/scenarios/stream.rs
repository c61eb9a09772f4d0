//! Sixteen event streams, an event every 10 ms on each: CPU per event.

use anyhow::{Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::bench::Bench;
use crate::call::{Call, check_progress};
use crate::connection::Connection;
use crate::load::{Meter, Sample};
use crate::report::{Goal, Row, Traffic};
use crate::request::Request;
use crate::rounds::{Comparison, on_fresh_pairs};
use crate::target::Target;

const STREAMS: u32 = 16;
/// Streams start one after the other, and with the same rhythm each time: events that come together cost less.
const APART: Duration = Duration::from_millis(3);
/// More than any slot sees.
const EVENTS: u32 = 20_000;

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Row> {
    let rounds = on_fresh_pairs(bench.options, async || bench.pair().await, one).await?;
    let row = Row::compared("stream10ms", "µs", Comparison::of(&rounds, Sample::cpu_micros));
    Ok(row.goal(Some(Goal::Ratio(1.1))).traffic(Traffic::of(&rounds)))
}

async fn one(target: &Target, slot: Duration) -> Result<Sample> {
    let (stop, stopped) = watch::channel(());
    let seen = Arc::new(AtomicU32::new(0));
    let mut streams = JoinSet::new();
    let mut rhythm = interval(APART);
    for number in 0..STREAMS {
        rhythm.tick().await;
        let connection = Connection::open(target.address).await?;
        let request = Request::new(target, Call::Stream { events: EVENTS }, number);
        streams.spawn(follow(connection, request, Arc::clone(&seen), stopped.clone()));
    }
    let sample = count(target, &seen, slot).await?;
    drop(stop);
    while let Some(done) = streams.join_next().await {
        done??;
    }
    Ok(sample)
}

/// Only what happens while all streams flow: neither opening nor closing them.
async fn count(target: &Target, seen: &AtomicU32, slot: Duration) -> Result<Sample> {
    let meter = Meter::start(target)?;
    let before = seen.load(Ordering::Relaxed);
    sleep(slot).await;
    meter.stop(seen.load(Ordering::Relaxed) - before, Vec::new())
}

/// Reads events until `stop` is dropped, and checks that each was the next one.
async fn follow(
    mut connection: Connection,
    mut request: Request,
    seen: Arc<AtomicU32>,
    mut stop: watch::Receiver<()>,
) -> Result<()> {
    let (_, bytes) = request.next();
    let mut answer = connection.request(bytes).await?;
    let mut body = Vec::new();
    let mut events = Progress { number: 0, read: 0 };
    loop {
        tokio::select! {
            more = answer.more(&mut body) => if !more? { bail!("a stream ended by itself") },
            _ = stop.changed() => return Ok(()),
        }
        seen.fetch_add(events.check(&body)?, Ordering::Relaxed);
    }
}

/// How far a stream has been checked.
struct Progress {
    number: u32,
    read: usize,
}

impl Progress {
    /// Checks the events that have become complete, and counts them.
    fn check(&mut self, body: &[u8]) -> Result<u32> {
        let before = self.number;
        let mut unread = std::str::from_utf8(&body[self.read..])?;
        while let Some((event, rest)) = unread.split_once("\n\n") {
            self.number += 1;
            check_progress(event, self.number)?;
            unread = rest;
        }
        self.read = body.len() - unread.len();
        Ok(self.number - before)
    }
}
