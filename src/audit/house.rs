//! What runs beside the requests: rows whose time is over go, and what people decided elsewhere gets its rows.

use std::time::Duration;

use tokio::time::sleep;

use super::{Foundation, Handle};
use crate::store::every;

/// How often it is looked.
const EVERY: Duration = Duration::from_mins(1);
/// Rows of one transaction: others wait while it runs.
const BATCH: u32 = 500;
const BETWEEN: Duration = Duration::from_millis(20);
/// How often the store is asked what was decided, by a command or at another node that has ended since.
const LOOK: Duration = Duration::from_secs(1);

/// Takes rows away that are older than the log is kept, again and again: the beginning of each chain.
pub(super) async fn keep(foundation: Foundation) {
    loop {
        sleep(EVERY).await;
        while sweep(&foundation).await == u64::from(BATCH) {
            sleep(BETWEEN).await;
        }
    }
}

/// Sees to it that every decision gets its row, again and again.
pub(super) async fn watch(foundation: Foundation, handle: Handle) {
    let Foundation { store, tenant, .. } = &foundation;
    every(LOOK, "decisions wait for their rows in the audit log", async || {
        if store.has_unaudited_approvals(tenant).await? {
            handle.look();
        }
        Ok(())
    })
    .await;
}

pub(super) async fn sweep(foundation: &Foundation) -> u64 {
    let Foundation { store, tenant, clock, keep, .. } = foundation;
    let swept = store.sweep_audit(tenant, clock.now().minus(*keep), BATCH).await;
    swept.unwrap_or_else(|error| {
        tracing::warn!(%error, "rows of the audit log whose time is over stay");
        0
    })
}
