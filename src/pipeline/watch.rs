//! Telling when a file has changed.
//!
//! It is looked at a few times a second. The system's own notices are about folders: where the store lies beside the
//! configuration, each of its writes would be one, and on network file systems and some mounts there are none.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

/// How often the file is looked at. A change is told when it has stayed for that long.
const PACE: Duration = Duration::from_millis(200);

/// Watches as long as it lives.
#[derive(Debug)]
pub struct Watcher(JoinHandle<()>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is another after each change: of the file itself, where links lead to it. Editors and orchestrators replace files or
/// links instead of writing files.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
    bytes: u64,
}

impl Stamp {
    /// None while there is no file.
    fn of(file: &Path) -> Option<Self> {
        let found = std::fs::metadata(file).ok()?;
        let (file, changed) = ((found.dev(), found.ino()), (found.ctime(), found.ctime_nsec()));
        Some(Self { file, changed, bytes: found.len() })
    }
}

/// Tells when `file` has changed.
pub fn watch(file: &Path, changed: mpsc::Sender<()>) -> Watcher {
    let known = Stamp::of(file);
    Watcher(tokio::spawn(look(file.to_owned(), known, changed)))
}

async fn look(file: PathBuf, mut known: Option<Stamp>, changed: mpsc::Sender<()>) {
    let mut last = known;
    loop {
        sleep(PACE).await;
        let path = file.clone();
        let Ok(now) = spawn_blocking(move || Stamp::of(&path)).await else { return };
        if now.is_some() && now == last && now != known {
            known = now;
            // A full channel means that it is due to be read already.
            let _ = changed.try_send(());
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_change_is_told_however_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("first"), "1").unwrap();
        fs::write(at("second"), "2").unwrap();
        symlink(at("first"), at("routes.json")).unwrap();
        let (sender, mut changes) = mpsc::channel(1);
        let watcher = watch(&at("routes.json"), sender);
        let told = async |changes: &mut mpsc::Receiver<()>| timeout(5 * PACE, changes.recv()).await.is_ok();
        assert!(!told(&mut changes).await);
        fs::write(at("beside.db"), "not ours").unwrap();
        assert!(!told(&mut changes).await);

        fs::write(at("first"), "3").unwrap();
        assert!(told(&mut changes).await, "written");
        symlink(at("second"), at("next")).unwrap();
        fs::rename(at("next"), at("routes.json")).unwrap();
        assert!(told(&mut changes).await, "linked to another");
        fs::remove_file(at("routes.json")).unwrap();
        assert!(!told(&mut changes).await, "there is nothing to read");
        fs::write(at("routes.json"), "4").unwrap();
        assert!(told(&mut changes).await, "there again");
        assert!(!told(&mut changes).await, "once");
        drop(watcher);
    }
}
