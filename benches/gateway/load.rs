//! The load: connections that call again as soon as they are answered, for as long as a slot lasts.

use anyhow::Result;
use std::iter::zip;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

use crate::answer::Checker;
use crate::call::Call;
use crate::connection::Connection;
use crate::cpu::CpuTime;
use crate::request::Request;
use crate::target::Target;

/// What one slot has seen.
pub(crate) struct Sample {
    pub(crate) operations: u32,
    pub(crate) cpu: Duration,
    pub(crate) elapsed: Duration,
    /// In no order.
    pub(crate) latencies: Vec<Duration>,
}

impl Sample {
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.operations.max(1))
    }
}

/// Counts the proxy's CPU time from here to `stop`.
pub(crate) struct Meter {
    process: u32,
    cpu: CpuTime,
    started: Instant,
}

impl Meter {
    pub(crate) fn start(target: &Target) -> Result<Self> {
        Ok(Self { process: target.id(), cpu: CpuTime::of(target.id())?, started: Instant::now() })
    }

    pub(crate) fn stop(self, operations: u32, latencies: Vec<Duration>) -> Result<Sample> {
        let elapsed = self.started.elapsed();
        let cpu = CpuTime::of(self.process)?.since(&self.cpu);
        Ok(Sample { operations, cpu, elapsed, latencies })
    }
}

/// Calls over `connections` connections at once. They are open, and used once, before anything is counted.
pub(crate) async fn calls(target: &Target, call: Call, connections: u32, slot: Duration) -> Result<Sample> {
    let callers = callers(target, call, connections).await?;
    let meter = Meter::start(target)?;
    let until = Instant::now() + slot;
    run(meter, callers.into_iter().map(|caller| caller.call_until(until))).await
}

/// Calls over one connection for each list of access tokens, each call with another token, until they are used up.
pub(crate) async fn calls_showing(target: &Target, call: Call, tokens: Vec<Vec<String>>) -> Result<Sample> {
    let callers = callers(target, call, u32::try_from(tokens.len())?).await?;
    let meter = Meter::start(target)?;
    run(meter, zip(callers, tokens).map(|(caller, tokens)| caller.call_showing(tokens))).await
}

async fn callers(target: &Target, call: Call, connections: u32) -> Result<Vec<Caller>> {
    let checker = Arc::new(Checker::new(call, target.filtered));
    let mut callers = Vec::new();
    for number in 0..connections {
        callers.push(Caller::warm(target, Request::new(target, call, number), Arc::clone(&checker)).await?);
    }
    Ok(callers)
}

async fn run<F>(meter: Meter, calls: impl Iterator<Item = F>) -> Result<Sample>
where
    F: Future<Output = Result<Vec<Duration>>> + Send + 'static,
{
    let mut running: JoinSet<_> = calls.collect();
    let mut latencies = Vec::new();
    while let Some(done) = running.join_next().await {
        latencies.extend(done??);
    }
    meter.stop(u32::try_from(latencies.len())?, latencies)
}

/// One connection that makes one kind of call.
pub(crate) struct Caller {
    connection: Connection,
    request: Request,
    checker: Arc<Checker>,
    body: Vec<u8>,
}

impl Caller {
    /// A connection that has made one call already.
    pub(crate) async fn open(target: &Target, call: Call) -> Result<Self> {
        let checker = Arc::new(Checker::new(call, target.filtered));
        Self::warm(target, Request::new(target, call, 0), checker).await
    }

    async fn warm(target: &Target, request: Request, checker: Arc<Checker>) -> Result<Self> {
        let connection = Connection::open(target.address).await?;
        let mut caller = Self { connection, request, checker, body: Vec::new() };
        caller.call().await?;
        Ok(caller)
    }

    async fn call_until(mut self, until: Instant) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        let mut now = Instant::now();
        while now < until {
            self.call().await?;
            latencies.push(now.elapsed());
            now = Instant::now();
        }
        Ok(latencies)
    }

    async fn call_showing(mut self, tokens: Vec<String>) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        for token in tokens {
            self.request.show(&token)?;
            let sent = Instant::now();
            self.call().await?;
            latencies.push(sent.elapsed());
        }
        Ok(latencies)
    }

    async fn call(&mut self) -> Result<()> {
        let (id, bytes) = self.request.next();
        self.body.clear();
        self.connection.request(bytes).await?.rest(&mut self.body).await?;
        self.checker.check(id, &self.body)
    }

    /// Calls, and tells how long the first event of the answer took.
    pub(crate) async fn first_event(&mut self) -> Result<Duration> {
        let (id, bytes) = self.request.next();
        self.body.clear();
        let sent = Instant::now();
        let mut answer = self.connection.request(bytes).await?;
        answer.first_event(&mut self.body).await?;
        let first = sent.elapsed();
        answer.rest(&mut self.body).await?;
        self.checker.check(id, &self.body)?;
        Ok(first)
    }
}
