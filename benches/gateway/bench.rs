//! One run: the processes that all scenarios share, and the scenarios in order.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

use crate::gateway::{self, Personal, Setup};
use crate::options::Options;
use crate::process;
use crate::report::{self, Report};
use crate::rounds::Side;
use crate::scenarios;
use crate::sign_in::Grants;
use crate::target::Target;

pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    /// `None`: a second floor stands in for the gateway.
    gateway: Option<PathBuf>,
    scratch: TempDir,
}

/// So many people sign in: one for each connection of any load.
const CALLERS: u32 = 16;

/// A baseline and a subject in front of the same upstream.
pub(crate) struct Pair {
    baseline: Target,
    subject: Target,
    _upstream: Target,
}

impl Pair {
    pub(crate) fn side(&self, side: Side) -> &Target {
        match side {
            Side::Baseline => &self.baseline,
            Side::Subject => &self.subject,
        }
    }
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    ensure!(!cfg!(debug_assertions), "a bench without optimisation says nothing; use `cargo bench`");
    let gateway = gateway::binary().filter(|_| !options.stand_in);
    let bench = Bench { options, gateway, scratch: tempfile::tempdir()? };
    let mut report = Report::new(bench.gateway.as_deref(), options);
    for name in scenarios::NAMES.into_iter().filter(|name| options.wants(name)) {
        eprintln!("running {name}");
        let rows = scenarios::run(name, &bench).await.with_context(|| format!("scenario {name}"))?;
        report.rows.extend(rows);
    }
    report::print(&report, options.json);
    Ok(())
}

impl Bench<'_> {
    /// The floor and the gateway.
    pub(crate) async fn pair(&self) -> Result<Pair> {
        self.pair_of(Setup::USUAL).await
    }

    /// The floor and a gateway of this setup. Both get the same requests.
    pub(crate) async fn pair_of(&self, setup: Setup) -> Result<Pair> {
        let upstream = self.upstream().await?;
        let mut baseline = floor(&upstream).await?;
        let subject = self.gateway(&upstream, setup).await?;
        if let Some(grants) = &subject.grants {
            baseline.sign_in(&subject.path, Arc::clone(grants));
        }
        Ok(Pair { baseline, subject, _upstream: upstream })
    }

    /// The gateway twice.
    pub(crate) async fn gateways(&self, baseline: Setup, subject: Setup) -> Result<Pair> {
        let upstream = self.upstream().await?;
        let baseline = self.gateway(&upstream, baseline).await?;
        Ok(Pair { baseline, subject: self.gateway(&upstream, subject).await?, _upstream: upstream })
    }

    pub(crate) async fn one(&self, side: Side, upstream: &Target) -> Result<Target> {
        match side {
            Side::Baseline => floor(upstream).await,
            Side::Subject => self.gateway(upstream, Setup::USUAL).await,
        }
    }

    pub(crate) async fn upstream(&self) -> Result<Target> {
        let address = process::free_address()?;
        let command = process::role(&["upstream", &address.port().to_string()])?;
        Target::start(command, address, "/mcp".to_owned(), false).await
    }

    pub(crate) async fn gateway(&self, upstream: &Target, setup: Setup) -> Result<Target> {
        let Some(binary) = &self.gateway else {
            return floor(upstream).await;
        };
        let address = process::free_address()?;
        let directory = self.scratch.path().join(address.port().to_string());
        let config = gateway::config(address, upstream.address, setup);
        let command = gateway::command(binary, &directory, &config)?;
        let started = Target::start(command, address, setup.path(), true).await;
        let mut target = started.with_context(|| gateway::log(&directory))?;
        if let Some(route) = setup.personal {
            let grants = Grants::of(address, route, CALLERS).await.context("signing in")?;
            target.sign_in(Personal::PATH, Arc::new(grants));
        }
        Ok(target)
    }
}

async fn floor(upstream: &Target) -> Result<Target> {
    let address = process::free_address()?;
    let command = process::role(&["floor", &address.port().to_string(), &upstream.address.to_string()])?;
    Target::start(command, address, Setup::USUAL.path(), false).await
}
