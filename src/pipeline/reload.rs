//! The configuration in force, and how the next one takes its place.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use notify_debouncer_full::{
    DebounceEventResult, Debouncer, RecommendedCache, new_debouncer,
    notify::{RecommendedWatcher, RecursiveMode},
};
use tokio::sync::mpsc;

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

/// Watches as long as it lives.
pub struct Watcher(
    #[expect(dead_code, reason = "watches until it is dropped")] Debouncer<RecommendedWatcher, RecommendedCache>,
);

/// Tells when a file in the folder of `file` has changed. Editors and orchestrators replace files instead of writing
/// them, so the folder is watched and not the file.
pub fn watch(file: &Path, changed: mpsc::Sender<()>) -> anyhow::Result<Watcher> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let name = file.file_name().map(ToOwned::to_owned);
    let on_event = move |result: DebounceEventResult| {
        let Ok(events) = result else { return };
        let ours = |event: &notify_debouncer_full::DebouncedEvent| {
            let touched = |path: &PathBuf| path.file_name() == name.as_deref() || path.is_symlink();
            !event.kind.is_access() && event.paths.iter().any(touched)
        };
        if events.iter().any(ours) {
            // A full channel means that a reload is due already.
            let _ = changed.try_send(());
        }
    };
    // A thread looks for changes at this pace, also while nothing happens: the default would be four times as often.
    let pace = Duration::from_millis(200);
    let mut watcher = new_debouncer(pace, Some(pace), on_event)?;
    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    Ok(Watcher(watcher))
}
