//! A running server, proxy or upstream: where it is, what to ask of it, and when it was ready.

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

use crate::call::Call;
use crate::load::Caller;
use crate::process::Running;
use crate::sign_in::Grants;

const READY_WITHIN: Duration = Duration::from_secs(20);
const ASK_EVERY: Duration = Duration::from_millis(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// Its capability filter narrows `tools/list`.
    pub(crate) filtered: bool,
    /// Who calls, where the path asks for that.
    pub(crate) grants: Option<Arc<Grants>>,
    /// From the start of the process to its first right answer.
    pub(crate) ready_after: Duration,
    process: Running,
}

impl Target {
    /// Starts the process and waits until it gives a right answer.
    pub(crate) async fn start(mut command: Command, address: SocketAddr, path: String, filtered: bool) -> Result<Self> {
        let started = Instant::now();
        let process = Running::start(&mut command)?;
        let mut target = Self { address, path, filtered, grants: None, ready_after: Duration::ZERO, process };
        while let Err(why) = target.answers().await {
            target.process.check_alive()?;
            if started.elapsed() > READY_WITHIN {
                return Err(why).with_context(|| format!("{address} never gave a right answer"));
            }
            sleep(ASK_EVERY).await;
        }
        target.ready_after = started.elapsed();
        Ok(target)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Calls a path that asks who is calling, from now on.
    pub(crate) fn sign_in(&mut self, path: &str, grants: Arc<Grants>) {
        path.clone_into(&mut self.path);
        self.grants = Some(grants);
    }

    /// The access token that a connection shows.
    pub(crate) fn token(&self, connection: u32) -> Option<&str> {
        self.grants.as_ref()?.token(connection)
    }

    async fn answers(&self) -> Result<()> {
        timeout(ANSWER_WITHIN, Caller::open(self, Call::Echo)).await.context("no answer")?.map(drop)
    }
}
