//! The key under which the store's secrets are sealed.

use std::{fmt, path::Path};

use super::{
    super::{check::Running, finding::Finding},
    case::Deployment,
};
use crate::{
    fault::Fault,
    pipeline::{existing_key, location},
    store::{KeyError, KeyRole, KeyUse, MasterKey, OpenError, Store, StoreError},
};

/// Opens the store with the key, if both are there, and compares them. Neither is made.
pub(super) fn fits(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let key = existing_key(case.gateway(), &case.folder).await;
        // Without its key, a store can still be looked at; what is sealed stays closed.
        match (&key, &MasterKey::generate()) {
            (Ok(Ok(key)), _) | (_, Ok(key)) => case.look(key).await,
            (_, Err(error)) => case.store = Err(unseen(error)),
        }
        let finding = match &key {
            Err(error) => of_error(error),
            Ok(Err(file)) => without(file, matches!(case.store, Ok(Some(_)))),
            Ok(Ok(_)) => match &case.store {
                Ok(Some(store)) => judged(store).await.unwrap_or_else(|error| unreadable(&error)),
                Ok(None) => Finding::ok("it is there; the first start seals a new store with it"),
                Err(_) => Finding::skipped("the store cannot be opened"),
            },
        };
        vec![finding]
    })
}

impl Deployment {
    /// Opens the store as it is.
    async fn look(&mut self, key: &MasterKey) {
        self.store = match location(self.gateway(), &self.folder) {
            Ok(location) => Store::look(&location, key, self.clock()).await,
            Err(error) => Err(unseen(error)),
        };
    }
}

/// It was not even tried.
fn unseen(why: impl fmt::Display) -> OpenError {
    OpenError::Unreachable { location: "of `gateway.store`".to_owned(), why: why.to_string() }
}

fn of_error(error: &KeyError) -> Finding {
    let fault = match error {
        KeyError::Exposed(file) => {
            let fix = format!("Run `chmod 600 '{}'`. If others may have read it, change the key.", file.display());
            return Finding::of(Fault::KeyExposed, &error.to_string()).with_fix(fix);
        }
        error if error.is_absence() => Fault::KeyMissing,
        _ => Fault::KeyUnusable,
    };
    Finding::of(fault, &error.to_string())
}

/// There is no key: that is as it should be before the first start, and the end of a store that is there.
fn without(file: &Path, has_store: bool) -> Finding {
    let file = file.display();
    if has_store {
        Finding::of(Fault::KeyMissing, &format!("there is a store, and its key is not in {file}"))
    } else {
        Finding::skipped(&format!("there is none yet: the first start makes it in {file}"))
    }
}

async fn judged(store: &Store) -> Result<Finding, StoreError> {
    let uses = store.key_uses().await?;
    let values = |role| uses.iter().filter(|key| key.role == role).map(|key| key.values).sum::<u64>();
    let evidence = uses.iter().map(told).collect::<Vec<_>>().join(", ");
    if store.knows_its_key().await? == Some(false) {
        return Ok(Finding::of(Fault::KeyWrong, &evidence));
    }
    Ok(match (values(KeyRole::Missing), values(KeyRole::Earlier)) {
        (1.., _) => Finding::of(Fault::KeyIncomplete, &evidence),
        (0, 1..) => Finding::of(Fault::KeyChanging, &evidence),
        (0, 0) => Finding::ok(&evidence),
    })
}

fn told(key: &KeyUse) -> String {
    let role = match key.role {
        KeyRole::Current => "the present key",
        KeyRole::Earlier => "an earlier key",
        KeyRole::Missing => "a key that is not given",
    };
    format!("{} values under {role} {}", key.values, key.id)
}

pub(super) fn unreadable(error: &StoreError) -> Finding {
    let fault = match error {
        StoreError::Unavailable(_) => Fault::StoreUnreachable,
        _ => Fault::StoreDamaged,
    };
    Finding::of(fault, &error.to_string())
}
