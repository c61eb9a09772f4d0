//! Child processes that end with the bench, their ports, and how many files everyone may open.

use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Enough for a proxy that holds `idle5000`: two sockets a stream, and some room.
const OPEN_FILES: u64 = 12_000;

/// A child that is killed, by its own id, when this is dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        // Nobody serves with backtraces on, and each error would pay for one.
        let child = command.stdin(Stdio::null()).env_remove("RUST_BACKTRACE").spawn();
        Ok(Self(child.with_context(|| format!("cannot start {}", command.get_program().display()))?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("process {} ended early: {status}", self.id()),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only for a child that has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This very program in another role.
pub(crate) fn role(words: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).stdout(Stdio::null());
    Ok(command)
}

/// Ends a role's process when the bench is gone without having said so (`kill -9`).
///
/// A thread of its own, so that the measured runtime has nothing extra to do.
pub(crate) fn end_with_parent() {
    let parent = parent_id();
    std::thread::spawn(move || {
        while parent_id() == parent {
            std::thread::sleep(Duration::from_secs(1));
        }
        std::process::exit(1);
    });
}

/// An address on loopback that nobody listens on, from below the range that outgoing connections use.
pub(crate) fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 5_000)?;
    for _ in 0..5_000 {
        let port = 20_000 + start + NEXT.fetch_add(1, Ordering::Relaxed) % 5_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port on loopback")
}

/// Starts this program again under a higher soft limit, which every child then inherits.
///
/// By way of a shell, because `setrlimit` would need unsafe code.
pub(crate) fn raise_open_files() -> Result<()> {
    let (soft, hard) = open_files()?;
    let wanted = OPEN_FILES.min(hard);
    if soft >= wanted {
        return Ok(());
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -S -n {wanted} && exec \"$0\" \"$@\"")]);
    shell.arg(std::env::current_exe()?).args(std::env::args().skip(1));
    Err(shell.exec()).context("cannot start again with more open files")
}

/// The soft and the hard limit.
pub(crate) fn open_files() -> Result<(u64, u64)> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut limits = line.unwrap_or_default().split_whitespace().map(limit);
    let both = limits.next().zip(limits.next());
    both.context("/proc/self/limits does not say how many files may be open")
}

fn limit(text: &str) -> u64 {
    text.parse().unwrap_or(u64::MAX)
}
