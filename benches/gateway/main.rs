//! What the gateway costs, as a ratio to the least a proxy can cost.
//!
//! ```text
//! cargo bench --bench gateway                              everything, about seven minutes
//! cargo bench --bench gateway -- --only small --only list  some scenarios
//! cargo bench --bench gateway -- --rounds 40 --seconds 1   slower and steadier
//! cargo bench --bench gateway -- --stand-in                floor against floor: what the noise is
//! cargo bench --bench gateway -- --json                    for machines
//! PORTCULLIS_BIN=target/dist/portcullis cargo bench …      another build of the gateway
//! ```
//!
//! ```text
//! this process: load ──→ floor (bare hyper proxy) ──┐
//!   (not counted)   └──→ the gateway ───────────────┴─→ upstream (an MCP server, played)
//! ```
//!
//! The figure to trust is **CPU time of the proxy process per operation**, divided by that of `floor` in the same
//! round: wall-clock figures on a small or busy machine say more about the machine. Every answer is checked, and a
//! wrong one ends the run; a missed goal does not, because this is a bench and not a test.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

mod answer;
mod bench;
mod call;
mod connection;
mod cpu;
mod events;
mod floor;
mod gateway;
mod load;
mod memory;
mod options;
mod process;
mod report;
mod request;
mod rounds;
mod scenarios;
mod sign_in;
mod target;
mod tools;
mod upstream;

use anyhow::{Result, bail};
use options::Options;
use tokio::signal::unix::{SignalKind, signal};

/// The gateway's allocator, for the floor too: the ratio compares proxies, not allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["upstream", port] => upstream::serve(port.parse()?),
        ["floor", port, upstream] => floor::serve(port.parse()?, (*upstream).to_owned()),
        _ => parent(&words),
    }
}

fn parent(words: &[&str]) -> Result<()> {
    let Some(options) = Options::read(words)? else {
        return Ok(());
    };
    process::raise_open_files()?;
    single_threaded()?.block_on(async {
        tokio::select! {
            done = bench::run(&options) => done,
            () = interrupted() => bail!("interrupted"),
        }
    })
}

/// One thread is enough to keep a proxy busy, and leaves it the rest of a small machine.
fn single_threaded() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Ends the run by returning, so that every child is still killed on the way out.
async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
