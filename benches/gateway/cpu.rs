//! The CPU time that a process has used, all of its threads together.

use anyhow::{Context, Result};
use std::fs;
use std::time::Duration;

/// Linux counts ticks of 10 ms wherever user space can see them.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct CpuTime {
    /// Sum over the living threads: exact, but forgets a thread when it ends.
    living: Duration,
    /// Of the whole process: coarse, but forgets nothing.
    whole: Duration,
}

impl CpuTime {
    pub(crate) fn of(process: u32) -> Result<Self> {
        Ok(Self { living: living(process)?, whole: whole(process)? })
    }

    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let exact = self.living.saturating_sub(earlier.living);
        let coarse = self.whole.saturating_sub(earlier.whole);
        // Further apart than two roundings: a thread has ended in between.
        if coarse > exact + 3 * TICK { coarse } else { exact }
    }
}

fn living(process: u32) -> Result<Duration> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while we read; kernels without schedstat leave `whole`.
        let line = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += line.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

/// `utime` and `stime`, the 14th and 15th field; the 2nd is the name in brackets and may contain anything.
fn whole(process: u32) -> Result<Duration> {
    let line = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = line.rsplit_once(") ").context("not a line of /proc/PID/stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}
