//! The configuration in force, and how the next one takes its place.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::{Generation, Plan, Toolbox, plan};
use crate::config::{Gateway, Report, Surroundings};

/// The generation in force. One pointer: a request loads it once and keeps what it loaded.
#[derive(Debug)]
pub struct Live {
    current: ArcSwap<Generation>,
    version: AtomicU64,
    /// What the file said of the gateway itself when it started.
    started_with: Gateway,
    file: PathBuf,
    tools: Toolbox,
}

/// What came of reading the configuration again.
#[derive(Debug)]
pub enum Reloaded {
    /// The new one is in force. The report may have warnings.
    Swapped(Report),
    /// The new one has errors; the old one stays in force.
    Kept(Report),
    /// The file could not be read; the old one stays in force.
    Unreadable(std::io::Error),
}

impl Live {
    /// Puts the first generation in force.
    pub fn new(generation: Generation, file: PathBuf, tools: Toolbox) -> Self {
        let started_with = generation.gateway.clone();
        Self { current: ArcSwap::from_pointee(generation), version: AtomicU64::new(0), started_with, file, tools }
    }

    /// The generation in force.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Another number for each generation that was put in force.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Reads the file again, builds the next generation beside the current one, and swaps if it is whole.
    pub fn reload(&self) -> Reloaded {
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) => return Reloaded::Unreadable(error),
        };
        let Plan { generation, report, .. } = plan_file(&self.file, &text, &self.tools);
        match generation {
            Some(generation) => {
                if generation.gateway.needs_restart(&self.started_with) {
                    tracing::warn!("`gateway` has changed: that takes effect after a restart");
                }
                self.current.store(Arc::new(generation));
                self.version.fetch_add(1, Ordering::AcqRel);
                Reloaded::Swapped(report)
            }
            None => Reloaded::Kept(report),
        }
    }
}

/// Plans a file that has been read, with this process's environment.
pub fn plan_file(file: &Path, text: &str, tools: &Toolbox) -> Plan {
    let folder = file.parent().unwrap_or(Path::new("."));
    Surroundings::of_process(folder, |surroundings| plan(&file.display().to_string(), text, surroundings, tools))
}
