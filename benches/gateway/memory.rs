//! The memory that a process holds.

use anyhow::{Context, Result};

/// Resident KiB. From `smaps_rollup`, which counts the pages: `VmRSS` may be off by a few hundred KiB.
pub(crate) fn resident_kib(process: u32) -> Result<f64> {
    let smaps = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = smaps.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss in smaps_rollup")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
