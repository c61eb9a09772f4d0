//! Opening the store that a configuration names, with the key that it names.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use portcullis_policies::kit::clock::Clock;

use crate::{
    config::Gateway,
    store::{KeyError, Location, MasterKey, Store},
};

/// What the operator must know of the key.
#[derive(Debug)]
pub enum KeyNotice {
    /// A new one was made, in this file.
    New(PathBuf),
    /// There is none.
    Missing(KeyError),
}

impl fmt::Display for KeyNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(file) => write!(
                f,
                "A new key, which seals what the gateway stores, is in {}.\n  Keep it: without it the store cannot be read. \
                 `gateway.encryptionKey` can hold one instead.",
                file.display()
            ),
            Self::Missing(why) => write!(
                f,
                "NOBODY CAN SIGN IN, and no upstream credential can be used: the store is closed, for it has no key: \
                 {why}.\n  Everything that needs the store is answered 503 until then."
            ),
        }
    }
}

/// A key, and the file in which it was made, if it is new.
pub(super) type FoundKey = (MasterKey, Option<PathBuf>);

/// Opens the store that a configuration names. Says whether a key was made for it.
pub async fn open_store(
    gateway: &Gateway,
    folder: &Path,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Store, Option<KeyNotice>)> {
    open_with(gateway, folder, find_key(gateway, folder).await?, clock).await
}

pub(super) async fn open_with(
    gateway: &Gateway,
    folder: &Path,
    (key, made): FoundKey,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Store, Option<KeyNotice>)> {
    let location = location(gateway, folder)?;
    let store = Store::open(&location, key, clock).await;
    Ok((store.with_context(|| format!("the store {location} cannot be opened"))?, made.map(KeyNotice::New)))
}

/// Is it a store for several gateways?
pub(super) fn is_shared(gateway: &Gateway, folder: &Path) -> bool {
    matches!(location(gateway, folder), Ok(Location::Postgres { .. }))
}

fn location(gateway: &Gateway, folder: &Path) -> anyhow::Result<Location> {
    Location::parse(&gateway.store, folder).map_err(anyhow::Error::msg)
}

/// The key under which secrets are sealed: the configured one, what the configured command prints, or one in a file of its own.
/// There is no such file for a store of several gateways, for each would make another one.
pub(super) async fn find_key(gateway: &Gateway, folder: &Path) -> Result<FoundKey, KeyError> {
    if let Some(key) = &gateway.encryption_key {
        return Ok((MasterKey::parse(key.expose())?, None));
    }
    if let Some(command) = &gateway.encryption_key_command {
        return Ok((MasterKey::from_command(command, folder).await?, None));
    }
    if let Ok(Location::Postgres { .. }) = Location::parse(&gateway.store, folder) {
        return Err(KeyError::Unsaid);
    }
    let file = folder.join("portcullis.key");
    let (key, created) = MasterKey::load_or_create(&file)?;
    Ok((key, created.then_some(file)))
}
