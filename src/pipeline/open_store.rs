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
pub type FoundKey = (MasterKey, Option<PathBuf>);

/// Opens the store that a configuration names. Says whether a key was made for it.
pub async fn open_store(
    gateway: &Gateway,
    folder: &Path,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Store, Option<KeyNotice>)> {
    open_with(gateway, folder, find_key(gateway, folder).await?, clock).await
}

/// The same with a key that has been found.
pub async fn open_with(
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
pub fn is_shared(gateway: &Gateway, folder: &Path) -> bool {
    matches!(location(gateway, folder), Ok(Location::Postgres { .. }))
}

/// Where it is.
pub fn location(gateway: &Gateway, folder: &Path) -> anyhow::Result<Location> {
    Location::parse(&gateway.store, folder).map_err(anyhow::Error::msg)
}

/// The key under which secrets are sealed: the configured one, what the configured command prints, or one in a file of its own.
/// There is no such file for a store of several gateways, for each would make another one.
pub async fn find_key(gateway: &Gateway, folder: &Path) -> Result<FoundKey, KeyError> {
    let file = match told_key(gateway, folder).await? {
        Told::Key(key) => return Ok((key, None)),
        Told::File(file) => file,
    };
    let (key, created) = MasterKey::load_or_create(&file)?;
    Ok((key, created.then_some(file)))
}

/// The same for who only looks: none is made. `Err` with the file in which it would be, if it is not there yet.
pub async fn existing_key(gateway: &Gateway, folder: &Path) -> Result<Result<MasterKey, PathBuf>, KeyError> {
    match told_key(gateway, folder).await? {
        Told::Key(key) => Ok(Ok(key)),
        Told::File(file) => Ok(MasterKey::load(&file)?.ok_or(file)),
    }
}

/// What the configuration says of the key.
enum Told {
    Key(MasterKey),
    /// Nothing: it is in this file, or will be.
    File(PathBuf),
}

async fn told_key(gateway: &Gateway, folder: &Path) -> Result<Told, KeyError> {
    if let Some(key) = &gateway.encryption_key {
        return Ok(Told::Key(MasterKey::parse(key.expose())?));
    }
    if let Some(command) = &gateway.encryption_key_command {
        return Ok(Told::Key(MasterKey::from_command(command, folder).await?));
    }
    if let Ok(Location::Postgres { .. }) = Location::parse(&gateway.store, folder) {
        return Err(KeyError::Unsaid);
    }
    Ok(Told::File(folder.join("portcullis.key")))
}
