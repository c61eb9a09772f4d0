//! Tokens that were redeemed and that the store would not take: kept in memory and in sealed files until it does.
//!
//! A refresh token that was used is worth nothing, so what came for it must not be lost.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use secrecy::{ExposeSecret, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::{ConnectionBook, kept::Kept, slot::lock};
use crate::store::{ConnectionKey, ConnectionRecord, ConnectionSummary, Digest, StoreError};

/// What the store would not take.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    unwritten: Mutex<HashMap<ConnectionKey, Arc<Unwritten>>>,
}

/// A refresh without its last step.
#[derive(Debug)]
struct Unwritten {
    record: ConnectionRecord,
    fence: i64,
}

/// The same in a file.
#[derive(Serialize, Deserialize)]
struct Entry {
    connection: ConnectionSummary,
    secrets: Vec<u8>,
    fence: i64,
}

const PURPOSE: &str = "journal of connections";
const ENDING: &str = "refreshed";
/// Files that are read at a start.
const MOST: usize = 100_000;

impl Journal {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, unwritten: Mutex::default() }
    }

    /// Another file for each refresh, so that none is taken for another.
    fn path(&self, unwritten: &Unwritten) -> PathBuf {
        let Unwritten { record, fence } = unwritten;
        let ConnectionKey { upstream, subject } = &record.key;
        let name = format!("{}:{upstream}{subject}:{}:{}:{fence}", upstream.len(), record.id, record.version);
        self.folder.join(format!("{}.{ENDING}", Digest::of(name.as_bytes())))
    }

    fn keys(&self) -> Vec<ConnectionKey> {
        lock(&self.unwritten).keys().cloned().collect()
    }
}

impl ConnectionBook {
    /// The store did not take a record: it is kept here, and written again and again.
    pub(super) async fn write_later(&self, record: &ConnectionRecord, fence: i64, error: &StoreError) {
        let key = &record.key;
        tracing::error!(key.subject, key.upstream, %error, "refreshed tokens are not in the store yet; they are kept here");
        let unwritten = Arc::new(Unwritten { record: record.clone(), fence });
        lock(&self.0.journal.unwritten).insert(key.clone(), Arc::clone(&unwritten));
        let (book, path) = (self.clone(), self.0.journal.path(&unwritten));
        let written = spawn_blocking(move || {
            let sealed = book.0.store.sealer().seal(PURPOSE, &name(&path), &unwritten.to_bytes()?);
            write_whole(&path, &sealed)
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "refreshed tokens are in memory alone: do not stop the gateway"),
            Err(error) => tracing::error!(%error, "refreshed tokens are in memory alone: do not stop the gateway"),
        }
    }

    /// Tries once more to write what the store would not take of this connection. Returns it, if it is in vain.
    pub(super) async fn write_again(&self, key: &ConnectionKey) -> Option<ConnectionRecord> {
        let unwritten = lock(&self.0.journal.unwritten).get(key).cloned()?;
        let written = match self.write_refreshed(&unwritten.record, unwritten.fence).await {
            Ok(true) => Ok(()),
            Ok(false) => self.overtaken(&unwritten.record).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::debug!(%error, "the store still takes nothing");
            let mut record = unwritten.record.clone();
            record.summary.version += 1;
            return Some(record);
        }
        // Whether it was kept or overtaken: nobody needs the journal for it any more.
        self.settle(key, &unwritten).await;
        None
    }

    /// The store has something else than what was refreshed: it was changed meanwhile, or the write was done and its answer
    /// lost.
    async fn overtaken(&self, record: &ConnectionRecord) -> Result<(), StoreError> {
        let present = self.summary(&record.key).await?;
        let version = record.version + 1;
        if present.as_ref().is_some_and(|present| present.id == record.id && present.version == version) {
            return Ok(());
        }
        // What was refreshed is at hand under the version that the change has in the store.
        self.outdate(&record.key, version + 1);
        if let Some(Kept::Tokens(tokens)) = Kept::open(record) {
            self.revoke_overtaken(record, *tokens, present.as_ref());
        }
        Ok(())
    }

    async fn settle(&self, key: &ConnectionKey, unwritten: &Arc<Unwritten>) {
        {
            let mut all = lock(&self.0.journal.unwritten);
            if !all.get(key).is_some_and(|present| Arc::ptr_eq(present, unwritten)) {
                return;
            }
            all.remove(key);
        }
        let path = self.0.journal.path(unwritten);
        let _ = spawn_blocking(move || fs::remove_file(path)).await;
        tracing::info!(key.subject, key.upstream, "refreshed tokens are in the store now");
    }

    /// Writes what the store would not take.
    pub(super) async fn write_all_again(&self) {
        for key in self.0.journal.keys() {
            if self.write_again(&key).await.is_some() {
                return;
            }
        }
    }

    /// Takes up what an earlier run could not write.
    pub async fn replay(&self) {
        let book = self.clone();
        let found = spawn_blocking(move || book.read_journal()).await.unwrap_or_default();
        for unwritten in found {
            let key = unwritten.record.key.clone();
            lock(&self.0.journal.unwritten).insert(key, Arc::new(unwritten));
        }
        self.write_all_again().await;
    }

    fn read_journal(&self) -> Vec<Unwritten> {
        let Ok(files) = fs::read_dir(&self.0.journal.folder) else { return Vec::new() };
        let paths =
            files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == ENDING));
        let read = |path: PathBuf| {
            let sealed = fs::read(&path).ok()?;
            let plain = self.0.store.sealer().open(PURPOSE, &name(&path), &sealed);
            let plain =
                plain.inspect_err(|error| tracing::error!(?path, %error, "tokens of an earlier run do not open"));
            Unwritten::from_bytes(&plain.ok()?)
        };
        paths.take(MOST).filter_map(read).collect()
    }
}

impl Unwritten {
    fn to_bytes(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let ConnectionRecord { summary, secrets } = &self.record;
        let secrets = secrets.as_ref().map(|secrets| secrets.expose_secret().to_vec()).unwrap_or_default();
        let entry = Entry { connection: summary.clone(), secrets, fence: self.fence };
        let bytes = serde_json::to_vec(&entry).map(Zeroizing::new);
        drop(Zeroizing::new(entry.secrets));
        Ok(bytes?)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Entry { connection, secrets, fence } = serde_json::from_slice(bytes).ok()?;
        Some(Self { record: ConnectionRecord { summary: connection, secrets: Some(secrets.into()) }, fence })
    }
}

/// A file's name is what its content is sealed for.
fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Writes a file that only its owner can read, whole or not at all, and not before it is on the disk.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}
