//! The store: is it there, can it be written to, and do its tables fit.

use std::path::Path;

use tokio::time::Instant;

use super::{
    super::{
        check::Running,
        finding::{Finding, milliseconds},
    },
    case::Deployment,
    key::unreadable,
};
use crate::{
    fault::Fault,
    pipeline::location,
    store::{Location, OpenError, Steps, Store, StoreError, Trouble, TroubleKind},
};

/// Bytes that should be left on the store's disk: its log of changes alone can grow to some of them.
const LEAST: u64 = 64 << 20;

pub(super) fn usable(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let place = match location(case.gateway(), &case.folder) {
            Ok(place) => place,
            Err(error) => return vec![Finding::of(Fault::StoreUnreachable, &error.to_string())],
        };
        let mut findings = vec![match &case.store {
            Ok(Some(store)) => opened(store, &place).await.unwrap_or_else(|error| unreadable(&error)),
            Ok(None) => not_yet(&place),
            Err(why) => unopened(why),
        }];
        if let Location::Sqlite(file) = &place {
            findings.extend(room(file.parent().unwrap_or(Path::new("."))));
        }
        findings
    })
}

/// Is the disk of this folder nearly full? Of what cannot be asked nothing is said.
fn room(folder: &Path) -> Option<Finding> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let disk = rustix::fs::statvfs(folder).ok()?;
    room_of(disk.f_bavail.saturating_mul(disk.f_frsize), folder)
}

fn room_of(left: u64, folder: &Path) -> Option<Finding> {
    let evidence = format!("{} MiB are left on the disk of {}", left >> 20, folder.display());
    (left < LEAST).then(|| Finding::of(Fault::DiskLow, &evidence))
}

async fn opened(store: &Store, place: &Location) -> Result<Finding, StoreError> {
    let began = Instant::now();
    let Steps { done, due, unknown } = store.steps().await?;
    let took = milliseconds(began.elapsed());
    if let Err(error) = store.try_to_write().await {
        return Ok(unwritable(&error, place));
    }
    if unknown > 0 {
        let evidence = format!("{place}: {unknown} of its {done} steps are not known here");
        return Ok(Finding::of(Fault::StoreNewer, &evidence));
    }
    let due = if due > 0 { format!(", {due} steps are due, which the next start does") } else { String::new() };
    Ok(Finding::ok(&format!("{place} answers in {took}, tables of step {done}{due}")))
}

fn unopened(why: &OpenError) -> Finding {
    match why {
        OpenError::Store(error) => unreadable(error),
        OpenError::Damaged { .. } => Finding::of(Fault::StoreDamaged, &why.to_string()),
        _ => Finding::of(Fault::StoreUnreachable, &why.to_string()),
    }
}

/// A shell that holds the file is as common as a folder that is not the gateway's.
fn unwritable(error: &StoreError, place: &Location) -> Finding {
    let fault = match error {
        StoreError::Unavailable(Trouble { kind: TroubleKind::Locked, .. }) => Fault::StoreLocked,
        StoreError::Unavailable(Trouble { kind: TroubleKind::ReadOnly, .. }) => Fault::StoreReadOnly,
        _ => Fault::StoreUnreachable,
    };
    Finding::of(fault, &format!("{place}: {error}"))
}

/// The first start makes it, if it can.
fn not_yet(place: &Location) -> Finding {
    if let Location::Sqlite(file) = place {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let evidence = format!("{place}: there is no folder {}", folder.display());
            return Finding::of(Fault::StoreUnreachable, &evidence);
        }
    }
    Finding::skipped(&format!("{place} is not there yet: the first start makes it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_store_takes_no_writes_is_what_its_database_says() {
        let place = Location::Sqlite("portcullis.db".into());
        for (kind, words, fault) in [
            (TroubleKind::Locked, "(code: 5) database is locked", Fault::StoreLocked),
            (TroubleKind::ReadOnly, "(code: 8) attempt to write a readonly database", Fault::StoreReadOnly),
            (TroubleKind::Other, "connection reset", Fault::StoreUnreachable),
        ] {
            let finding = unwritable(&StoreError::Unavailable(Trouble::new(kind, words)), &place);
            assert_eq!(finding.fault, Some(fault), "{words}");
            assert!(finding.evidence.contains(words), "{}", finding.evidence);
        }
    }

    #[test]
    fn a_disk_is_nearly_full_before_the_log_of_changes_does_not_fit() {
        let fault = |left| room_of(left, Path::new(".")).and_then(|finding| finding.fault);
        assert_eq!((fault(LEAST - 1), fault(LEAST)), (Some(Fault::DiskLow), None));
    }
}
